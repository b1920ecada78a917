"""`POST /recordings/{id}/stop`, `/pause`, `/resume`: ACS's verbs on a recording that runs."""

from __future__ import annotations

import logging
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from shared.api.views import find
from shared.domain import facts as f
from shared.domain.errors import RecordingNotFound, StorageError
from shared.logs import describe, log

if TYPE_CHECKING:
    from shared.ports import Acs
    from shared.store import RecordingStore


class Verb(StrEnum):
    """What can be asked of ACS, as it is in the route."""

    STOP = "stop"
    PAUSE = "pause"
    RESUME = "resume"


_PAST = {Verb.STOP: "stopped", Verb.PAUSE: "paused", Verb.RESUME: "resumed"}


class Actions:
    """Stops, pauses and resumes."""

    def __init__(self, *, store: RecordingStore, acs: Acs) -> None:
        self._store = store
        self._acs = acs

    def act(self, identity: str, verb: Verb, *, by: str) -> dict[str, Any]:
        """Asks ACS once; the answer's body. RecordingUnknown, AcsError; StorageError before ACS was asked.

        A lost answer is the caller's to send again: ACS says of a recording that has ended that there is none, and of
        one that is paused that it cannot be paused. `recordingState` is what ACS's acceptance leads to.
        """
        version = find(self._store, identity)
        recording = version.recording
        if recording.recording_id is None:
            raise RecordingNotFound("ACS has given it no recordingId yet")
        asked = {
            Verb.STOP: self._acs.stop_recording,
            Verb.PAUSE: self._acs.pause_recording,
            Verb.RESUME: self._acs.resume_recording,
        }[verb]
        asked(recording.recording_id)
        log(f"recording.{_PAST[verb]}", recording=recording.key, by=by)
        answer: dict[str, Any] = {
            "recordingId": recording.recording_id,
            "key": recording.key,
            "recordingState": "active" if verb is Verb.RESUME else "inactive",
        }
        try:
            self._store.record(version, f.ActionTaken(_PAST[verb]), by=by)
        except StorageError as error:
            log("ledger.failed", level=logging.ERROR, recording=recording.key, error=describe(error))
            answer["warnings"] = ["ACS did it, but the ledger could not be written: the timeline does not say so"]
        return answer
