"""What a replay sets going: a person has mended a role, a network, a container, or brought a file.

    no chunk yet              ACS is asked now
    expected, pending         attempted now, unless a worker holds the lease
    in_fallback, undeliverable  delivered now; after its days that is one more attempt
    lost, unconfirmed         fetched while ACS may have it; else looked for once more, wherever it may be
    damaged                   the same; what is there and differs is kept, and the bytes are stored beside it
    in place                  what is left to do for it: metadata, a digest that was unavailable, the manifest

Nothing is erased: alerts stay in the timeline, and what is still wrong is raised again.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from shared.domain import places
from shared.domain.journal import noted
from shared.domain.recording import MISSING_STATES, CheckResult, ChunkState, Manifest, Plan
from shared.domain.steps import chunk_step

if TYPE_CHECKING:
    from datetime import datetime

    from shared.domain import facts as f
    from shared.domain.context import Context
    from shared.domain.recording import Chunk, Recording


def held_until(chunk: Chunk, now: datetime) -> datetime | None:
    """Until when a worker holds the chunk, so that a replay leaves it alone; None where none does."""
    return chunk.lease.until if chunk.lease and chunk.lease.until > now else None


def replayed(recording: Recording, _fact: f.Replayed, c: Context) -> Recording:
    """The recording, open, with everything that can go on due now; unchanged where there is nothing to do."""
    if not recording.chunks:
        # The end was seen a moment ago, and its event is awaited for minutes yet: nothing is won by asking.
        asked = replace(recording, event_check_at=c.now, closed_at=None, replayed_at=c.now)
        return noted(asked, "replayed", at=c.now, by=c.by)
    chunks = tuple(_reopened(recording, chunk, c) for chunk in recording.chunks)
    manifest = recording.manifest
    if manifest.state == "given_up":
        manifest = Manifest("pending", manifest.blob)
    plans = (recording.finishing, recording.cleaning, recording.publishing)
    is_idle = chunks == recording.chunks and manifest == recording.manifest and not any(plan.at for plan in plans)
    if is_idle:
        return recording
    opened = replace(
        recording,
        chunks=chunks,
        manifest=manifest,
        finishing=Plan(),
        cleaning=Plan(),
        publishing=Plan(),
        replayed_at=c.now,
    )
    return noted(opened, "replayed", at=c.now, by=c.by)


def _reopened(recording: Recording, chunk: Chunk, c: Context) -> Chunk:
    if held_until(chunk, c.now):
        return chunk
    fresh = replace(chunk, failures=0, is_last_attempt_done=False)
    if chunk.state in MISSING_STATES:
        if is_at_acs(chunk, c.now):
            fresh = replace(fresh.to(ChunkState.PENDING), finished_at=None)
        else:
            fresh = replace(fresh, is_exhausted=True)
    elif chunk.state is ChunkState.DAMAGED:
        fresh = _brought_again(recording, fresh, c)
    elif chunk.state is ChunkState.UNDELIVERABLE:
        fresh = fresh.to(ChunkState.IN_FALLBACK)
    elif chunk.is_in_place and chunk.digest_state == "unavailable" and chunk.sha256 is None:
        fresh = replace(fresh, digest_state="pending", digest_attempts=0)
    elif _has_metadata_to_find(chunk, c.now):
        fresh = replace(fresh, metadata_state="pending")
    elif chunk_step(chunk) is None:
        return chunk
    return fresh.rescheduled(c.now)


def is_at_acs(chunk: Chunk, now: datetime) -> bool:
    """Whether ACS may still have the chunk's media."""
    return bool(chunk.sources) and now < chunk.abandon_after and chunk.deletion != "done"


def _has_metadata_to_find(chunk: Chunk, now: datetime) -> bool:
    """Whether the chunk is in place without its metadata, and there is a place to look for that."""
    if not chunk.is_in_place or chunk.metadata_state not in ("missing", "absent"):
        return False
    return bool(chunk.metadata_exports) or (bool(chunk.metadata_sources) and is_at_acs(chunk, now))


def _brought_again(recording: Recording, chunk: Chunk, c: Context) -> Chunk:
    """Fetched while ACS may have it, else looked for in destination and fallback.

    A file that differs is not taken for the chunk's again, and never overwritten: the bytes are stored beside it.
    """
    again = replace(chunk.to(ChunkState.PENDING), is_check_due=False, finished_at=None)
    if chunk.check and chunk.check.result is CheckResult.DIFFERS and chunk.blob:
        again = places.beside(recording, again, chunk.check.etag)
    if is_at_acs(chunk, c.now):
        metadata = "pending" if chunk.metadata_state == "missing" else chunk.metadata_state
        return replace(again, metadata_state=metadata)
    # No deadline is near: that of ACS is over.
    return replace(again, is_exhausted=True, warned=timedelta(0))
