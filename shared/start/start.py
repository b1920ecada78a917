"""Starting a recording: check the container, write down what is about to happen, ask ACS, write down its answer.

The intent is written before ACS is asked: a process that dies in between, or a ledger that fails afterwards, leaves a
recording that events find by the call it was started for, in the container it was started into.
"""

from __future__ import annotations

import hashlib
import json
import logging
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from shared import index
from shared.domain import facts as f
from shared.domain import naming
from shared.domain.errors import (
    AcsError,
    AcsTimeout,
    AcsUnavailable,
    BlobExists,
    Fault,
    InvalidRequest,
    RecordingInProgress,
    StorageError,
)
from shared.domain.recording import Recording, Started
from shared.domain.redaction import clean
from shared.logs import describe, log
from shared.start.request import parse_start_request

if TYPE_CHECKING:
    from shared.domain.locations import AllowList, ContainerUrl
    from shared.ports import Acs, Clock, StartedRecording, StartRequest, Version
    from shared.start.preflight import Preflight
    from shared.store import RecordingStore

_START_ATTEMPTS = 3


@dataclass(frozen=True)
class StartResult:
    """A started recording, as answered. `is_replay`: an earlier answer to the same Idempotency-Key."""

    answer: dict[str, Any]
    is_replay: bool = False


class Start:
    """Starts recordings. One for the process; safe for many threads."""

    def __init__(
        self,
        *,
        store: RecordingStore,
        acs: Acs,
        preflight: Preflight,
        clock: Clock,
        allowed: AllowList,
        default_container: ContainerUrl,
    ) -> None:
        self._store = store
        self._acs = acs
        self._preflight = preflight
        self._clock = clock
        self._allowed = allowed
        self._default = default_container

    def start(self, body: Any, *, idempotency_key: str | None, by: str = "api") -> StartResult:
        """Starts what `body` (decoded JSON) asks for. InvalidRequest, ContainerNotReady, AcsError, StorageError."""
        request = parse_start_request(body, default_container=self._default, allowed=self._allowed)
        note = f"starts/{naming.recording_key(idempotency_key)}" if idempotency_key else None
        fingerprint = hashlib.sha256(repr(request).encode("utf-8", "surrogatepass")).hexdigest()
        earlier = self._earlier(note, fingerprint)
        if earlier:
            return StartResult(earlier, is_replay=True)
        warning = self._preflight.check(request.container)
        repeatability = naming.repeatability_id(idempotency_key) if idempotency_key else str(uuid.uuid4())
        key = naming.recording_key(f"start:{repeatability}")
        warnings = [warning] if warning else []
        server_call_id = self._server_call_id(request)
        intent = self._intend(key, request, by, server_call_id, warnings)
        started = self._ask(request, repeatability, intent)
        server_call_id = server_call_id or self._server_call_id(request)
        warnings += self._write_down(key, request, started, server_call_id, intent, by=by)
        answer = self._answer(key, request, started, warnings)
        if note:
            self._remember(note, fingerprint, answer)
        log(
            "recording.started",
            recording=key,
            locator=request.locator,
            container=str(request.container),
            kind=f"{request.content} {request.channel} {request.format}",
            warnings=warnings,
            by=by,
        )
        return StartResult(answer)

    def _earlier(self, note: str | None, fingerprint: str) -> dict[str, Any] | None:
        kept = self._store.ledger.get_note(note) if note else None
        if kept is None:
            return None
        remembered = json.loads(kept)
        if remembered["fingerprint"] != fingerprint:
            message = "was used for another request; a new start needs a new key"
            raise InvalidRequest([Fault("Idempotency-Key", message)])
        answer = remembered["answer"]
        return answer if isinstance(answer, dict) else None

    # --- the intent

    def _intend(
        self, key: str, request: StartRequest, by: str, server_call_id: str | None, warnings: list[str]
    ) -> Version | None:
        """The open document of a recording that is about to begin, found by its call. A ledger that fails is a warning
        in the answer, not an error: the call is going on, and a recording that is not started cannot be rescued.
        """
        now = self._clock.now()
        fresh = Recording(
            key=key,
            container_url=str(request.container),
            created_at=now,
            started=Started(
                request.locator, request.locator_id, request.content.lower(), request.channel, request.format, now, by
            ),
            server_call_id=server_call_id,
            content_type=request.content.lower(),
            channel_type=request.channel,
            format_type=request.format,
            event_check_at=now + self._store.rules.silent_after,
        )
        try:
            for identity in _ids(request, server_call_id):
                index.remember(self._store.ledger, identity, key=key, at=now, role=index.STARTED)
            return self._store.commit(key, None, lambda before: before or fresh)
        except StorageError as error:
            warnings.append(self._unwritten(key, error))
            return None

    @staticmethod
    def _unwritten(key: str, error: StorageError) -> str:
        log("ledger.failed", level=logging.ERROR, recording=key, error=describe(error))
        what = "the recording runs, but could not be written to the ledger: if its export fails, "
        return what + "it will be rescued to the default container"

    def _withdraw(self, key: str, request: StartRequest, intent: Version | None, error: AcsError) -> None:
        """ACS said no, so there is no recording. Where it gave no answer there may be one: the intent stays."""
        if intent is None or isinstance(error, AcsUnavailable | AcsTimeout):
            return
        if intent.recording.recording_id is not None or intent.recording.chunks:
            return  # an earlier request with the same Idempotency-Key did start it
        try:
            self._store.forget(intent)
            for identity in _ids(request, intent.recording.server_call_id):
                index.forget(self._store.ledger, identity, key=key)
        except StorageError as failed:
            log("ledger.failed", level=logging.WARNING, recording=key, error=describe(failed))

    def _ask(self, request: StartRequest, repeatability: str, intent: Version | None) -> StartedRecording:
        """Asks ACS; again after a passing fault: the first answer may be lost, and its recording run unknown to us.

        Under the same repeatability id ACS starts nothing twice. Where it says how long to wait, the caller is asked
        to wait instead: an HTTP function does not sleep for that long.
        """
        for attempt in range(1, _START_ATTEMPTS):
            try:
                return self._asked_once(request, repeatability, intent)
            except (AcsUnavailable, AcsTimeout) as error:
                if error.retry_after is not None:
                    raise
                self._clock.pause(0.25 * attempt)
        return self._asked_once(request, repeatability, intent)

    def _asked_once(self, request: StartRequest, repeatability: str, intent: Version | None) -> StartedRecording:
        try:
            return self._acs.start_recording(request, container=request.container, repeatability_id=repeatability)
        except AcsError as error:
            key = naming.recording_key(f"start:{repeatability}")
            if isinstance(error, RecordingInProgress):
                running = self._running(request, but=key)
                if running:
                    error.args = (f"{error} (recording {running} of this app)",)
            self._withdraw(key, request, intent, error)
            raise

    def _running(self, request: StartRequest, *, but: str) -> str | None:
        """The key of the recording that runs on this call already, if this app started it."""
        try:
            known = index.known_by(self._store.ledger, request.locator_id)
        except StorageError:
            return None
        found = index.begun_at((one for one in known if one.key != but), None)
        return found.key if found else None

    def _write_down(
        self,
        key: str,
        request: StartRequest,
        started: StartedRecording,
        server_call_id: str | None,
        intent: Version | None,
        *,
        by: str,
    ) -> list[str]:
        """ACS's answer: the recording's id, by which its events are found. The recording runs already."""
        now = self._clock.now()
        is_new = intent is None or server_call_id != intent.recording.server_call_id
        try:
            for identity in (started.recording_id, server_call_id if is_new else None):
                if identity:
                    index.remember(self._store.ledger, identity, key=key, at=now, role=index.STARTED)
            if intent is None:
                intent = self._intend(key, request, by, server_call_id, [])
            if intent is not None:
                self._store.record(intent, f.StartAnswered(started.recording_id, server_call_id))
        except StorageError as error:
            return [self._unwritten(key, error)]
        return []

    def _server_call_id(self, request: StartRequest) -> str | None:
        """Of the call, where the request names it, or ACS does for a connection: events name no other id of a call.

        Asked for before the start, so that an event finds the intent; best effort.
        """
        if request.locator != "callConnectionId":
            return request.locator_id if request.locator == "serverCallId" else None
        try:
            return self._acs.server_call_id(request.locator_id)
        except AcsError as error:
            log("start.no_server_call_id", level=logging.WARNING, code=error.code)
            return None

    def _answer(
        self, key: str, request: StartRequest, started: StartedRecording, warnings: list[str]
    ) -> dict[str, Any]:
        answer: dict[str, Any] = {
            "recordingId": started.recording_id,
            "key": key,
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
            self._store.ledger.put_note(note, data, is_new_only=True)
        except BlobExists:
            return  # the same key, at the same moment: ACS gave both the same recording
        except StorageError as error:
            log("ledger.failed", level=logging.WARNING, error=describe(error))


def _ids(request: StartRequest, server_call_id: str | None) -> list[str]:
    """The ids of the call that the recording is found by before ACS has answered."""
    return list(dict.fromkeys(one for one in (request.locator_id, server_call_id) if one))
