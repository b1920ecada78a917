"""What the API shows of a recording: a summary for lists, and everything that is known of one."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from shared import index
from shared.api.progress import staged_bytes
from shared.domain import naming, places
from shared.domain.codec import to_plain
from shared.domain.errors import Blame, RecorderError
from shared.domain.facets import holdup, id_hash, route
from shared.domain.locations import ContainerUrl
from shared.domain.recording import IN_FALLBACK_STATES, ChunkState
from shared.domain.reopen import is_at_acs
from shared.domain.steps import chunk_step, next_due

if TYPE_CHECKING:
    from shared.domain.recording import Chunk, Recording, Started
    from shared.ports import Clock, Containers, Version
    from shared.store import RecordingStore


class RecordingUnknown(RecorderError):
    """The ledger knows no such recording."""

    code = "recording_unknown"
    blame = Blame.CALLER


def find(store: RecordingStore, identity: str) -> Version:
    """The recording known by that id (of the recording, or of its call), or ledger key. RecordingUnknown."""
    keys = [identity] if naming.is_key(identity) else []
    keys += [naming.recording_key(identity)]
    for key in keys:
        version = store.load(key)
        if version is not None:
            return version
    for known in reversed(index.known_by(store.ledger, identity)):
        version = store.load(known.key)
        if version is not None:
            return version
    # Of a call that this app did not start, the index has nothing before the recording is finished.
    hashed = id_hash(identity)
    for entry in index.open_entries(store.ledger):
        version = store.load(entry.key) if entry.facets and hashed in entry.facets.ids else None
        if version is not None:
            return version
    raise RecordingUnknown("this app has neither started it nor had an event about it")


class RecordingViews:
    """Reads the ledger for people."""

    def __init__(self, *, store: RecordingStore, clock: Clock, containers: Containers, fallback_container: str) -> None:
        self._store = store
        self._clock = clock
        self._containers = containers
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
        staged = staged_bytes(self._containers, recording)
        view["chunks"] = [self._chunk(recording, chunk, staged.get(chunk.key, 0)) for chunk in recording.chunks]
        view["bytesDone"] = sum(chunk["bytesDone"] for chunk in view["chunks"])
        if recording.started:
            view["started"] = _started(recording, recording.started)
        return view

    def summary(self, recording: Recording) -> dict[str, Any]:
        """What a list shows of a recording."""
        now = self._clock.now()
        at_risk = recording.at_risk_from
        counted = {state.value: sum(chunk.state is state for chunk in recording.chunks) for state in ChunkState}
        problem = holdup(recording)
        totals = [_total(chunk) for chunk in recording.chunks]
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
            "cause": problem.code if problem else None,
            "blame": problem.blame if problem else None,
            "size": sum(chunk.size or 0 for chunk in recording.chunks) or None,
            "bytesDone": sum(_done(chunk) for chunk in recording.chunks),
            "bytesTotal": sum(size or 0 for size in totals) if totals and None not in totals else None,
            "attempts": sum(chunk.attempts for chunk in recording.chunks),
            "chunkStates": {name: count for name, count in counted.items() if count},
            "nextDueAt": next_due(recording, self._store.rules),
            "closedAt": recording.closed_at,
        }
        return {name: to_plain(value) for name, value in fields.items() if value is not None}

    def _chunk(self, recording: Recording, chunk: Chunk, staged: int) -> dict[str, Any]:
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
            "bytesDone": max(_done(chunk), staged),
            "bytesTotal": _total(chunk),
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
            "errors": list(chunk.errors) or None,
            "step": chunk_step(chunk),
            "lease": _lease(chunk),
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


def _done(chunk: Chunk) -> int:
    """Bytes that are safe, or were staged when the last attempt ended."""
    if chunk.is_safe:
        return chunk.size or 0
    return chunk.staged.bytes if chunk.staged else 0


def _total(chunk: Chunk) -> int | None:
    return chunk.size if chunk.is_safe else chunk.staged.total if chunk.staged else None


def _lease(chunk: Chunk) -> dict[str, Any] | None:
    """Which worker (by its queue message) is at the chunk, since when, and how long it is waited for."""
    held = chunk.lease
    if held is None:
        return None
    fields = {"step": held.step, "worker": held.holder, "since": held.since, "until": held.until}
    return {name: to_plain(value) for name, value in fields.items() if value is not None}


def _started(recording: Recording, started: Started) -> dict[str, Any]:
    """What a caller of this app asked for."""
    return {
        "locator": {"kind": started.locator, "id": started.locator_id},
        "recordingContent": started.content,
        "recordingChannel": started.channel,
        "recordingFormat": started.format,
        "containerUrl": recording.container_url,
        "by": started.by,
        "at": to_plain(started.at),
    }
