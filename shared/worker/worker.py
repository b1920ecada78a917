"""A queue message comes in: load, ask what is due, do it, record what came of it; again, until nothing is due now.

A message says only *where* something may be due, never what: that is read from the document. So a doubled, late or
lost message does no harm. A step may be performed any number of times; facts about bytes always count, plans once a
generation. Steps that move many bytes hold a lease: another message does nothing while it runs, and the same message
delivered again means that the worker that held it died.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from shared.domain import facts as f
from shared.domain.errors import RecorderError, StorageCorrupted, Unexpected
from shared.domain.recording import ChunkState, Step
from shared.domain.steps import BACKGROUND_STEPS, LEASED_STEPS, chunk_due, chunk_step, recording_steps
from shared.logs import describe, log, stack_summary
from shared.ports import AUDIT_PART, OUTBOX_PART, RECORDING_PART
from shared.telemetry.instruments import FAILURES
from shared.telemetry.port import NO_TELEMETRY
from shared.telemetry.timing import timed_step
from shared.transfer.budget import Budget, TimeBudgetSpentError
from shared.worker.lease import HeldLease

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from shared.domain.recording import Chunk, Recording
    from shared.ports import Clock, Version, WorkItem
    from shared.store import RecordingStore
    from shared.telemetry.port import Span, Telemetry
    from shared.worker.steps import Steps

# The log's events are stable names that queries and alert rules are written against.
_FAILED = {
    Step.VERIFY: "verify.failed",
    Step.FETCH: "fetch.failed",
    Step.LAST_LOOK: "last_look.failed",
    Step.DELIVER: "delivery.failed",
    Step.METADATA: "metadata.failed",
    Step.PROVE: "prove.failed",
    Step.CHECK: "check.failed",
    Step.FINISH: "manifest.failed",
    Step.CLEAN: "clean.failed",
    Step.DELETE_AT_ACS: "deletion.failed",
    Step.ASK_ACS: "ask_acs.failed",
    Step.PUBLISH: "publish.failed",
}
_NOW = {
    ChunkState.EXPECTED: "chunk.expected",
    ChunkState.PENDING: "chunk.pending",
    ChunkState.EXPORTED: "chunk.exported",
    ChunkState.RESCUED: "chunk.rescued",
    ChunkState.IN_FALLBACK: "chunk.in_fallback",
    ChunkState.DELIVERED: "chunk.delivered",
    ChunkState.UNDELIVERABLE: "chunk.undeliverable",
    ChunkState.LOST: "chunk.lost",
    ChunkState.UNCONFIRMED: "chunk.unconfirmed",
    ChunkState.DAMAGED: "chunk.damaged",
}
# The clock of the process that planned a step may be ahead of ours by so much: a message is not sent twice for it.
_CLOCKS_DIFFER = timedelta(seconds=2)
# A pass of the audit begins a day after the one before it, and no run is punctual.
AUDITED_ANEW_AFTER = timedelta(hours=23)
# What is in the containers when it is known, so that the step that found or made it finds it there again.
_FOUND_AGAIN = (f.ExportFound, f.Stored, f.MetadataSaved, f.MetadataAbsent)
# No message leads to more steps than this: a step that changes nothing would be asked for again and again.
_MOST_STEPS = 40


class Worker:
    """Handles queue messages. One for the process; safe for many threads.

    `overdue_after`: a plan whose time has passed by so much is planned again at the next look.
    """

    def __init__(
        self,
        *,
        store: RecordingStore,
        steps: Steps,
        clock: Clock,
        time_budget: timedelta,
        hard_budget: timedelta,
        overdue_after: timedelta,
        telemetry: Telemetry = NO_TELEMETRY,
    ) -> None:
        self._store = store
        self._steps = steps
        self._clock = clock
        self._time_budget = time_budget
        self._hard_budget = hard_budget
        self._overdue_after = overdue_after
        self._telemetry = telemetry

    def handle(self, item: WorkItem, *, message_id: str) -> None:
        """One message. Raises StorageError only when the ledger fails: then the host delivers the message again."""
        try:
            version = self._store.load(item.recording_key)
        except StorageCorrupted as error:
            self._store.quarantine(item.recording_key, error)
            return
        if version is None:
            log("work.unknown", recording=item.recording_key, part=item.part, generation=item.generation)
        elif item.part == OUTBOX_PART:
            # Of two messages for one plan the second comes before the next: it would make a third.
            if self._outbox_due(version) <= self._clock.now() + _CLOCKS_DIFFER:
                self._recording_step(version, Step.PUBLISH)
        elif item.part == AUDIT_PART:
            self._audit(version)
        elif item.part == RECORDING_PART:
            self._whole_recording(self._replanned(version), in_background=True)
        else:
            self._chunk(version, item, message_id)

    # --- a chunk

    def _chunk(self, version: Version, item: WorkItem, message_id: str) -> None:
        begun = self._clock.now()
        chunk = _current(version, item)
        if chunk is None:
            log("work.stale", recording=item.recording_key, chunk=item.part, generation=item.generation)
        elif chunk.lease and self._clock.now() < chunk.lease.until and chunk.lease.holder != message_id:
            log("work.held", recording=item.recording_key, chunk=chunk.index, until=chunk.lease.until)
            return
        elif chunk.lease:
            version = self._record(version, f.WorkerDied(chunk.key, chunk.generation, chunk.lease))
        for _ in range(_MOST_STEPS):
            chunk = _current(version, item)
            step = chunk_step(chunk) if chunk else None
            if chunk is None or step is None:
                break
            before, version = version, self._chunk_step(version, chunk, step, message_id, begun)
            if version is before:
                break
        self._whole_recording(version, in_background=False)

    def _chunk_step(self, version: Version, chunk: Chunk, step: Step, message_id: str, begun: datetime) -> Version:
        lease = HeldLease(
            version, chunk, step, store=self._store, clock=self._clock, holder=message_id, time_budget=self._time_budget
        )
        # Who lost the race for the lease, or whose plan is void by now, does nothing.
        if step in LEASED_STEPS and not lease.take():
            return lease.version
        chunk = lease.version.recording.chunk(chunk.key) or chunk
        budget = Budget(begun + self._time_budget, begun + self._hard_budget, lease.keep)
        if step is Step.DELIVER:
            for fact in self._steps.deliver.metadata_first(lease.version.recording, chunk):
                lease.version = self._record(lease.version, fact)
            chunk = lease.version.recording.chunk(chunk.key) or chunk
        with self._span(step, lease.version.recording, chunk) as span:
            for fact in self._attempted(lease.version.recording, chunk, step, budget):
                if isinstance(fact, f.Failed):
                    span.fail(fact.failure.code)
                held = self._store.hold(lease.version, fact)
                report(lease.version.recording, held.recording, fact)
                lease.version = held if self._leads_on(held, fact) else self._store.settle(held)
        return lease.version

    def _leads_on(self, version: Version, fact: f.Fact) -> bool:
        """Whether a small step of this worker follows at once, so that one commit does for both.

        What is held back so is in the containers: after a crash the step that is done again finds it there.
        """
        if not isinstance(fact, _FOUND_AGAIN):
            return False
        chunk = version.recording.chunk(fact.chunk_key)
        if chunk is None or chunk.generation != fact.generation:
            return False
        step = chunk_step(chunk)
        if step is not None:
            return step is Step.METADATA
        due = next(iter(recording_steps(version.recording, self._store.rules)), None)
        return due is not None and due.step is Step.FINISH and due.at <= self._clock.now()

    def _attempted(self, recording: Recording, chunk: Chunk, step: Step, budget: Budget) -> list[f.Fact]:
        """The facts that a step comes to, whatever happens. A bug costs an attempt, not the recording."""
        failure: RecorderError
        try:
            return self._steps.of_chunk(step, budget)(recording, chunk)
        except TimeBudgetSpentError:
            return [f.Continued(chunk.key, chunk.generation, step)]
        except RecorderError as error:
            failure = error
        except Exception as error:  # noqa: BLE001 - the chunk goes on, and the log says where it failed
            log(
                "work.unexpected",
                level=logging.ERROR,
                chunk=chunk.index,
                error=describe(error),
                at=stack_summary(error),
            )
            failure = Unexpected(type(error).__name__)
        return [f.Failed(chunk.key, chunk.generation, step, f.Failure.of(failure))]

    # --- the whole recording

    def _audit(self, version: Version) -> None:
        """Looks at every file, unless one has looked within the day: a message may come twice."""
        seen = version.recording.verified_at
        if seen is not None and self._clock.now() - seen < AUDITED_ANEW_AFTER:
            return
        asked = self._steps.check.look(version.recording)
        if asked:
            version = self._record(version, asked)
            self._whole_recording(version, in_background=True)

    def _replanned(self, version: Version) -> Version:
        """Plans again what is overdue: its message was lost, or its worker is gone."""
        for chunk in version.recording.chunks:
            due = chunk_due(chunk)
            if due is not None and self._clock.now() - due > self._overdue_after:
                version = self._record(version, f.Overdue(chunk.key, chunk.generation))
        if self._clock.now() - self._outbox_due(version) > self._overdue_after:
            version = self._recording_step(version, Step.PUBLISH)
        return version

    def _outbox_due(self, version: Version) -> datetime:
        """When what is owed is to be published; never where nothing is."""
        owed = version.recording.outbox
        return version.recording.publishing.at or owed[0].at if owed else datetime.max.replace(tzinfo=UTC)

    def _whole_recording(self, version: Version, *, in_background: bool) -> None:
        """The steps on the whole recording that are due now. Background ones are left to the background queue."""
        done: set[tuple[Step, int]] = set()
        for _ in range(_MOST_STEPS):
            upcoming = recording_steps(version.recording, self._store.rules)
            due = next((one for one in upcoming if one.at <= self._clock.now() + _CLOCKS_DIFFER), None)
            if due is None or (due.step, version.recording.revision) in done:
                break
            if due.step in BACKGROUND_STEPS and not in_background:
                self._store.send_look(version.recording, is_background=True)
                break
            done.add((due.step, version.recording.revision))
            version = self._recording_step(version, due.step)
        self._store.settle(version)

    def _recording_step(self, version: Version, step: Step) -> Version:
        facts: list[f.Fact]
        with self._span(step, version.recording) as span:
            try:
                facts = self._steps.of_recording(step)(version.recording)
            except RecorderError as error:
                facts = [f.StepFailed(step, f.Failure.of(error))]
            except Exception:
                self._store.settle(version)
                raise
            for fact in facts:
                if isinstance(fact, f.StepFailed):
                    span.fail(fact.failure.code)
                    blame = fact.failure.blame.value
                    self._telemetry.count(FAILURES, step=step.value, cause=fact.failure.code, blame=blame)
                version = self._record(version, fact)
        return version

    def _span(self, step: Step, recording: Recording, chunk: Chunk | None = None) -> AbstractContextManager[Span]:
        """A step and the commits of what it comes to, traced and measured."""
        about: dict[str, str | int] = {"recording": recording.key}
        if chunk is not None:
            about |= {"chunk": chunk.index, "attempt": chunk.attempts + 1}
        return timed_step(self._telemetry, self._clock, step.value, about)

    def _record(self, version: Version, fact: f.Fact) -> Version:
        after = self._store.record(version, fact)
        report(version.recording, after.recording, fact)
        return after


def _current(version: Version, item: WorkItem) -> Chunk | None:
    """The chunk, as long as its plan is the one that the message was sent for."""
    chunk = version.recording.chunk(item.part)
    return chunk if chunk is not None and chunk.generation == item.generation else None


def report(before: Recording, after: Recording, fact: f.Fact) -> None:
    """One log line for what a fact changed."""
    if before == after:
        return
    if isinstance(fact, f.Failed):
        chunk = after.chunk(fact.chunk_key)
        log(
            _FAILED[fact.step],
            level=logging.WARNING,
            recording=after.key,
            chunk=chunk.index if chunk else None,
            code=fact.failure.code,
            blame=fact.failure.blame,
            message=fact.failure.message,
            attempts=chunk.attempts if chunk else None,
            staged=fact.progress,
            next_attempt_at=chunk.next_attempt_at if chunk else None,
            trace_id=fact.failure.trace_id,
        )
    elif isinstance(fact, f.StepFailed):
        log(_FAILED[fact.step], level=logging.WARNING, recording=after.key, code=fact.failure.code)
    elif isinstance(fact, f.Finished):
        size = sum(chunk.size or 0 for chunk in after.chunks)
        log("recording.closed", recording=after.key, state=after.state, size=size)
    elif isinstance(fact, f.ChunkFact):
        chunk, known = after.chunk(fact.chunk_key), before.chunk(fact.chunk_key)
        if chunk and known and chunk.state is not known.state:
            blocks = {"blocks": fact.blocks, "reused": fact.reused} if isinstance(fact, f.Stored) else {}
            log(
                _NOW[chunk.state],
                recording=after.key,
                chunk=chunk.index,
                size=chunk.size,
                attempts=chunk.attempts,
                **blocks,
            )
