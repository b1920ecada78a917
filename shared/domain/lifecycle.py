"""`decide`: the only place that changes a recording after its reports are in.

Theory of operation
    A worker performs the step that `steps.py` names and hands the fact it came to (`facts.py`) to `decide`, which
    returns the recording as it is then. It is a function of its arguments: after a lost race for the document it runs
    again on what is there by then. It does no I/O, so a crash is either before its result is written (the step is
    done again, which is harmless) or after it (everything owed is in the document).

    | step      | it went well          | it failed, time left                | no time left                   |
    |-----------|-----------------------|-------------------------------------|--------------------------------|
    | verify    | exported              | absent: fetched now; else again     | last look; no answer: for days |
    | fetch     | rescued, in_fallback  | again; budget spent: again, now     | last look                      |
    | last_look | as verify or fetch    | no answer: again within six hours   | the spare; lost, unconfirmed   |
    | deliver   | placed, delivered     | again, slower; copy gone: pending   | undeliverable                  |
    | metadata  | saved                 | again                               | absent                         |
    | prove     | digest known          | again, three attempts               | digest unavailable, and why    |
    | check     | intact, or damaged    | again, three attempts               | unreachable, and why           |
    | finish    | closed                | again, slower                       | manifest given up, closed      |

    Facts about bytes count at any generation and in any state; the rest only for the plan they belong to (the fence).
    A failure that needs a person owes its alert in the same write; any other cause does when it lasts.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from shared.domain import byte_facts, checking, plan_facts, recording_facts
from shared.domain import facts as f
from shared.domain.backoff import spread
from shared.domain.errors import Blame
from shared.domain.journal import noted
from shared.domain.planning import alert_once, cause_alerted
from shared.domain.recording import IN_PLACE_STATES, TRANSITIONS, Manifest, Step
from shared.domain.steps import is_settled

if TYPE_CHECKING:
    from collections.abc import Callable

    from shared.domain.context import Context
    from shared.domain.recording import Chunk, Recording

_CRASHES_TO_ALERT = 3


def decide(recording: Recording, fact: f.Fact, c: Context) -> Recording:
    """The recording after `fact`; the same object where the fact changes nothing."""
    if isinstance(fact, f.RecordingFact):
        return _consistent(recording, _OF_RECORDING[type(fact)](recording, fact, c))
    chunk = recording.chunk(fact.chunk_key)
    if chunk is None:
        return recording  # rotated out (`intake/merge.py`): a later report brings it back
    if type(fact) in _FENCED and fact.generation != chunk.generation:
        return recording
    return _consistent(recording, _OF_CHUNK[type(fact)](recording, chunk, fact, c))


def _consistent(before: Recording, after: Recording) -> Recording:
    """The manifest is written again when what it tells has changed; a chunk that is under way again opens a record."""
    if before.closed_at is None or after is before:
        return after
    if after.manifest.state != "pending" and _shown(after) != _shown(before):
        after = replace(after, manifest=Manifest("pending", after.manifest.blob))
    if not all(is_settled(chunk) for chunk in after.chunks):
        after = replace(after, closed_at=None)
    return after


def _shown(recording: Recording) -> list[tuple[Any, ...]]:
    return [(one.key, one.state, one.blob, one.size, one.sha256, one.digest_state) for one in recording.chunks]


def _failed(recording: Recording, chunk: Chunk, fact: f.Failed, c: Context) -> Recording:
    """By the step that failed."""
    if fact.also:
        recording = cause_alerted(recording, chunk, fact.also, c)
    if fact.step is Step.DELIVER:
        return plan_facts.deliver_failed(recording, chunk, fact.failure, fact, c)
    if fact.step is Step.METADATA:
        return plan_facts.metadata_failed(recording, chunk, fact.failure, c)
    if fact.step is Step.PROVE:
        return byte_facts.prove_failed(recording, chunk, fact.failure, fact, c)
    if fact.step is Step.CHECK:
        return checking.check_failed(recording, chunk, fact.failure, c)
    if fact.step is Step.LAST_LOOK:
        return plan_facts.look_failed(recording, chunk, fact, c)
    if fact.refuted:
        sources = tuple(
            replace(source, failures=source.failures + 1) if source.url in fact.refuted else source
            for source in chunk.sources
        )
        chunk = replace(chunk, sources=sources)
    if fact.is_confirmed:
        chunk = replace(chunk, is_confirmed=True)
    if fact.staged and not chunk.is_safe:
        chunk = replace(chunk, staged=fact.staged)
    return plan_facts.attempt_failed(recording.with_chunk(chunk), chunk, fact, fact.failure, c, progress=fact.progress)


def _worker_died(recording: Recording, chunk: Chunk, fact: f.WorkerDied, c: Context) -> Recording:
    """Put off rather than begun again at once: a chunk that kills its worker each time harms no other."""
    if chunk.lease != fact.lease:
        return recording  # renewed or given up meanwhile: the fact is late
    counted = replace(chunk, crashes=chunk.crashes + 1, lease=None)
    failure = f.Failure("worker_crashed", Blame.APP, f"crash {counted.crashes} of a worker on this chunk")
    is_often = counted.crashes >= _CRASHES_TO_ALERT
    recording = noted(recording.with_chunk(counted), "worker_died", at=c.now, chunk=chunk)
    if is_often:
        recording = alert_once(recording, counted, replace(failure, code="worker_crashing"), c)
    if fact.lease.step in (Step.DELIVER, Step.PROVE, Step.CHECK):
        return _failed(recording, counted, f.Failed(chunk.key, chunk.generation, fact.lease.step, failure), c)
    wait = c.rules.retry.longest if is_often else None
    return plan_facts.attempt_failed(recording, counted, fact, failure, c, at_least=wait)


def _overdue(recording: Recording, chunk: Chunk, fact: f.Overdue, c: Context) -> Recording:
    """Planned again: its message was lost, or its worker is gone."""
    if chunk.lease and c.now < chunk.lease.until:
        return recording
    if chunk.lease:
        return _worker_died(recording, chunk, f.WorkerDied(chunk.key, fact.generation, chunk.lease), c)
    at = spread(now=c.now, within=timedelta(seconds=20), random=c.random)
    return noted(recording.with_chunk(chunk.rescheduled(at)), "rescheduled", at=c.now, chunk=chunk)


_OF_CHUNK: dict[type[Any], Callable[..., Recording]] = {
    f.StepStarted: plan_facts.step_started,
    f.LeaseKept: plan_facts.lease_kept,
    f.ExportFound: byte_facts.export_found,
    f.ExportDoubtful: byte_facts.export_doubtful,
    f.Stored: byte_facts.stored,
    f.Copied: byte_facts.copied,
    f.CopyMissing: byte_facts.copy_missing,
    f.Failed: _failed,
    f.Continued: plan_facts.continued,
    f.WorkerDied: _worker_died,
    f.Overdue: _overdue,
    f.NowhereFound: plan_facts.nowhere_found,
    f.MetadataSaved: byte_facts.metadata_saved,
    f.MetadataAbsent: byte_facts.metadata_absent,
    f.Proved: byte_facts.proved,
    f.LengthConfirmed: byte_facts.length_confirmed,
    f.FileChecked: checking.file_checked,
    f.MetadataChecked: checking.metadata_checked,
    f.Cleaned: byte_facts.cleaned,
    f.Deleted: byte_facts.deleted,
}
_FENCED = frozenset(
    {
        f.StepStarted,
        f.LeaseKept,
        f.Failed,
        f.Continued,
        f.WorkerDied,
        f.Overdue,
        f.NowhereFound,
        f.ExportDoubtful,
        f.CopyMissing,
    }
)
_OF_RECORDING: dict[type[Any], Callable[..., Recording]] = recording_facts.DECISIONS


def states_diagram() -> str:
    """The table as a Mermaid state diagram, for docs/architecture.md (a test keeps the two equal)."""
    lines = ["stateDiagram-v2", "    [*] --> expected", "    [*] --> pending"]
    lines += [f"    {a} --> {b}" for a, targets in TRANSITIONS.items() for b in sorted(targets)]
    lines += [f"    {a} --> [*]" for a in TRANSITIONS if a in IN_PLACE_STATES]
    return "\n".join(lines)
