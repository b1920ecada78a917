"""Decisions about the whole recording, one function a fact."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from shared.domain import facts as f
from shared.domain.checking import verification_asked
from shared.domain.journal import alerted, announced, is_raised, noted
from shared.domain.planning import alert_once, later
from shared.domain.recording import Manifest, Plan, RecordingState, Step
from shared.domain.reopen import replayed
from shared.domain.steps import is_settled, next_threshold, owes_deletion, threshold_code

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from shared.domain.context import Context
    from shared.domain.recording import Recording

# An event comes one to a few minutes after the end; a retry of Event Grid's on top.
_EVENT_DELAY = timedelta(minutes=15)
_EVENT_GRID_LIFE = timedelta(hours=24)
_ALERT_LIFE = timedelta(hours=24)


def finished(recording: Recording, fact: f.Finished, c: Context) -> Recording:
    """Closed, if the manifest tells of the recording as it is: another chunk may have changed meanwhile."""
    if fact.revision != recording.revision or not recording.chunks:
        return recording
    state = "written" if fact.blob else "given_up"
    closed = replace(
        recording,
        manifest=Manifest(state, fact.blob or recording.manifest.blob),
        finishing=Plan(),
        closed_at=recording.closed_at or c.now,
    )
    # Once each time that it closes: a manifest that is written again tells of the same files.
    if c.rules.has_topic and recording.closed_at is None and closed.state is RecordingState.COMPLETE:
        closed = announced(closed, "stored", at=c.now)
    return noted(closed, "closed", at=c.now, code=closed.state.value)


def step_failed(recording: Recording, fact: f.StepFailed, c: Context) -> Recording:
    """Each step has a plan of its own: none of them holds another up."""
    decision = {
        Step.FINISH: _finish_failed,
        Step.CLEAN: _clean_failed,
        Step.DELETE_AT_ACS: _delete_failed,
        Step.PUBLISH: _publish_failed,
        Step.ASK_ACS: _ask_failed,
    }[fact.step]
    return decision(recording, fact, c)


def _again(plan: Plan, c: Context) -> Plan:
    return Plan(later(c, plan.failures), plan.failures + 1)


def _last_end(recording: Recording) -> datetime:
    return max(chunk.abandon_after for chunk in recording.chunks)


def _finish_failed(recording: Recording, fact: f.StepFailed, c: Context) -> Recording:
    if not recording.chunks or not all(is_settled(chunk) for chunk in recording.chunks):
        return recording
    recording = noted(recording, "manifest_failed", at=c.now, code=fact.failure.code)
    if fact.failure.needs_person:
        recording = alert_once(recording, None, fact.failure, c)
    if c.now >= _last_end(recording) + c.rules.delivery_window:
        given_up = Manifest("given_up", recording.manifest.blob)
        closed_at = recording.closed_at or c.now
        return alerted(
            replace(recording, manifest=given_up, finishing=Plan(), closed_at=closed_at),
            "manifest_given_up",
            at=c.now,
            level="warning",
            code=fact.failure.code,
        )
    return replace(recording, finishing=_again(recording.finishing, c))


def _clean_failed(recording: Recording, fact: f.StepFailed, c: Context) -> Recording:
    if not any(chunk.leftovers for chunk in recording.chunks):
        return recording
    if c.now >= _last_end(recording) + c.rules.delivery_window:
        chunks = tuple(replace(chunk, leftovers=()) if chunk.is_in_place else chunk for chunk in recording.chunks)
        left = replace(recording, chunks=chunks, cleaning=Plan())
        return alerted(left, "fallback_not_cleaned", at=c.now, level="warning", code=fact.failure.code)
    return replace(recording, cleaning=_again(recording.cleaning, c))


def _delete_failed(recording: Recording, fact: f.StepFailed, c: Context) -> Recording:
    if c.now >= _last_end(recording):
        chunks = tuple(
            replace(chunk, deletion="failed") if owes_deletion(chunk) else chunk for chunk in recording.chunks
        )
        return noted(
            replace(recording, chunks=chunks, deleting=Plan()), "deletion_refused", at=c.now, code=fact.failure.code
        )
    return replace(recording, deleting=_again(recording.deleting, c))


def published(recording: Recording, fact: f.Published, _c: Context) -> Recording:
    """What was published is owed no more."""
    left = tuple(alert for alert in recording.outbox if alert.seq not in fact.seqs)
    return replace(recording, outbox=left, publishing=Plan()) if left != recording.outbox else recording


def _publish_failed(recording: Recording, fact: f.StepFailed, c: Context) -> Recording:
    """Backed off; after a day an alert is left to the timeline and the log."""
    known = tuple(replace(one, is_logged=one.is_logged or one.seq in fact.logged) for one in recording.outbox)
    left = tuple(alert for alert in known if c.now - alert.at < _ALERT_LIFE)
    if not recording.outbox:
        return recording
    if len(left) < len(known):
        recording = noted(recording, "alert_not_published", at=c.now, code=fact.failure.code)
    return replace(recording, outbox=left, publishing=_again(recording.publishing, c) if left else Plan())


def acs_answered(recording: Recording, fact: f.AcsAnswered, c: Context) -> Recording:
    """A recording that was started here and of which no event came: still running, or trouble."""
    if recording.chunks or recording.closed_at is not None:
        return recording
    again = replace(recording, event_check_at=c.now + c.rules.silent_after)
    if fact.state == "active":
        return replace(noted(again, "still_recording", at=c.now), ended_seen_at=None)
    if recording.ended_seen_at is None:
        if fact.state is None and c.now < recording.created_at + c.rules.window:
            return again
        # It may have ended a moment ago: events take minutes.
        ended = replace(recording, ended_seen_at=c.now, event_check_at=c.now + _EVENT_DELAY)
        return noted(ended, "ended", at=c.now, code=fact.state)
    if not is_raised(again, "event_overdue"):
        where = f"look in {recording.container_url} for {recording.created_at:%Y%m%d}"
        again = alerted(again, "event_overdue", at=c.now, code=fact.state, message=where)
        again = noted(again, "event_unmatched", at=c.now, detail="no event names this recording")
    if c.now >= recording.ended_seen_at + c.rules.window + _EVENT_GRID_LIFE:
        return alerted(replace(again, closed_at=c.now, event_check_at=None), "no_event", at=c.now, code=fact.state)
    return again


def _ask_failed(recording: Recording, _fact: f.StepFailed, c: Context) -> Recording:
    return acs_answered(recording, f.AcsAnswered(None), c)


def warned(recording: Recording, _fact: f.Warned, c: Context) -> Recording:
    """One alert a threshold and chunk; where several are passed at once, the nearest only."""
    for chunk in recording.chunks:
        if next_threshold(chunk, c.rules) is None:
            continue
        left = chunk.at_risk_from - c.now
        passed = [one for one in c.rules.alert_left if left <= one and (chunk.warned is None or one < chunk.warned)]
        if passed:
            nearest = min(passed)
            recording = recording.with_chunk(replace(chunk, warned=nearest))
            error = chunk.last_error.code if chunk.last_error else "no attempt failed yet"
            message = f"{max(left, timedelta(0)) / timedelta(hours=1):.2f} h left: {error}"
            recording = alerted(
                recording, "deadline", at=c.now, chunk=chunk, code=threshold_code(nearest), message=message
            )
    return recording


def start_answered(recording: Recording, fact: f.StartAnswered, c: Context) -> Recording:
    """ACS records; the recording has an id from now on."""
    known = replace(
        recording,
        recording_id=recording.recording_id or fact.recording_id,
        server_call_id=recording.server_call_id or fact.server_call_id,
    )
    return noted(known, "started", at=c.now, by=recording.started.by if recording.started else c.by)


def linked(recording: Recording, fact: f.Linked, c: Context) -> Recording:
    """Another record is about the same recording: documents are not merged, bytes are not moved."""
    if fact.key in recording.links or fact.key == recording.key:
        return recording
    return noted(replace(recording, links=(*recording.links, fact.key)), "linked", at=c.now, detail=fact.key)


def action_taken(recording: Recording, fact: f.ActionTaken, c: Context) -> Recording:
    """Noted: what ACS makes of it is in later events."""
    return noted(recording, fact.kind, at=c.now, by=c.by)


DECISIONS: dict[type[Any], Callable[..., Recording]] = {
    f.Finished: finished,
    f.StepFailed: step_failed,
    f.AcsAnswered: acs_answered,
    f.Warned: warned,
    f.Published: published,
    f.StartAnswered: start_answered,
    f.Linked: linked,
    f.Replayed: replayed,
    f.ActionTaken: action_taken,
    f.VerificationAsked: verification_asked,
}
