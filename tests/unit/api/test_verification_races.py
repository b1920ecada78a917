"""A verification beside other work on the same recording: its looks take their time."""

from __future__ import annotations

from shared.domain.recording import ChunkState
from shared.worker.check import Check
from tests.unit.rig import HOUR, Rig, claim, event


def test_what_happened_to_a_closed_recording_during_the_looks_is_not_written_over() -> None:
    """The looks were begun at the closed copy; until they are written, a late event had its whole way."""
    rig = Rig()
    rig.put_media()
    rig.receive(event())
    rig.run(until=HOUR)
    version = rig.ledger.version(rig.key)
    assert not version.is_open
    looked = Check(containers=rig.containers, clock=rig.clock).look(version.recording)
    assert looked is not None

    rig.put_media("doc-1")
    rig.receive(event(claim(), claim("doc-1", 1)))
    rig.run(until=HOUR)
    rig.assert_at_rest()
    assert len(rig.recording.chunks) == 2

    rig.process.store.record(version, looked)
    rig.run(until=HOUR)
    assert [chunk.state for chunk in rig.recording.chunks] == [ChunkState.RESCUED, ChunkState.RESCUED]
    assert "verification" in rig.kinds
