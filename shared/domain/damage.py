"""A file that was in place and is gone, or has other bytes: the chunk is `damaged`, and an alert is owed."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from shared.domain.errors import Blame
from shared.domain.journal import alerted
from shared.domain.recording import CheckResult, ChunkState, Problem, Step

if TYPE_CHECKING:
    from shared.domain.context import Context
    from shared.domain.recording import Check, Chunk, Recording


def damaged(recording: Recording, chunk: Chunk, found: Check, c: Context) -> Recording:
    """The chunk damaged, under a new generation: a worker that is at it does nothing more. One alert a result."""
    is_known = chunk.state is ChunkState.DAMAGED
    hurt = replace(
        chunk.to(ChunkState.DAMAGED).rescheduled(c.now),
        next_attempt_at=None,
        check=found,
        is_check_due=False,
        before_damage=chunk.before_damage if is_known else chunk.state,
    )
    if is_known and chunk.check is not None and chunk.check.result is found.result:
        return recording.with_chunk(hurt)
    message = described(chunk, found)
    hurt = hurt.failed(Problem("damaged", Blame.DESTINATION, message, c.now, step=Step.CHECK))
    recording = recording.with_chunk(hurt)
    return alerted(recording, "damaged", at=c.now, chunk=chunk, code=found.result.value, message=message)


def described(chunk: Chunk, found: Check) -> str:
    """What was found and what was expected, for the timeline and the alert."""
    name = chunk.blob or ""
    if found.result is CheckResult.MISSING:
        return f"{name} is gone; {chunk.size} bytes were there"
    if found.size != chunk.size:
        return f"{name} has {found.size} bytes; {chunk.size} were there"
    if found.result is CheckResult.DIFFERS:
        return f"{name} has SHA-256 {found.sha256}; it had {chunk.sha256}"
    if found.sha256:
        return f"{name}: {found.size} bytes, SHA-256 as before"
    same = "the same ETag" if found.etag == chunk.etag else "another ETag"
    return f"{name}: {found.size} bytes, {same}, bytes not read"
