"""What an event sets going: its report in the ledger, one message for each plan that is new, and nothing else.

No byte is moved and the customer's container is not asked here: Event Grid waits 30 s, and a container behind a closed
network answers nothing for longer than that. Whose recording an event is about is found by every id it names: the
recording's own; the call that a recording was started for; the group or room that a call is of (CallStarted).
"""

from __future__ import annotations

import hashlib
import json
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shared import index
from shared.domain import facts as f
from shared.domain import naming
from shared.domain.errors import EventRejected
from shared.domain.journal import is_raised
from shared.domain.redaction import clean
from shared.intake.event import (
    CALL_STARTED,
    MAX_EVENT_CHARACTERS,
    RECORDING_FILE_STATUS_UPDATED,
    parse_call_started,
    parse_envelopes,
    parse_recording_file_status,
    redacted,
)
from shared.intake.merge import Merge, Report
from shared.logs import log
from shared.sightings import OTHER_EVENT, RECORDING_EVENT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shared.domain.locations import AllowList, ContainerUrl
    from shared.domain.recording import Recording
    from shared.intake.event import CallStarted, Envelope, RecordingFileStatus
    from shared.ports import Clock, Version
    from shared.sightings import Sightings
    from shared.store import RecordingStore


@dataclass(frozen=True)
class Outcome:
    """What came of one event: recorded, repeated (nothing new), paired (a call and its group), ignored or rejected."""

    kind: str
    key: str | None = None
    error: EventRejected | None = None

    @property
    def reason(self) -> str | None:
        """Why it was rejected."""
        return f"{self.error.reason}: {self.error}" if self.error else None


class EventIntake:
    """Handles events. One for the process; safe for many threads."""

    def __init__(
        self,
        *,
        store: RecordingStore,
        seen: Sightings,
        clock: Clock,
        allowed: AllowList,
        default_container: ContainerUrl,
    ) -> None:
        self._seen = seen
        self._store = store
        self._clock = clock
        self._merge = Merge(allowed=allowed, default_container=default_container, rules=store.rules)

    def handle(self, raw: str) -> None:
        """What the Event Grid trigger delivered. StorageError, TooManyUntried: Event Grid delivers it again."""
        for outcome in self.take(raw):
            if outcome.error is not None:
                self._reject(raw, outcome.error)
            self._seen.saw(RECORDING_EVENT if outcome.kind in ("recorded", "repeated") else OTHER_EVENT)

    def take(self, raw: str) -> Iterator[Outcome]:
        """Records what is in `raw`, event by event; what came of each. What is rejected is not kept here.

        StorageError, TooManyUntried, as the outcomes are taken.
        """
        try:
            envelopes = parse_envelopes(raw)
        except EventRejected as error:
            yield Outcome("rejected", error=error)
            return
        for envelope in envelopes:
            if isinstance(envelope, EventRejected):
                yield Outcome("rejected", error=envelope)
                continue
            try:
                yield from self._one(envelope, raw)
            except EventRejected as error:
                yield Outcome("rejected", error=error)

    def _one(self, envelope: Envelope, raw: str) -> Iterator[Outcome]:
        if envelope.type.lower() == RECORDING_FILE_STATUS_UPDATED:
            status = parse_recording_file_status(envelope)
            if status.faults:
                yield Outcome("rejected", error=EventRejected("faults", "; ".join(status.faults)))
            yield self._record(status, raw)
        elif envelope.type.lower() == CALL_STARTED:
            started = parse_call_started(envelope)
            if started:
                self._pair(started)
            yield Outcome("paired" if started else "ignored")
        else:
            log("event.ignored", type=envelope.type, id=envelope.id)
            yield Outcome("ignored")

    def _reject(self, raw: str, error: EventRejected) -> None:
        """Keeps what came, without secrets, with the reason beside it."""
        now = self._clock.now()
        digest = hashlib.sha256(raw.encode("utf-8", "surrogatepass")).hexdigest()[:16]
        event = redacted(raw[:MAX_EVENT_CHARACTERS], limit=MAX_EVENT_CHARACTERS)
        kept = {"reason": error.reason, "message": clean(str(error)), "receivedAt": now.isoformat(), "event": event}
        self._store.ledger.keep_rejected(f"{now:%Y%m%d}/{error.reason}-{digest}.json", json.dumps(kept).encode())
        log("event.rejected", level=logging.ERROR, reason=error.reason, message=str(error), kept=digest)

    # --- a recording's files

    def _record(self, status: RecordingFileStatus, raw: str) -> Outcome:
        key, version, is_joined = self._resolve(status)
        is_unmatched = not is_joined and status.recording_id is None
        report = Report(status, redacted(raw), self._clock.now())
        found: list[Recording | None] = []

        def merged(current: Recording | None) -> Recording | None:
            found.append(current)
            return self._merge.merge(current, key, report, is_unmatched=is_unmatched)

        written = self._store.commit(key, version, merged)
        if written is None:  # it was there a moment ago: only a person's hand removes ledger documents
            return Outcome("ignored")
        recording, before = written.recording, found[0]
        is_changed = before is None or recording.revision != before.revision
        log(
            "event.recorded" if is_changed else "event.repeated",
            recording=key,
            id=status.event_id,
            chunks=len(status.chunks),
            state=recording.state,
            at_risk_from=recording.at_risk_from,
        )
        if not is_changed:
            self._sent_again(recording)
        self._indexed(before, recording, status, is_joined=is_joined, is_unmatched=is_unmatched)
        return Outcome("recorded" if is_changed else "repeated", key)

    def _sent_again(self, recording: Recording) -> None:
        """First attempts whose message may be missing: the process died after the write, and Event Grid delivers
        again. Where the message is there, too, the second one finds the plan done.
        """
        for chunk in recording.chunks:
            if chunk.is_at_risk and chunk.attempts == 0 and chunk.lease is None:
                self._store.send_chunk(recording, chunk)

    def _resolve(self, status: RecordingFileStatus) -> tuple[str, Version | None, bool]:
        """The ledger key of the event's recording, its document if that was read, and whether it was started here."""
        ledger = self._store.ledger
        if status.recording_id:
            known = index.known_by(ledger, status.recording_id)
            if known:
                return known[-1].key, self._store.load(known[-1].key), True
        joined = self._started_for(status)
        if joined is not None:
            return joined.recording.key, joined, True
        start = status.recording_start.isoformat() if status.recording_start else status.chunks[0].document_id
        key = naming.recording_key(status.recording_id or f"{status.call_id or status.server_call_id}@{start}")
        # The commit reads it, a closed one too: what is new of it is folded in, never made afresh beside it.
        return key, None, False

    def _started_for(self, status: RecordingFileStatus) -> Version | None:
        """The recording that was started here for the event's call, if its id does not say that it is another."""
        if not status.server_call_id:
            return None
        ledger = self._store.ledger
        known = index.known_by(ledger, status.server_call_id)
        found = index.begun_at(known, status.recording_start)
        if found is None:
            found = index.begun_at(index.known_by_alias(ledger, status.server_call_id), status.recording_start)
        version = self._store.load(found.key) if found else None
        if version is None:
            return None
        own = version.recording.recording_id
        is_another = own and status.recording_id and naming.normal_id(own) != naming.normal_id(status.recording_id)
        return None if is_another else version

    def _indexed(
        self,
        before: Recording | None,
        recording: Recording,
        status: RecordingFileStatus,
        *,
        is_joined: bool,
        is_unmatched: bool,
    ) -> None:
        """Found by every id: what was joined by its call, and what could not be joined and may be later."""
        ledger, at = self._store.ledger, status.recording_start or recording.created_at
        if is_joined and recording.started is not None:
            if status.recording_id and (before is None or before.recording_id is None):
                index.remember(ledger, status.recording_id, key=recording.key, at=at, role=index.REPORTED)
            if status.server_call_id and (before is None or before.server_call_id is None):
                index.remember(ledger, status.server_call_id, key=recording.key, at=at, role=index.REPORTED)
            if status.server_call_id and is_raised(recording, "event_overdue"):
                self._linked(recording, status.server_call_id)
        elif is_unmatched:
            for identity in (status.server_call_id, status.call_id):
                if identity:
                    index.remember(ledger, identity, key=recording.key, at=at, role=index.UNMATCHED)

    # --- calls

    def _pair(self, started: CallStarted) -> None:
        """The group or room of a call: it joins events that name the call to recordings started for the other."""
        ledger, now = self._store.ledger, self._clock.now()
        for other in started.others:
            index.remember_alias(ledger, started.server_call_id, other, at=now)
        unmatched = [one for one in index.known_by(ledger, started.server_call_id) if one.role == index.UNMATCHED]
        for one in unmatched:
            found = index.begun_at(index.known_by_alias(ledger, started.server_call_id), one.at)
            if found is not None:
                self._link(found.key, one.key)
        log("event.call_started", unmatched=len(unmatched))

    def _linked(self, recording: Recording, server_call_id: str) -> None:
        for one in index.known_by(self._store.ledger, server_call_id):
            if one.role == index.UNMATCHED and one.key != recording.key:
                self._link(recording.key, one.key)

    def _link(self, one: str, other: str) -> None:
        """Both records say that they are about one recording; they are not merged, and bytes are not moved."""
        for key, linked in ((one, other), (other, one)):
            version = self._store.load(key)
            if version is not None:
                self._store.record(version, f.Linked(linked))
