"""The comparison that the demo and these tests end with: it sees whatever is not as it should be."""

from __future__ import annotations

import io
from contextlib import redirect_stdout
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from local.acs.documents import chunk_metadata
from local.demo.proof import prove
from local.demo.run import Demo
from local.demo.scenes import SCENES
from local.demo.screen import Screen
from tests.e2e.support import ARCHIVE, plan

if TYPE_CHECKING:
    from tests.e2e.support import Recorded, World


def _differences(recorded: Recorded, **changed: Any) -> str:
    acs = recorded.world.stack.acs
    chunks = acs.resource.find(recorded.id).chunks
    metadata = {one.index: chunk_metadata(acs.resource.find(recorded.id), one) for one in chunks}
    story = {**recorded.story(), **changed}
    return "; ".join(prove(story, acs.truth(recorded.id), metadata=metadata, service=recorded.world.blobs).differences)


def test_every_kind_of_difference_is_seen(world: World) -> None:
    """A byte, the metadata, a file too many, a missing manifest, a missing file, another state, a missing chunk."""
    recorded = world.start()
    story = recorded.end(plan(100_000)).whole()
    container = world.blobs.get_container_client("recordings")
    media = story["chunks"][0]["blob"].split("/recordings/")[1]
    metadata = story["chunks"][0]["metadataBlob"].split("/recordings/")[1]
    assert _differences(recorded) == ""
    assert "the app says that it is saving" in _differences(recorded, state="saving")
    assert "the app knows the chunks []" in _differences(recorded, chunks=[])
    data = bytearray(container.download_blob(media).readall())
    data[77_777] ^= 1
    container.upload_blob(media, bytes(data), overwrite=True)
    assert "chunk 0: the container has 100000 bytes, SHA-256" in _differences(recorded)
    data[77_777] ^= 1
    container.upload_blob(media, bytes(data), overwrite=True)
    assert _differences(recorded) == ""
    container.upload_blob(metadata, b"{}", overwrite=True)
    assert "metadata" in _differences(recorded)
    container.upload_blob(media + ".copy", b"x")
    assert "an unexpected file" in _differences(recorded)
    container.delete_blob(story["manifest"]["blob"])
    assert "there is no manifest" in _differences(recorded)
    container.delete_blob(media)
    assert "there is no blob at" in _differences(recorded)


def test_the_demo_ends_badly_when_a_recording_did_not_take_its_way(world: World) -> None:
    """And says what differs."""
    scene = replace(SCENES[0], route="rescued")
    printed = io.StringIO()
    try:
        with redirect_stdout(printed), Screen(live=False) as screen:
            assert not Demo(world.stack, world.blobs, screen, scenes=[scene]).run()
    finally:
        world.blobs.create_container(ARCHIVE)
    assert "DIFFERS  exported: came by the route exported, not rescued" in printed.getvalue()
