"""Mistakes that the simulation found, each as short as it could be made."""

from __future__ import annotations

import pytest

from shared.domain import places
from shared.domain.errors import MediaUnavailable
from shared.domain.recording import ChunkState
from tests.support.fakes import lies
from tests.unit.rig import HOUR, MEDIA, Rig, event

_VIDEO = f"{MEDIA}/doc-0/content/video"


@pytest.fixture
def rig() -> Rig:
    return Rig()


def test_a_broken_file_under_the_chunks_own_name_keeps_no_bytes_out_of_the_fallback(rig: Rig) -> None:
    """The look before the commit met that file again, on the way to the fallback too: 24 hours of failed attempts."""
    data = rig.put_media()
    rig.media.lie(_VIDEO, *[lies.failing(MediaUnavailable("503"))] * 3)
    rig.receive(event())
    rig.run()
    name = places.media_name(rig.recording, rig.chunk, "mp3")
    rig.destination.put(name, data[:-100], content_type="audio/mpeg", overwrite=True)
    rig.live(HOUR)
    assert rig.state() is ChunkState.IN_FALLBACK
    assert rig.fallback.blobs[rig.chunk.fallback_blob or ""].data == data
    assert "destination_conflict" in rig.notifier.names
