"""Starting a recording: check the container, ask ACS, write down where it goes."""

from __future__ import annotations

import hashlib
import json
import logging
import uuid
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from shared.domain import naming
from shared.domain.errors import (
    AcsTimeout,
    AcsUnavailable,
    BlobExists,
    Fault,
    InvalidRequest,
    RecordingInProgress,
    StorageError,
)
from shared.domain.recording import Recording
from shared.domain.redaction import clean
from shared.logs import describe, log
from shared.start import call_index as calls
from shared.start.request import parse_start_request

if TYPE_CHECKING:
    from datetime import timedelta

    from shared.domain.locations import AllowList, ContainerUrl
    from shared.ports import Acs, Clock, StartedRecording
    from shared.start.preflight import Preflight
    from shared.start.request import StartRequest
    from shared.store import Books

_START_TRIES = 3


@dataclass(frozen=True)
class Started:
    """A started recording, as answered. `is_replay`: an earlier answer to the same Idempotency-Key."""

    answer: dict[str, Any]
    is_replay: bool = False


class Start:
    """Starts recordings. One for the process; safe for many threads."""

    def __init__(
        self,
        *,
        books: Books,
        acs: Acs,
        preflight: Preflight,
        clock: Clock,
        allowed: AllowList,
        default_container: ContainerUrl,
        window: timedelta,
        silent_after: timedelta,
    ) -> None:
        self._books = books
        self._acs = acs
        self._preflight = preflight
        self._clock = clock
        self._allowed = allowed
        self._default = default_container
        self._window = window
        self._silent_after = silent_after

    def start(self, body: Any, *, idempotency_key: str | None) -> Started:
        """Starts what `body` (decoded JSON) asks for. InvalidRequest, ContainerNotReady, AcsError, StorageError."""
        request = parse_start_request(body, default_container=self._default, allowed=self._allowed)
        note = f"starts/{naming.recording_key(idempotency_key)}" if idempotency_key else None
        fingerprint = hashlib.sha256(repr(request).encode("utf-8", "surrogatepass")).hexdigest()
        earlier = self._earlier(note, fingerprint)
        if earlier:
            return Started(earlier, is_replay=True)
        warning = self._preflight.check(request.container)
        repeatability = naming.repeatability_id(idempotency_key) if idempotency_key else str(uuid.uuid4())
        started = self._ask(request, repeatability)
        warnings = [warning] if warning else []
        warnings += self._write_down(request, started)
        answer = self._answer(request, started, warnings)
        if note:
            self._remember(note, fingerprint, answer)
        log(
            "recording.started",
            recording=answer["key"],
            locator=request.locator,
            container=str(request.container),
            kind=f"{request.content} {request.channel} {request.format}",
            warnings=warnings,
        )
        return Started(answer)

    def _earlier(self, note: str | None, fingerprint: str) -> dict[str, Any] | None:
        kept = self._books.ledger.get_note(note) if note else None
        if kept is None:
            return None
        remembered = json.loads(kept)
        if remembered["fingerprint"] != fingerprint:
            message = "was used for another request; a new start needs a new key"
            raise InvalidRequest([Fault("Idempotency-Key", message)])
        answer = remembered["answer"]
        return answer if isinstance(answer, dict) else None

    def _ask(self, request: StartRequest, repeatability: str) -> StartedRecording:
        """Asks ACS; again after a passing fault: the first answer may be lost, and its recording run unknown to us.

        Under the same repeatability id ACS starts nothing twice. Where it says how long to wait, the caller is told
        so instead: an HTTP function does not sit and wait.
        """
        for attempt in range(1, _START_TRIES):
            try:
                return self._asked_once(request, repeatability)
            except (AcsUnavailable, AcsTimeout) as error:
                if error.retry_after is not None:
                    raise
                self._clock.pause(0.25 * attempt)
        return self._asked_once(request, repeatability)

    def _asked_once(self, request: StartRequest, repeatability: str) -> StartedRecording:
        try:
            return self._acs.start_recording(request, container=request.container, repeatability_id=repeatability)
        except RecordingInProgress as error:
            key = self._known(request)
            if key:
                error.args = (f"{error} (recording {key} of this app)",)
            raise

    def _known(self, request: StartRequest) -> str | None:
        """The key of the recording that runs on this call already, if this app started it."""
        try:
            return calls.newest(self._books.ledger, request.locator_id)
        except StorageError:
            return None

    def _write_down(self, request: StartRequest, started: StartedRecording) -> list[str]:
        """Ledger and index. The recording runs already: what fails here is a warning in the answer, not an error."""
        now = self._clock.now()
        key = naming.recording_key(started.recording_id)
        fresh = Recording(
            key=key,
            container_url=str(request.container),
            created_at=now,
            deadline=now + self._window,
            recording_id=started.recording_id,
            server_call_id=request.locator_id if request.locator == "serverCallId" else None,
            started_here=True,
            content_type=request.content.lower(),
            channel_type=request.channel,
            format_type=request.format,
            check_at=now + self._silent_after,
        )

        def decide(before: Recording | None) -> Recording | None:
            if before is None:
                return fresh
            # Its event was faster than we are, or the same key was used twice.
            return None if before.started_here else replace(before, started_here=True)

        try:
            self._books.change_or_create(key, decide)
            calls.remember(self._books.ledger, request.locator_id, key=key, at=now)
        except StorageError as error:
            log("ledger.failed", level=logging.ERROR, recording=key, error=describe(error))
            what = "the recording runs, but could not be written to the ledger: if its export fails, "
            return [what + "it will be rescued to the default container"]
        return []

    def _answer(self, request: StartRequest, started: StartedRecording, warnings: list[str]) -> dict[str, Any]:
        answer: dict[str, Any] = {
            "recordingId": started.recording_id,
            "key": naming.recording_key(started.recording_id),
            "recordingState": started.state,
            "recordingKind": started.kind,
            "containerUrl": str(request.container),
            "recordingContent": request.content,
            "recordingChannel": request.channel,
            "recordingFormat": request.format,
        }
        if warnings:
            answer["warnings"] = [clean(warning) for warning in warnings]
        return answer

    def _remember(self, note: str, fingerprint: str, answer: dict[str, Any]) -> None:
        data = json.dumps({"fingerprint": fingerprint, "answer": answer}).encode()
        try:
            self._books.ledger.put_note(note, data, is_new_only=True)
        except BlobExists:
            return  # the same key, at the same moment: ACS gave both the same recording
        except StorageError as error:
            log("ledger.failed", level=logging.WARNING, error=describe(error))
