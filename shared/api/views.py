"""What the API shows: everything known of one recording, and lists of the unfinished ones."""

from __future__ import annotations

import base64
import binascii
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from shared import index
from shared.domain import naming, places
from shared.domain.codec import to_plain
from shared.domain.errors import Blame, Fault, InvalidRequest, RecorderError
from shared.domain.facets import route
from shared.domain.locations import ContainerUrl
from shared.domain.recording import IN_FALLBACK_STATES, UNFINISHED_STATES, ChunkState
from shared.domain.reopen import is_at_acs
from shared.domain.steps import chunk_step, next_due

if TYPE_CHECKING:
    from shared.domain.recording import Chunk, Recording
    from shared.ports import Clock, OpenEntry, Version
    from shared.store import RecordingStore

_KEY = re.compile(r"[0-9a-f]{32}")
MOST_LISTED = 200
_STATES = ("unfinished", *(state.value for state in UNFINISHED_STATES))
_NEVER = datetime.max.replace(tzinfo=UTC)


class RecordingUnknown(RecorderError):
    """The ledger knows no such recording."""

    code = "recording_unknown"
    blame = Blame.CALLER


def find(store: RecordingStore, identity: str) -> Version:
    """The recording known by that id (of the recording, or of its call), or ledger key. RecordingUnknown."""
    keys = [identity] if _KEY.fullmatch(identity) else []
    keys += [naming.recording_key(identity)]
    for key in keys:
        version = store.load(key)
        if version is not None:
            return version
    for known in reversed(index.known_by(store.ledger, identity)):
        version = store.load(known.key)
        if version is not None:
            return version
    raise RecordingUnknown("this app has neither started it nor had an event about it")


class RecordingViews:
    """Reads the ledger for people."""

    def __init__(self, *, store: RecordingStore, clock: Clock, fallback_container: str) -> None:
        self._store = store
        self._clock = clock
        self._fallback = fallback_container

    def one(self, identity: str) -> dict[str, Any]:
        """Everything known of the recording with that id or ledger key. RecordingUnknown."""
        recording = find(self._store, identity).recording
        view = self.summary(recording)
        view["timeline"] = to_plain(recording.timeline)
        alerts = (entry.kind for entry in recording.timeline if entry.kind.startswith("alert."))
        view["alerts"] = list(dict.fromkeys(kind.removeprefix("alert.") for kind in alerts))
        view["alertsOwed"] = [alert.name for alert in recording.outbox if alert.is_alert]
        view["links"] = list(recording.links)
        view["manifest"] = to_plain(recording.manifest)
        view["chunks"] = [self._chunk(recording, chunk) for chunk in recording.chunks]
        if recording.started:
            view["started"] = to_plain(recording.started)
        return view

    def unfinished(self, *, state: str | None, limit: str | None, cursor: str | None) -> dict[str, Any]:
        """A page of unfinished recordings, nearest risk first. InvalidRequest.

        The order is made from the whole listing, which is metadata only (5,000 documents a request).
        """
        faults: list[Fault] = []
        wanted = state or "unfinished"
        if wanted not in _STATES:
            faults.append(Fault("state", f"must be one of {', '.join(_STATES)}; one recording is found by its id"))
        count = int(limit) if limit and limit.isdecimal() and limit.isascii() and len(limit) < 6 else 50
        if not 1 <= count <= MOST_LISTED or (limit and str(count) != limit):
            faults.append(Fault("limit", f"must be a whole number from 1 to {MOST_LISTED}"))
        after = _decode_cursor(cursor, faults)
        if faults:
            raise InvalidRequest(faults)
        entries = [
            one
            for one in self._entries()
            if not one.state or (wanted in ("unfinished", one.state) and one.state in _STATES)
        ]
        left = sorted((_place(entry), entry.key) for entry in entries)
        left = [one for one in left if after is None or one > after]
        listed: list[dict[str, Any]] = []
        last = None
        for place in left:
            if len(listed) == count:
                break
            version = self._store.load(place[1])
            if version is not None and version.recording.closed_at is None:
                listed.append(self.summary(version.recording))
            last = place
        answer: dict[str, Any] = {"recordings": listed}
        if last is not None and last != left[-1]:
            answer["nextCursor"] = base64.urlsafe_b64encode("|".join(last).encode()).decode().rstrip("=")
        return answer

    def _entries(self) -> list[OpenEntry]:
        found: list[OpenEntry] = []
        cursor: str | None = None
        while True:
            page, cursor = self._store.ledger.open_entries(cursor=cursor)
            found += page
            if cursor is None:
                return found

    def summary(self, recording: Recording) -> dict[str, Any]:
        """What a list shows of a recording."""
        now = self._clock.now()
        at_risk = recording.at_risk_from
        counted = {state.value: sum(chunk.state is state for chunk in recording.chunks) for state in ChunkState}
        abandon = max((chunk.abandon_after for chunk in recording.chunks if chunk.is_at_risk), default=None)
        fields: dict[str, Any] = {
            "recordingId": recording.recording_id,
            "key": recording.key,
            "state": recording.state,
            "route": route(recording),
            "containerUrl": recording.container_url,
            "callId": recording.call_id,
            "serverCallId": recording.server_call_id,
            "recordingStartTime": recording.recording_start,
            "recordingDurationMs": recording.duration,
            "createdAt": recording.created_at,
            "atRiskFrom": at_risk,
            "abandonAfter": abandon,
            "hoursLeft": max(0.0, round((at_risk - now) / timedelta(hours=1), 2)) if at_risk else None,
            "size": sum(chunk.size or 0 for chunk in recording.chunks) or None,
            "attempts": sum(chunk.attempts for chunk in recording.chunks),
            "chunkStates": {name: count for name, count in counted.items() if count},
            "nextDueAt": next_due(recording, self._store.rules),
            "closedAt": recording.closed_at,
        }
        return {name: to_plain(value) for name, value in fields.items() if value is not None}

    def _chunk(self, recording: Recording, chunk: Chunk) -> dict[str, Any]:
        where, blob, metadata = self._where(recording, chunk)
        fields: dict[str, Any] = {
            "index": chunk.index,
            "documentId": chunk.document_id,
            "state": chunk.state,
            "where": where,
            "blob": blob,
            "metadataBlob": metadata if chunk.metadata_state == "saved" else None,
            "metadata": chunk.metadata_state,
            "size": chunk.size,
            "sha256": chunk.sha256,
            "digest": chunk.digest_state,
            "digestProblem": chunk.digest_problem,
            "proof": chunk.proof,
            "provedAt": chunk.proved_at,
            "check": chunk.check,
            "checkDue": chunk.is_check_due or None,
            "attempts": chunk.attempts,
            "continuations": chunk.continuations or None,
            "crashes": chunk.crashes or None,
            "endReason": chunk.end_reason,
            "lastError": chunk.last_error,
            "step": chunk_step(chunk),
            "heldUntil": chunk.lease.until if chunk.lease else None,
            "nextAttemptAt": chunk.next_attempt_at if chunk_step(chunk) else None,
            "atRiskFrom": chunk.at_risk_from if chunk.is_at_risk else None,
            "abandonAfter": chunk.abandon_after if chunk.is_at_risk else None,
            "finishedAt": chunk.finished_at,
            "deletionAtAcs": chunk.deletion if chunk.deletion != "off" else None,
        }
        return {name: to_plain(value) for name, value in fields.items() if value is not None}

    def _where(self, recording: Recording, chunk: Chunk) -> tuple[str, str | None, str | None]:
        """Where the bytes are now: destination, fallback, acs, or nowhere that is known (damaged, and the window is
        over); and the files' URLs (without any signature).
        """
        if chunk.is_in_place:
            container = ContainerUrl.parse(recording.container_url)
            return (
                "destination",
                container.blob_url(chunk.blob or ""),
                container.blob_url(chunk.metadata_blob) if chunk.metadata_blob else None,
            )
        if chunk.state in IN_FALLBACK_STATES:
            metadata = places.fallback_name(recording, chunk.metadata_blob or "")
            return (
                "fallback",
                f"{self._fallback}/{places.fallback_copy(recording, chunk)}",
                f"{self._fallback}/{metadata}",
            )
        if chunk.state is ChunkState.DAMAGED:
            url = ContainerUrl.parse(recording.container_url).blob_url(chunk.blob or "")
            return ("acs" if is_at_acs(chunk, self._clock.now()) else "nowhere"), url, None
        return "acs", None, None


def _place(entry: OpenEntry) -> str:
    return f"{entry.risk or entry.due or _NEVER:%Y%m%dT%H%M%S.%f}"


def _decode_cursor(cursor: str | None, faults: list[Fault]) -> tuple[str, str] | None:
    if not cursor:
        return None
    try:
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        text = ""
    place, bar, key = text.partition("|")
    if not bar or not _KEY.fullmatch(key):
        faults.append(Fault("cursor", "must be the nextCursor of an earlier page"))
        return None
    return place, key
