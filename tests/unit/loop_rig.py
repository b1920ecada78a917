"""A recording in the ledger of a `World`, its bytes at ACS, and the queue's way through the app."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from shared.domain.recording import RecordingState
from shared.domain.steps import Rules, next_due
from shared.ports import OpenEntry
from tests.support.fakes import MediaFile, World
from tests.unit.builders import METADATA

if TYPE_CHECKING:
    from shared.app import App
    from shared.domain.recording import Chunk, Recording

MP3 = (b"\xff\xfb\x90\x00" + bytes(413)) * 40


def put(world: World, one: Recording) -> None:
    """The recording, open, as the store writes it."""
    due = next_due(one, Rules())
    world.ledger.create(one, entry=OpenEntry(one.key, due, one.at_risk_from, one.state.value))


def serve(world: World, chunk: Chunk, data: bytes = MP3) -> None:
    """ACS has the chunk's media and its metadata."""
    world.media.files[chunk.sources[0].url] = MediaFile(data)
    metadata = b'{"chunkDocumentId": "%s"}' % chunk.document_id.encode()
    world.media.files[METADATA.format(chunk.document_id)] = MediaFile(metadata, "application/json")


def drain(world: World, app: App, *, hours: float = 30, most: int = 400) -> int:
    """Handles messages in their order until none waits within `hours`; how many there were."""
    end = world.clock.now() + timedelta(hours=hours)
    for count in range(most):
        due = world.queue.next_due()
        if due is None or due > end:
            return count
        world.deliver_next(app)
    raise AssertionError("the queue does not become empty")


def is_complete(world: World, one: Recording) -> bool:
    return world.ledger.recording(one.key).state is RecordingState.COMPLETE
