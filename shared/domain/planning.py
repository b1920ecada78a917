"""Helpers of the decisions: the next plan of a chunk, and the alerts that a failure owes."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from shared.domain.backoff import delivery_delay
from shared.domain.journal import alerted, is_raised
from shared.domain.steps import BACKGROUND_STEPS, chunk_step

if TYPE_CHECKING:
    from datetime import datetime

    from shared.domain import facts as f
    from shared.domain.context import Context
    from shared.domain.recording import Chunk, Recording

# A cause that lasts this long is an alert, whatever its class.
_LASTING = timedelta(minutes=15)


def going_on(chunk: Chunk, c: Context, *, is_same_plan: bool) -> Chunk:
    """The chunk with its next step due now: by the worker that is at it, else by a message of a new plan."""
    step = chunk_step(chunk)
    if step is None:
        return replace(chunk, lease=None, next_attempt_at=None)
    if step in BACKGROUND_STEPS or not is_same_plan:
        return chunk.rescheduled(c.now)
    return replace(chunk, lease=None, next_attempt_at=c.now)


def noted_failure(chunk: Chunk, failure: f.Failure, c: Context, *, progress: int = 0) -> Chunk:
    """The chunk with one failed attempt more. `progress`: blocks that it staged all the same."""
    return replace(
        chunk.failed(failure.at(c.now, step=chunk_step(chunk))),
        attempts=chunk.attempts + (0 if chunk.is_in_place else 1),
        failures=1 if progress else chunk.failures + 1,
        failing_since=c.now if progress or chunk.failing_since is None else chunk.failing_since,
        is_confirmed=chunk.is_confirmed or progress > 0,
    )


def slowly(chunk: Chunk, c: Context) -> Chunk:
    """The chunk with its next attempt where ACS's clock no longer matters."""
    return chunk.rescheduled(later(c, chunk.failures))


def later(c: Context, failures: int) -> datetime:
    """The next attempt of what failed so often, where the bytes are safe: seconds at first, an hour at most."""
    return c.now + delivery_delay(failures=failures, random=c.random)


def cause_alerted(recording: Recording, chunk: Chunk, failure: f.Failure, c: Context) -> Recording:
    """An alert for what a person has to mend, at once; for any other cause when it lasts."""
    since = chunk.failing_since
    if failure.needs_person or (since is not None and c.now - since >= _LASTING):
        return alert_once(recording, chunk, failure, c)
    return recording


def alert_once(
    recording: Recording, chunk: Chunk | None, failure: f.Failure, c: Context, *, level: str = "error"
) -> Recording:
    """An alert named by the failure's code, unless it was raised since the last replay."""
    if is_raised(recording, failure.code):
        return recording
    return alerted(
        recording, failure.code, at=c.now, level=level, chunk=chunk, code=failure.blame.value, message=failure.message
    )
