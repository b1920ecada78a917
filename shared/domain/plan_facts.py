"""Decisions on facts that end a plan: a failure, a hand-over, a dead worker. They count for their own plan only."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from shared.domain import facts as f
from shared.domain import places
from shared.domain.backoff import History, next_attempt
from shared.domain.journal import alerted, announced, noted
from shared.domain.media import Proof
from shared.domain.planning import alert_once, cause_alerted, going_on, noted_failure, slowly
from shared.domain.recording import MISSING_STATES, ChunkState, Lease, Spare, Step
from shared.domain.steps import chunk_step

if TYPE_CHECKING:
    from shared.domain.context import Context
    from shared.domain.recording import Chunk, Recording

# A reported export that cannot be checked is fetched from ACS after this many attempts, if ACS's copy can be named.
_VERIFY_ATTEMPTS = 5
# For so long after the window a chunk is not called lost while a container that may hold it cannot be asked.
_LATE_LOOKS = timedelta(hours=6)
# The export is not there, as opposed to: the container gave no answer.
_ABSENT = frozenset({"export_not_found", "export_empty", "export_broken"})
# Answers that say no more than "not here": what gave nothing else may never have been a chunk.
_NOT_HERE = frozenset(
    {"media_not_found", "media_bad_request", "media_location_refused", "media_is_a_page", "media_empty"} | _ABSENT
)


def step_started(recording: Recording, chunk: Chunk, fact: f.StepStarted, c: Context) -> Recording:
    """The lease, unless another worker has done the step meanwhile, or is at it.

    With the first fetch the folder is fixed: from now on bytes may be staged there.
    """
    if chunk_step(chunk) is not fact.step:
        return recording
    if chunk.lease and chunk.lease.holder != fact.holder and c.now < chunk.lease.until:
        return recording
    leased = replace(chunk, lease=Lease(fact.step, fact.holder, fact.until, c.now))
    if fact.step is not Step.FETCH:
        return recording.with_chunk(leased)
    recording = recording.with_chunk(replace(leased, folder=places.folder_of(recording, chunk)))
    if any(entry.kind == "rescue_started" and entry.chunk == chunk.index for entry in recording.timeline):
        return recording
    begun = noted(recording, "rescue_started", at=c.now, chunk=chunk)
    # A timeline that is full (a flood of invented chunks) keeps no entry, and nothing is announced either.
    return (
        announced(begun, "rescue_started", at=c.now, chunk=chunk)
        if c.rules.has_topic and begun is not recording
        else begun
    )


def lease_kept(recording: Recording, chunk: Chunk, fact: f.LeaseKept, _c: Context) -> Recording:
    """The lease lasts longer, as long as it is still that worker's."""
    if chunk.lease is None or (chunk.lease.step, chunk.lease.holder) != (fact.step, fact.holder):
        return recording
    return recording.with_chunk(replace(chunk, lease=replace(chunk.lease, until=fact.until)))


def attempt_failed(
    recording: Recording,
    chunk: Chunk,
    fact: f.ChunkFact,
    failure: f.Failure,
    c: Context,
    *,
    progress: int = 0,
    at_least: timedelta | None = None,
) -> Recording:
    """A verification or a fetch failed: the next attempt is planned, or the window is over."""
    if fact.generation != chunk.generation or not chunk.is_missing:
        return recording
    again = noted_failure(chunk, failure, c, progress=progress)
    recording = noted(recording, "attempt_failed", at=c.now, chunk=chunk, code=failure.code, detail=failure.message)
    is_absent = failure.code in _ABSENT
    if chunk.state is ChunkState.EXPECTED and chunk.sources and (is_absent or again.attempts >= _VERIFY_ATTEMPTS):
        # ACS has the media all the same: the worker that is at it goes on and fetches them.
        fetched = replace(again.to(ChunkState.PENDING), failures=0, lease=None, next_attempt_at=c.now)
        if failure.code == "export_empty":
            fetched = places.in_own_folder(recording, fetched)
        recording = recording.with_chunk(fetched)
        return alert_once(recording, chunk, failure, c, level="warning") if is_absent else recording
    planned = _planned(recording, again, failure, c, at_least=at_least)
    return cause_alerted(recording.with_chunk(planned), planned, failure, c)


def _planned(
    recording: Recording, again: Chunk, failure: f.Failure, c: Context, *, at_least: timedelta | None
) -> Chunk:
    is_unconfirmed = not again.is_confirmed and failure.code in _NOT_HERE and recording.started is None
    history = History(
        again.failures - 1,
        again.at_risk_from,
        again.abandon_after,
        again.is_last_attempt_done,
        again.reported_at if is_unconfirmed else None,
    )
    plan = next_attempt(c.rules.retry, history, now=c.now, random=c.random, retry_after=at_least or failure.retry_after)
    if plan is not None:
        return replace(again.rescheduled(plan.at), is_last_attempt_done=again.is_last_attempt_done or plan.is_last)
    is_unanswered = again.state is ChunkState.EXPECTED and failure.code not in _ABSENT
    if is_unanswered and c.now < again.abandon_after + c.rules.delivery_window:
        # An export that is reported and cannot be checked is not lost with the window: it may well be there.
        return slowly(again, c)
    return replace(again.rescheduled(c.now), is_exhausted=True)


def deliver_failed(recording: Recording, chunk: Chunk, failure: f.Failure, fact: f.ChunkFact, c: Context) -> Recording:
    """The bytes are safe: again, slower, for the delivery days; then they stay where they are."""
    if fact.generation != chunk.generation or chunk.state is not ChunkState.IN_FALLBACK:
        return recording
    again = noted_failure(chunk, failure, c)
    recording = noted(recording, "delivery_failed", at=c.now, chunk=chunk, code=failure.code, detail=failure.message)
    if c.now >= chunk.abandon_after + c.rules.delivery_window:
        given_up = replace(again.to(ChunkState.UNDELIVERABLE), placed=None, failures=0, digest_attempts=0)
        recording = recording.with_chunk(going_on(given_up, c, is_same_plan=True))
        return alerted(recording, "delivery_given_up", at=c.now, chunk=chunk, code=failure.code)
    return cause_alerted(recording.with_chunk(slowly(again, c)), again, failure, c)


def metadata_failed(recording: Recording, chunk: Chunk, failure: f.Failure, c: Context) -> Recording:
    """Tried for as long as ACS may have them; the recording is whole without them."""
    if not chunk.is_in_place:
        return recording
    again = noted_failure(chunk, failure, c)
    if not chunk.metadata_sources:
        # What ACS exports stays in the container, however late it is seen: nothing is won by asking often.
        planned = slowly(again, c) if c.now < chunk.at_risk_from else None
    else:
        history = History(again.failures - 1, chunk.at_risk_from, chunk.abandon_after, chunk.is_last_attempt_done)
        plan = next_attempt(c.rules.retry, history, now=c.now, random=c.random, retry_after=failure.retry_after)
        planned = replace(again.rescheduled(plan.at), is_last_attempt_done=plan.is_last) if plan else None
    if planned is not None:
        return recording.with_chunk(planned)
    absent = going_on(replace(again, metadata_state="absent", failures=0), c, is_same_plan=True)
    return alerted(
        recording.with_chunk(absent), "metadata_lost", at=c.now, level="warning", chunk=chunk, code=failure.code
    )


def look_failed(recording: Recording, chunk: Chunk, fact: f.Failed, c: Context) -> Recording:
    """A container that may hold the chunk cannot be asked: asked again for some hours."""
    if chunk.is_safe or chunk.state is ChunkState.DAMAGED:
        return recording
    if c.now >= chunk.abandon_after + _LATE_LOOKS or chunk.state in MISSING_STATES:
        return nowhere_found(recording, chunk, f.NowhereFound(chunk.key, chunk.generation), c)
    return recording.with_chunk(slowly(noted_failure(chunk, fact.failure, c), c))


def nowhere_found(recording: Recording, chunk: Chunk, _fact: f.NowhereFound, c: Context) -> Recording:
    """The window is over and the last look was made: the spare, if there is one; else the chunk is lost."""
    if not chunk.is_missing:
        return recording
    over = replace(chunk, is_exhausted=False, lease=None, next_attempt_at=None)
    if chunk.spare:
        return _spare_taken(recording, over, chunk.spare, c)
    if chunk.before_damage is not None:
        still = over.to(ChunkState.DAMAGED)
        return noted(recording.with_chunk(still), "still_damaged", at=c.now, chunk=chunk)
    if chunk.state in MISSING_STATES:
        return noted(recording.with_chunk(over), "looked_again", at=c.now, chunk=chunk)
    code = chunk.last_error.code if chunk.last_error else None
    is_confirmed = chunk.is_confirmed or recording.started is not None or code not in _NOT_HERE
    state = ChunkState.LOST if is_confirmed else ChunkState.UNCONFIRMED
    lost = replace(over.to(state), finished_at=c.now, lease=None, next_attempt_at=None)
    message = chunk.last_error.message if chunk.last_error else None
    return alerted(recording.with_chunk(lost), state.value, at=c.now, chunk=chunk, code=code, message=message)


def _spare_taken(recording: Recording, chunk: Chunk, spare: Spare, c: Context) -> Recording:
    """Bytes that nothing proves to be whole are better than none: kept, marked, and an alert."""
    # The file of a damaged chunk is back, by its name and size: what was known of its bytes is compared with them.
    is_back = chunk.before_damage is not None and spare.name == chunk.blob and spare.where == "destination"
    sha256 = spare.sha256 or (chunk.sha256 if is_back else None)
    kept = replace(
        chunk,
        spare=None,
        size=spare.size,
        sha256=sha256,
        format=spare.format,
        proof=Proof.NONE,
        digest_state="done" if sha256 else "pending",
        check=None,
        is_check_due=sha256 != spare.sha256,
        before_damage=None,
        finished_at=c.now,
        safe_at=c.now,
        failures=0,
    )
    if spare.where == "destination":
        metadata = kept.metadata_state if kept.metadata_sources or kept.metadata_exports else "absent"
        kept = replace(kept.to(ChunkState.EXPORTED), blob=spare.name, metadata_state=metadata).rescheduled(c.now)
    else:
        name = places.media_name(recording, chunk, spare.format)
        kept = replace(kept.to(ChunkState.IN_FALLBACK), blob=name, fallback_blob=spare.name).rescheduled(c.now)
    message = f"{spare.size} bytes are kept; nothing shows that they are all"
    return alerted(recording.with_chunk(kept), "unproven", at=c.now, chunk=chunk, message=message)


def continued(recording: Recording, chunk: Chunk, fact: f.Continued, c: Context) -> Recording:
    """The same chunk goes on at once in the next invocation; no failed attempt."""
    goes_on = replace(chunk.rescheduled(c.now), failures=0, continuations=chunk.continuations + 1)
    if fact.staged and not chunk.is_safe:
        goes_on = replace(goes_on, staged=fact.staged)
    return noted(recording.with_chunk(goes_on), "continued", at=c.now, chunk=chunk, code=fact.step.value)
