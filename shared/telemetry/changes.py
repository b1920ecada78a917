"""What a committed change of a recording counts as. Every writer commits through the store, so none is forgotten."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.domain.recording import ChunkState
from shared.domain.steps import chunk_step
from shared.telemetry import instruments as i

if TYPE_CHECKING:
    from shared.domain.recording import Chunk, Recording
    from shared.telemetry.port import Telemetry

_COUNTERS = {
    ChunkState.EXPORTED: i.EXPORTED,
    ChunkState.RESCUED: i.RESCUED,
    ChunkState.IN_FALLBACK: i.IN_FALLBACK,
    ChunkState.DELIVERED: i.DELIVERED,
    ChunkState.UNDELIVERABLE: i.UNDELIVERABLE,
    ChunkState.LOST: i.LOST,
    ChunkState.UNCONFIRMED: i.UNCONFIRMED,
    ChunkState.DAMAGED: i.DAMAGED,
}


def measure_change(telemetry: Telemetry, before: Recording | None, after: Recording) -> None:
    """Counts what changed from `before` to `after`, which is written."""
    if after.started and after.recording_id and (before is None or before.recording_id is None):
        telemetry.count(i.STARTED)
    for chunk in after.chunks:
        known = before.chunk(chunk.key) if before else None
        if known is chunk:
            continue
        _measure_chunk(telemetry, known, chunk)


def _measure_chunk(telemetry: Telemetry, known: Chunk | None, chunk: Chunk) -> None:
    counter = _COUNTERS.get(chunk.state)
    # A damaged file that a later look finds intact is no second export.
    is_back = known is not None and known.state is ChunkState.DAMAGED and known.before_damage is chunk.state
    if counter and not is_back and (known is None or known.state is not chunk.state):
        telemetry.count(counter)
    if chunk.safe_at and (known is None or known.safe_at is None):
        seconds = (chunk.safe_at - chunk.reported_at).total_seconds()
        telemetry.record(i.EVENT_TO_SAFE, max(0.0, seconds), state=chunk.state.value)
        telemetry.record(i.CHUNK_SIZE, chunk.size or 0, state=chunk.state.value)
    error = chunk.last_error
    if error and (known is None or error != known.last_error):
        step = error.step or (chunk_step(known) if known else None)
        telemetry.count(i.FAILURES, step=step.value if step else "none", cause=error.code, blame=error.blame.value)
