"""What leaves the app as an event: one announcement for each entry of a recording's outbox.

Theory of operation
    A fact that others wait for (stored, at risk, lost, damaged, a rescue that begins) is put into the outbox in the
    write that makes it true, and so is every alert. The step `publish` turns an entry into an announcement and takes
    it off the outbox after the topic has it. So a crash can repeat an announcement and never lose one.

    The id is a UUIDv5 of the recording's key and the entry's number in it: the same fact has the same id however often
    it is sent, and no other fact has it. The time is that of the fact. The data tells of the recording as it is when
    it is sent.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from shared.domain.codec import to_plain
from shared.domain.errors import Blame
from shared.domain.facets import route, route_of
from shared.domain.recording import CHECKED_STATES, IN_FALLBACK_STATES
from shared.domain.redaction import clean

if TYPE_CHECKING:
    from datetime import datetime

    from shared.domain.journal import PendingAlert
    from shared.domain.recording import Chunk, Recording

SOURCE = "/acs-byos-recorder"
TYPE_PREFIX = "AcsByosRecorder."
ALERT_TYPE = f"{TYPE_PREFIX}Alert"
# By the name of the outbox's entry. Every other alert is of the type `Alert`, with its name in `alert`.
EVENT_TYPES = {
    "stored": f"{TYPE_PREFIX}RecordingStored",
    "rescue_started": f"{TYPE_PREFIX}RescueStarted",
    "deadline": f"{TYPE_PREFIX}RecordingAtRisk",
    "lost": f"{TYPE_PREFIX}RecordingLost",
    "damaged": f"{TYPE_PREFIX}RecordingDamaged",
}


@dataclass(frozen=True)
class Announcement:
    """An event for the customer's topic. `data` holds plain JSON types, no secret and no personal data."""

    id: str
    type: str
    subject: str
    time: datetime
    data: dict[str, Any]


def announcement(recording: Recording, alert: PendingAlert) -> Announcement:
    """The event that `alert`, an entry of the recording's outbox, becomes."""
    chunk = next((one for one in recording.chunks if one.index == alert.chunk), None)
    cause, blame = _cause(alert, chunk)
    fields: dict[str, Any] = {
        "key": recording.key,
        "recordingId": recording.recording_id,
        "callId": recording.call_id,
        "serverCallId": recording.server_call_id,
        "state": recording.state,
        "route": route(recording),
        "containerUrl": recording.container_url,
        "manifestBlob": recording.manifest.blob,
        "recordingStartTime": recording.recording_start,
        "recordingDurationMs": recording.duration,
        "size": sum(one.size or 0 for one in recording.chunks) or None,
        "atRiskFrom": recording.at_risk_from,
        "level": alert.level,
        "alert": alert.name if alert.is_alert else None,
        "cause": cause,
        "blame": blame,
        "message": alert.message,
        "chunk": alert.chunk,
        # An alert about the whole recording tells of no file; what is about one file tells of that one.
        "chunks": [_chunk(one) for one in recording.chunks if alert.name == "stored" or one is chunk],
    }
    if alert.name == "deadline":
        fields["threshold"] = alert.code
    return Announcement(
        id=str(uuid.uuid5(uuid.NAMESPACE_URL, f"acs-byos-recorder/{recording.key}/{alert.seq}")),
        type=EVENT_TYPES.get(alert.name, ALERT_TYPE),
        subject=f"/recordings/{recording.key}",
        time=alert.at,
        data=_plain(fields),
    )


def _cause(alert: PendingAlert, chunk: Chunk | None) -> tuple[str | None, Blame | None]:
    """Why it came to this, as a code of `errors.py`, and whose fault it is; None where nothing failed."""
    if alert.code in {blame.value for blame in Blame}:
        return alert.name, Blame(alert.code)  # an alert that is named by the failure itself
    if chunk is not None and chunk.last_error is not None:
        return chunk.last_error.code, chunk.last_error.blame
    if alert.name == "rescue_started":
        return "not_exported", Blame.ACS
    return (alert.code, None) if alert.is_alert and chunk is None else (None, None)


def _chunk(chunk: Chunk) -> dict[str, Any]:
    is_kept = chunk.state in IN_FALLBACK_STATES
    return {
        "index": chunk.index,
        "documentId": chunk.document_id,
        "state": chunk.state,
        "route": route_of(chunk),
        "blob": chunk.blob if chunk.state in CHECKED_STATES else None,
        "fallbackBlob": chunk.fallback_blob if is_kept else None,
        "size": chunk.size,
        "sha256": chunk.sha256,
        "digest": chunk.digest_state if chunk.sha256 is None else None,
        "proof": chunk.proof,
        "cause": chunk.last_error.code if chunk.last_error else None,
        "blame": chunk.last_error.blame if chunk.last_error else None,
        "traceId": chunk.last_error.trace_id if chunk.last_error else None,
    }


def _plain(fields: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in fields.items():
        if isinstance(value, list):
            found[name] = [_plain(one) for one in value]
            continue
        plain = to_plain(value)
        if plain is not None:
            found[name] = clean(plain) if isinstance(plain, str) else plain
    if found.get("chunks") == []:
        del found["chunks"]
    return found
