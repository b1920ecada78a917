"""What is to be done next, and when: read from the document, never remembered anywhere else.

The worker asks it (what now?), the store (what messages, what due time in the index?), the sweep through that index,
the status view, and the rule for closing: a document is archived when nothing is due any more, at any time.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from shared.domain.backoff import RetryPolicy
from shared.domain.media import Proof
from shared.domain.recording import (
    CHECKED_STATES,
    IN_PLACE_STATES,
    MISSING_STATES,
    Chunk,
    ChunkState,
    Recording,
    Step,
)

# With less than this left of its window a chunk's messages go by the urgent queue.
URGENT_LEFT = timedelta(hours=3)
# Steps that move many bytes: only these are leased (docs/adr/0013).
LEASED_STEPS = frozenset({Step.FETCH, Step.DELIVER, Step.PROVE, Step.CHECK})
# What nothing waits for: a separate queue, so that a long digest is never in front of a rescue.
BACKGROUND_STEPS = frozenset({Step.PROVE, Step.CHECK, Step.DELIVER, Step.CLEAN, Step.ASK_ACS, Step.PUBLISH})


@dataclass(frozen=True)
class Rules:
    """The settings that decide: how long ACS keeps media, when to alert, what is wanted beyond safe bytes."""

    window: timedelta = timedelta(hours=24)
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    delivery_window: timedelta = timedelta(days=7)
    alert_left: tuple[timedelta, ...] = (timedelta(hours=6), timedelta(hours=1))
    silent_after: timedelta = timedelta(hours=4)
    digests_exports: bool = True
    deletes_at_acs: bool = False
    has_topic: bool = False  # what is no alert is kept in the outbox only for a topic


@dataclass(frozen=True)
class Due:
    """A step on the whole recording, and when."""

    step: Step
    at: datetime


def chunk_step(chunk: Chunk) -> Step | None:
    """The chunk's next step; None where nothing is left to do for it alone."""
    if chunk.state in CHECKED_STATES:
        return _kept_step(chunk)
    if chunk.is_exhausted:
        return Step.LAST_LOOK
    if chunk.state is ChunkState.IN_FALLBACK:
        return Step.PROVE if chunk.placed else Step.DELIVER
    if chunk.state is ChunkState.UNDELIVERABLE:
        return Step.PROVE if chunk.digest_state == "pending" else None
    return {ChunkState.EXPECTED: Step.VERIFY, ChunkState.PENDING: Step.FETCH}.get(chunk.state)


def _kept_step(chunk: Chunk) -> Step | None:
    """Of a chunk whose file is, or was, in the destination."""
    if chunk.state in IN_PLACE_STATES and chunk.metadata_state == "pending":
        return Step.METADATA
    if chunk.state in IN_PLACE_STATES and chunk.digest_state == "pending":
        return Step.PROVE
    return Step.CHECK if chunk.is_check_due else None


def chunk_due(chunk: Chunk) -> datetime | None:
    """When the chunk's next step should happen, or its worker be done with it; None where nothing is to come."""
    if chunk_step(chunk) is None:
        return None
    return chunk.lease.until if chunk.lease else chunk.next_attempt_at


def is_settled(chunk: Chunk) -> bool:
    """Whether the chunk holds the manifest and the close up no longer. A digest does not."""
    if chunk.is_exhausted and chunk.state not in IN_PLACE_STATES:
        return False
    if chunk.state in IN_PLACE_STATES:
        return chunk.metadata_state != "pending"
    return chunk.state in MISSING_STATES or chunk.state in (ChunkState.UNDELIVERABLE, ChunkState.DAMAGED)


def recording_steps(recording: Recording, rules: Rules) -> list[Due]:
    """The steps on the whole recording that are to come, soonest first. The outbox is not among them."""
    found = [due for due in (_warning(recording, rules), _question(recording)) if due]
    if recording.chunks and all(is_settled(chunk) for chunk in recording.chunks):
        settled_at = max(chunk.finished_at or chunk.reported_at for chunk in recording.chunks)
        if recording.closed_at is None or recording.manifest.state == "pending":
            found.append(Due(Step.FINISH, recording.finishing.at or settled_at))
        elif rules.deletes_at_acs and any(owes_deletion(chunk) for chunk in recording.chunks):
            found.append(Due(Step.DELETE_AT_ACS, recording.deleting.at or settled_at))
    if any(is_cleanable(chunk) for chunk in recording.chunks):
        moment = max(chunk.finished_at or chunk.reported_at for chunk in recording.chunks)
        found.append(Due(Step.CLEAN, recording.cleaning.at or moment))
    return sorted(found, key=lambda due: due.at)


def is_cleanable(chunk: Chunk) -> bool:
    """Whether copies of the chunk in the fallback are of no more use: its bytes and metadata are in place."""
    return bool(chunk.leftovers) and chunk.state in IN_PLACE_STATES and chunk.metadata_state != "pending"


def owes_deletion(chunk: Chunk) -> bool:
    """Whether the chunk is to be deleted at ACS: only what is proved by length or digest, when that is known."""
    if chunk.state not in IN_PLACE_STATES or not chunk.delete_locations or chunk.deletion in ("done", "failed"):
        return False
    return chunk.proof in (Proof.LENGTH, Proof.DIGEST) or chunk.digest_state != "pending"


def next_threshold(chunk: Chunk, rules: Rules) -> timedelta | None:
    """The largest warning threshold that was not reached yet by the chunk's alerts; None where there is none."""
    if not chunk.is_at_risk:
        return None
    return max((left for left in rules.alert_left if chunk.warned is None or left < chunk.warned), default=None)


def threshold_code(left: timedelta) -> str:
    """`6h`, `0.5h`."""
    return f"{left / timedelta(hours=1):g}h"


def _warning(recording: Recording, rules: Rules) -> Due | None:
    moments = [
        chunk.at_risk_from - left for chunk in recording.chunks if (left := next_threshold(chunk, rules)) is not None
    ]
    return Due(Step.WARN, min(moments)) if moments else None


def _question(recording: Recording) -> Due | None:
    is_open = not recording.chunks and recording.closed_at is None
    return Due(Step.ASK_ACS, recording.event_check_at) if is_open and recording.event_check_at else None


def next_due(recording: Recording, rules: Rules) -> datetime | None:
    """When anything at all is due next; None where nothing is owed and the document can be archived."""
    moments = [chunk_due(chunk) for chunk in recording.chunks]
    moments += [due.at for due in recording_steps(recording, rules)[:1]]
    if recording.outbox:
        moments.append(recording.publishing.at or recording.outbox[0].at)
    return min((moment for moment in moments if moment is not None), default=None)
