"""Events about recordings that are closed already."""

from __future__ import annotations

from shared.domain.recording import ChunkState
from tests.unit.rig import HOUR, Rig, claim, event, wav


def test_a_second_event_about_a_closed_recording_keeps_what_it_was() -> None:
    """It made a new document over the closed copy, which then won: the second chunk was gone (seed 53)."""
    rig = Rig()
    first, second = rig.put_media("doc-0"), rig.put_media("doc-1", wav())
    rig.receive(event(claim("doc-0", 0)))
    rig.run()
    rig.assert_at_rest()
    revision = rig.recording.revision
    rig.clock.advance(5 * HOUR)
    rig.receive(event(claim("doc-0", 0), claim("doc-1", 1)))
    assert rig.recording.revision == revision + 1
    rig.run()
    assert [chunk.state for chunk in rig.recording.chunks] == [ChunkState.RESCUED] * 2
    assert sorted(rig.files().values()) == sorted([first, second])
    rig.assert_at_rest()


def test_a_chunk_of_a_later_event_has_its_own_window() -> None:
    rig = Rig()
    rig.receive(event(claim("doc-0", 0)))
    rig.clock.advance(5 * HOUR)
    rig.receive(event(claim("doc-1", 1), at=rig.clock.now(), recordingStartTime=None, recordingDurationMs=None))
    first, second = rig.recording.chunks
    assert second.at_risk_from - first.at_risk_from == 5 * HOUR
    assert second.abandon_after - first.abandon_after == 5 * HOUR
