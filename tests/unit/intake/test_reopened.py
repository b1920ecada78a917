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


def test_a_forged_first_event_costs_the_genuine_chunk_nothing() -> None:
    """Wrong URL, wrong format, a window that is over: the later, better event counts."""
    rig = Rig()
    data = rig.put_media("doc-0", wav())
    forged = claim("doc-0", 0, contentLocation="https://evil.asm.skype.com/v1/objects/doc-0/content/video")
    rig.receive(event(forged, recordingStartTime="2020-01-01T00:00:00Z", recordingFormatType="Mp4"))
    rig.run()
    rig.live(2 * HOUR)
    rig.receive(event(claim("doc-0", 0)))
    rig.live(HOUR)
    assert list(rig.files().values()) == [data]
    assert next(iter(rig.files())).endswith(".wav")
