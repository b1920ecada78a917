"""The control plane's JSON (camelCase): views of calls and recordings, and plans."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from local.acs.documents import moment
from local.acs.event_form import form_from_json
from local.acs.layout import blob_names
from local.acs.model import ChunkPlan, EndPlan

if TYPE_CHECKING:
    from collections.abc import Mapping

    from local.acs.event_form import EventForm
    from local.acs.model import Call, Chunk, Recording
    from local.acs.service import Resource

_PLAN_FIELDS = {
    "chunks",
    "export",
    "exportFailedChunks",
    "exportBytes",
    "keepMedia",
    "eventDelaySeconds",
    "duplicateEvents",
    "publishEvent",
    "sessionEndReason",
    "eventForm",
}


def call_view(call: Call) -> dict[str, Any]:
    """A call; its participants are only counted."""
    return {
        "callId": call.call_id,
        "callConnectionId": call.call_connection_id,
        "serverCallId": call.server_call_id,
        "groupCallId": call.group_call_id,
        "roomId": call.room_id,
        "state": call.state,
        "participants": len(call.participants),
        "createdAt": moment(call.created_at),
        "endedAt": moment(call.ended_at) if call.ended_at else None,
    }


def recording_view(resource: Resource, recording: Recording, *, sha256: bool, events: bool = True) -> dict[str, Any]:
    """A recording with all its chunks; `sha256` False spares the time to compute it, `events` False their room."""
    return {
        "recordingId": recording.recording_id,
        "callId": recording.call.call_id,
        "serverCallId": recording.call.server_call_id,
        "state": recording.state,
        "format": recording.request.format,
        "containerUrl": recording.request.container_url,
        "startedAt": moment(recording.started_at),
        "endedAt": moment(recording.ended_at) if recording.ended_at else None,
        "expired": resource.is_expired(recording),
        "published": recording.published,
        "events": list(recording.events) if events else len(recording.events),
        "requests": dict(recording.requests),
        "chunks": [_chunk_view(resource, recording, chunk, sha256=sha256) for chunk in recording.chunks],
    }


def _chunk_view(resource: Resource, recording: Recording, chunk: Chunk, *, sha256: bool) -> dict[str, Any]:
    media_name, metadata_name = blob_names(recording, chunk)
    return {
        "index": chunk.index,
        "documentId": chunk.document_id,
        "bytes": chunk.media.size,
        "sha256": chunk.media.sha256 if sha256 else None,
        "etag": chunk.media.etag,
        "startedAt": moment(chunk.started_at),
        "durationMs": int(chunk.duration.total_seconds() * 1000),
        "endReason": chunk.end_reason,
        "export": chunk.export,
        "contentLocation": chunk.content_location,
        "metadataLocation": chunk.metadata_location,
        "deleteLocation": chunk.delete_location,
        "blobUrls": list(chunk.blob_urls),
        "blobNames": [media_name, metadata_name],
        "available": resource.is_available(recording, chunk),
        "deleted": chunk.deleted,
        "requests": dict(chunk.requests),
    }


def plan_from_json(value: Mapping[str, Any], *, form: EventForm) -> EndPlan | None:
    """The plan in a JSON object; None for an empty object. ValueError, TypeError: not a plan.

    `form`: the event form that the plan's own changes.
    """
    if unknown := sorted(set(value) - _PLAN_FIELDS):
        raise ValueError(f"unknown field {unknown[0]}")
    if not value:
        return None
    failed, delay = value.get("exportFailedChunks"), value.get("eventDelaySeconds")
    return EndPlan(
        chunks=tuple(_chunk_plan(chunk) for chunk in value.get("chunks", [])),
        export=value.get("export", "ok"),
        export_failed_chunks=None if failed is None else frozenset(int(index) for index in failed),
        export_bytes=None if value.get("exportBytes") is None else int(value["exportBytes"]),
        keep_media=bool(value.get("keepMedia", False)),
        event_delay=None if delay is None else timedelta(seconds=float(delay)),
        duplicate_events=int(value.get("duplicateEvents", 0)),
        publish_event=bool(value.get("publishEvent", True)),
        session_end_reason=value.get("sessionEndReason"),
        event_form=form_from_json(value["eventForm"], base=form) if "eventForm" in value else None,
    )


def _chunk_plan(value: Mapping[str, Any]) -> ChunkPlan:
    if unknown := sorted(set(value) - {"bytes", "seconds", "shape"}):
        raise ValueError(f"unknown field chunks[].{unknown[0]}")
    size, seconds = value.get("bytes"), value.get("seconds")
    return ChunkPlan(
        size=None if size is None else int(size),
        duration=None if seconds is None else timedelta(seconds=float(seconds)),
        shape=str(value.get("shape", "")),
    )
