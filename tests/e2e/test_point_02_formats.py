"""Point 2: real wav, mp4 (also fragmented) and mp3 whose event leaves out or misstates format, content or channel are
kept under the right extension.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from local.acs import ChunkPlan, EndPlan, EventForm
from local.acs.formats import SHAPES

if TYPE_CHECKING:
    from tests.e2e.support import World

TYPES = frozenset({"recordingFormatType", "recordingContentType", "recordingChannelType"})
REQUESTS: dict[str, dict[str, Any]] = {
    "mp3": {"recordingContent": "audio", "recordingFormat": "mp3"},
    "wav": {"recordingContent": "audio", "recordingFormat": "wav"},
    "mp4": {"recordingContent": "audioVideo", "recordingFormat": "mp4"},
}
FILES = {"mp3": ("mp3", "audio/mpeg"), "wav": ("wav", "audio/wav"), "mp4": ("mp4", "video/mp4")}


def misstating(format_type: str | None) -> EventForm:
    if format_type is None:
        return EventForm(omit=TYPES)
    wrong = (("recordingFormatType", format_type), ("recordingContentType", "Video"), ("recordingChannelType", 7))
    return EventForm(state=wrong)


@pytest.mark.parametrize("said", [None, "Wav", "Mp4", "Mp3", "Ogg", ""])
def test_the_name_follows_the_bytes(world: World, said: str | None) -> None:
    """Every shape of the three formats at once; where `said` is the truth it is another untruth."""
    made = []
    for kind, shapes in SHAPES.items():
        for shape in shapes:
            recorded = world.start(**REQUESTS[kind])
            form = misstating("MKV" if said is not None and said.lower() == kind else said)
            chunks = (ChunkPlan(size=120_000, shape=shape),)
            made.append((kind, recorded.end(EndPlan(chunks=chunks, export="firewall", event_form=form))))
    for kind, recorded in made:
        story = recorded.whole()
        [chunk] = story["chunks"]
        extension, content_type = FILES[kind]
        assert (story["route"], chunk["proof"]) == ("rescued", "length")
        assert chunk["blob"].endswith(f".{extension}")
        name = chunk["blob"].split("/recordings/")[1]
        facts = world.blobs.get_blob_client("recordings", name).get_blob_properties()
        assert facts.content_settings.content_type == content_type
