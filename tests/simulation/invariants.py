"""What has to hold in every world, whatever happened in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from shared.domain.codec import decode, format_time
from shared.domain.recording import IN_PLACE_STATES, ChunkState, Recording
from shared.domain.steps import chunk_due, chunk_step, next_due
from tests.simulation.truth import digest

if TYPE_CHECKING:
    from tests.simulation.sequence import SimWorld


@dataclass(frozen=True)
class Truth:
    """A chunk as it really is. `is_kept`: ACS has its media for the whole window."""

    document: str
    data: bytes
    is_kept: bool = True


def check_always(world: SimWorld) -> None:
    """No document is stuck: it is closed with nothing owed, or something is due at some time."""
    rules = world.apps[0].store.rules
    for data, _, entry in world.rig.ledger.open.values():
        recording = decode(Recording, data)
        assert next_due(recording, rules) is not None, f"nothing is due: {recording}"
        due = next_due(recording, rules)
        assert due is not None
        assert entry.due is not None
        # The document keeps milliseconds.
        assert format_time(entry.due) == format_time(due)
        assert entry.state == recording.state.value
        for chunk in recording.chunks:
            assert chunk_step(chunk) is None or chunk_due(chunk) is not None, f"no plan: {chunk}"


def check_end(world: SimWorld, truths: list[Truth]) -> None:
    """After the troubles: everything ACS kept is in its container, right, once; and nothing is owed any more."""
    rig = world.rig
    assert not rig.ledger.open, f"open: {[decode(Recording, one[0]) for one in rig.ledger.open.values()]}"
    assert not rig.queue.waiting, rig.queue.waiting
    assert not rig.fallback.blobs, list(rig.fallback.blobs)
    recordings = [decode(Recording, data) for data, _ in rig.ledger.closed.values()]
    chunks = {chunk.document_id: chunk for recording in recordings for chunk in recording.chunks}
    for truth in truths:
        chunk = chunks[truth.document]
        if truth.is_kept:
            assert chunk.state in IN_PLACE_STATES, f"{truth.document} is {chunk.state}"
        if chunk.state in IN_PLACE_STATES:
            blob = rig.destination.blobs[chunk.blob or ""]
            assert blob.data == truth.data, f"{truth.document} has other bytes"
            assert chunk.size == len(truth.data)
            assert chunk.sha256 in (None, digest(truth.data))
        else:
            assert chunk.state in (ChunkState.LOST, ChunkState.UNCONFIRMED)
    _check_alerts(world, recordings)


def _check_alerts(world: SimWorld, recordings: list[Recording]) -> None:
    """Every alert in a timeline was published, or given up after a day, which the timeline says."""
    published = {(key, name) for name, key, _ in world.rig.notifier.alerts}
    for recording in recordings:
        assert recording.outbox == ()
        kinds = [entry.kind for entry in recording.timeline]
        raised = {kind.removeprefix("alert.") for kind in kinds if kind.startswith("alert.")}
        missing = {name for name in raised if (recording.key, name) not in published}
        assert not missing or "alert_not_published" in kinds, missing
