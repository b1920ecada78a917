"""The JSON documents the service writes: the Event Grid event, the metadata of a chunk, the state callback."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datetime import datetime

    from local.acs.config import EventForm
    from local.acs.model import Chunk, Recording

_TOPIC = (
    "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/local"
    "/providers/Microsoft.Communication/communicationServices/local"
)
FILE_STATUS_UPDATED = "Microsoft.Communication.RecordingFileStatusUpdated"
STATE_CHANGED = "Microsoft.Communication.RecordingStateChanged"


def moment(value: datetime) -> str:
    """A date-time as the service writes it: UTC, seven digits of a second, Z."""
    return value.strftime("%Y-%m-%dT%H:%M:%S.%f") + "0Z"


def milliseconds(recording: Recording) -> int:
    """The length of the whole recording in ms."""
    return sum(int(chunk.duration.total_seconds() * 1000) for chunk in recording.chunks)


def file_status_event(recording: Recording, *, now: datetime, form: EventForm) -> dict[str, Any]:
    """The event that a recording is there, in Event Grid's schema, for success and failure alike."""
    call, request = recording.call, recording.request
    data: dict[str, Any] = {
        "recordingStorageInfo": {"recordingChunks": [_event_chunk(chunk, form) for chunk in recording.chunks]},
        "recordingStartTime": moment(recording.chunks[0].started_at),
        "recordingDurationMs": milliseconds(recording),
        "recordingContentType": request.content[:1].upper() + request.content[1:],
        "recordingChannelType": request.channel.capitalize(),
        "recordingFormatType": request.format.capitalize(),
        "sessionEndReason": recording.session_end_reason,
    }
    exported = all(chunk.claims_export for chunk in recording.chunks)
    storage_type = form.storage_type_exported if exported else form.storage_type_failed
    if storage_type is not None:
        data["storageType"] = storage_type
    if form.with_recording_id:
        data["recordingId"] = recording.recording_id
    subject = form.subject.format(
        callId=call.call_id, serverCallId=call.server_call_id, recordingId=recording.recording_id
    )
    return {
        "id": str(uuid.uuid5(uuid.NAMESPACE_URL, f"event/{recording.recording_id}/{len(recording.events)}")),
        "topic": _TOPIC,
        "subject": subject,
        "data": data,
        "eventType": FILE_STATUS_UPDATED,
        "dataVersion": "1.0",
        "metadataVersion": "1",
        "eventTime": moment(now),
    }


def _event_chunk(chunk: Chunk, form: EventForm) -> dict[str, Any]:
    value: dict[str, Any] = {
        "documentId": chunk.document_id,
        "index": chunk.index,
        "endReason": chunk.end_reason,
        "contentLocation": chunk.content_location,
        "metadataLocation": chunk.metadata_location,
    }
    with_delete = form.with_delete_location and (form.delete_location_exported or not chunk.claims_export)
    if with_delete and chunk.delete_location is not None:
        value["deleteLocation"] = chunk.delete_location
    return value


def chunk_metadata(recording: Recording, chunk: Chunk) -> bytes:
    """The acsmetadata of one chunk, with the fields of the published example."""
    request, call = recording.request, recording.call
    audio = {"sampleRate": "16000", "bitRate": 48_000 if request.format == "mp3" else 256_000}
    participants: list[dict[str, Any]] = [{"participantId": name} for name in call.participants]
    if request.channel == "unmixed":
        for number, participant in enumerate(participants[: request.channels]):
            participant["channel"] = number
    info: dict[str, Any] = {
        "contentType": request.content,
        "channelType": request.channel,
        "format": request.format,
        "audioConfiguration": audio | {"channels": request.channels},
    }
    if request.format == "mp4":
        info["videoConfiguration"] = {"longerSideLength": 64, "shorterSideLength": 48, "framerate": 25}
    end = chunk.started_at + chunk.duration
    document = {
        "resourceId": str(uuid.uuid5(uuid.NAMESPACE_URL, _TOPIC)),
        "callId": call.call_id,
        "chunkDocumentId": chunk.document_id,
        "chunkIndex": chunk.index,
        "chunkStartTime": moment(chunk.started_at),
        "chunkDuration": int(chunk.duration.total_seconds() * 1000),
        "pauseResumeIntervals": [
            {"startTime": moment(start), "duration": int(((stop or end) - start).total_seconds() * 1000)}
            for start, stop in recording.pauses
        ],
        "recordingInfo": info,
        "participants": participants,
    }
    return json.dumps(document, separators=(",", ":")).encode()


def state_changed_event(recording: Recording, *, now: datetime) -> dict[str, Any]:
    """The CloudEvent for `recordingStateCallbackUri`. It is posted as an array of one."""
    call = recording.call
    return {
        "id": str(uuid.uuid5(uuid.NAMESPACE_URL, f"state/{recording.recording_id}/{moment(now)}")),
        "source": f"calling/recordings/{recording.recording_id}",
        "type": STATE_CHANGED,
        "data": {
            "eventSource": f"calling/recordings/{recording.recording_id}",
            "recordingId": recording.recording_id,
            "state": recording.service_state,
            "startDateTime": moment(recording.started_at),
            "recordingKind": "azureCommunicationServices",
            "callConnectionId": call.call_connection_id,
            "serverCallId": call.server_call_id,
            "correlationId": call.call_id,
            "version": "2024-04-15",
            "publicEventType": STATE_CHANGED,
        },
        "time": moment(now),
        "specversion": "1.0",
        "datacontenttype": "application/json",
        "subject": f"calling/recordings/{recording.recording_id}",
    }
