"""Where is my recording? The whole story of one, and the list of all that are unfinished."""

from __future__ import annotations

import base64
import binascii
import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from shared.domain import naming
from shared.domain.codec import to_plain
from shared.domain.errors import Blame, Fault, InvalidRequest, RecorderError
from shared.domain.locations import ContainerUrl
from shared.domain.recording import IN_PLACE_STATES, UNFINISHED_STATES, ChunkState
from shared.worker.finder import fallback_name
from shared.worker.manifest import route

if TYPE_CHECKING:
    from shared.domain.recording import Chunk, Recording
    from shared.ports import Clock
    from shared.store import Books

_KEY = re.compile(r"[0-9a-f]{32}")
MOST_LISTED = 200
_STATES = ("unfinished", *(state.value for state in UNFINISHED_STATES))


class RecordingUnknown(RecorderError):
    """The ledger knows no such recording."""

    code = "recording_unknown"
    blame = Blame.CALLER


def find(books: Books, identity: str) -> Recording:
    """The recording with that ACS recording id, or ledger key. Raises RecordingUnknown."""
    recording = books.load(naming.recording_key(identity))
    if recording is None and _KEY.fullmatch(identity):
        recording = books.load(identity)
    if recording is None:
        raise RecordingUnknown("this app has neither started it nor heard of it")
    return recording


class Story:
    """Reads the ledger for people."""

    def __init__(self, *, books: Books, clock: Clock, fallback_container: str) -> None:
        self._books = books
        self._clock = clock
        self._fallback = fallback_container

    def one(self, identity: str) -> dict[str, Any]:
        """The story of the recording with that ACS recording id, or ledger key. Raises RecordingUnknown."""
        recording = find(self._books, identity)
        story = self.summary(recording)
        story["alerts"] = list(recording.alerts)
        story["notes"] = list(recording.notes)
        story["manifest"] = to_plain(recording.manifest)
        story["chunks"] = [self._chunk(recording, chunk) for chunk in recording.chunks]
        return story

    def unfinished(self, *, state: str | None, limit: str | None, cursor: str | None) -> dict[str, Any]:
        """A page of unfinished recordings, nearest deadline first. Raises InvalidRequest."""
        faults: list[Fault] = []
        wanted = state or "unfinished"
        if wanted not in _STATES:
            faults.append(Fault("state", f"must be one of {', '.join(_STATES)}; one recording is found by its id"))
        count = int(limit) if limit and limit.isdecimal() and limit.isascii() and len(limit) < 6 else 50
        if not 1 <= count <= MOST_LISTED or (limit and str(count) != limit):
            faults.append(Fault("limit", f"must be a whole number from 1 to {MOST_LISTED}"))
        page = _decode_cursor(cursor, faults)
        if faults:
            raise InvalidRequest(faults)
        names, following = self._books.ledger.markers(limit=count, cursor=page)
        found = [self._books.load(naming.marker_key(name)) for name in names]
        listed = [
            self.summary(recording)
            for recording in found
            if recording and recording.closed_at is None and wanted in ("unfinished", recording.state.value)
        ]
        answer: dict[str, Any] = {"recordings": listed}
        if following:
            answer["nextCursor"] = base64.urlsafe_b64encode(following.encode()).decode().rstrip("=")
        return answer

    def summary(self, recording: Recording) -> dict[str, Any]:
        """What a list shows of a recording."""
        now = self._clock.now()
        is_waiting = recording.state in UNFINISHED_STATES
        counted = {state.value: sum(chunk.state is state for chunk in recording.chunks) for state in ChunkState}
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
            "firstHeardOf": recording.created_at,
            "deadline": recording.deadline,
            "hoursLeft": max(0.0, round((recording.deadline - now) / timedelta(hours=1), 2)) if is_waiting else None,
            "size": sum(chunk.size or 0 for chunk in recording.chunks) or None,
            "tries": sum(chunk.tries for chunk in recording.chunks),
            "chunkStates": {name: count for name, count in counted.items() if count},
            "closedAt": recording.closed_at,
        }
        return {name: to_plain(value) for name, value in fields.items() if value is not None}

    def _chunk(self, recording: Recording, chunk: Chunk) -> dict[str, Any]:
        where, blob, metadata = self._place(recording, chunk)
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
            "tries": chunk.tries,
            "handovers": chunk.handovers or None,
            "crashes": chunk.crashes or None,
            "endReason": chunk.end_reason,
            "lastError": chunk.last_error,
            "nextTryAt": chunk.next_try_at if not chunk.is_finished else None,
            "finishedAt": chunk.finished_at,
            "deletionAtAcs": chunk.deletion if chunk.deletion != "off" else None,
        }
        return {name: to_plain(value) for name, value in fields.items() if value is not None}

    def _place(self, recording: Recording, chunk: Chunk) -> tuple[str, str | None, str | None]:
        """Where the bytes are now: destination, fallback or acs; and the files' URLs (without any signature)."""
        if chunk.state in IN_PLACE_STATES:
            container = ContainerUrl.parse(recording.container_url)
            return (
                "destination",
                container.blob_url(chunk.blob or ""),
                container.blob_url(chunk.metadata_blob) if chunk.metadata_blob else None,
            )
        if chunk.state is ChunkState.IN_FALLBACK:
            blob, metadata = (fallback_name(recording, name or "") for name in (chunk.blob, chunk.metadata_blob))
            return "fallback", f"{self._fallback}/{blob}", f"{self._fallback}/{metadata}"
        return "acs", None, None


def _decode_cursor(cursor: str | None, faults: list[Fault]) -> str | None:
    if not cursor:
        return None
    try:
        return base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        faults.append(Fault("cursor", "must be the nextCursor of an earlier page"))
        return None
