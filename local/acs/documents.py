"""The JSON documents that the service writes: Event Grid events, the metadata of a chunk, the state callback."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from local.acs.event_form import CHUNK_FIELDS, DATA_FIELDS, ENVELOPE_FIELDS
from local.acs.layout import blob_urls

if TYPE_CHECKING:
    from datetime import datetime

    from local.acs.event_form import EventForm
    from local.acs.model import Call, Chunk, Recording

_TOPIC = (
    "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/local"
    "/providers/Microsoft.Communication/communicationServices/local"
)
FILE_STATUS_UPDATED = "Microsoft.Communication.RecordingFileStatusUpdated"
CALL_STARTED = "Microsoft.Communication.CallStarted"
STATE_CHANGED = "Microsoft.Communication.RecordingStateChanged"


def moment(value: datetime) -> str:
    """A date-time as the service writes it: UTC, seven digits of a second, Z."""
    return value.strftime("%Y-%m-%dT%H:%M:%S.%f") + "0Z"


def milliseconds(recording: Recording) -> int:
    """The length of the whole recording in ms."""
    return sum(int(chunk.duration.total_seconds() * 1000) for chunk in recording.chunks)


def file_status_event(
    recording: Recording,
    *,
    now: datetime,
    form: EventForm,
    chunks: frozenset[int] | None = None,
) -> dict[str, Any]:
    """The event that a recording is there, in Event Grid's schema, for success and failure alike.

    `chunks`: the indexes of those it names; None: all.
    """
    call, request = recording.call, recording.request
    named = [chunk for chunk in recording.chunks if chunks is None or chunk.index in chunks]
    entries = [_event_chunk(recording, chunk, form=form) for chunk in named]
    entries += [_invented_chunk(recording, number, form) for number in range(form.invented_chunks)]
    data: dict[str, Any] = {
        "recordingStorageInfo": {"recordingChunks": entries},
        "recordingStartTime": moment(recording.chunks[0].started_at),
        "recordingDurationMs": milliseconds(recording),
        "recordingContentType": request.content[:1].upper() + request.content[1:],
        "recordingChannelType": request.channel.capitalize(),
        "recordingFormatType": request.format.capitalize(),
        "sessionEndReason": recording.session_end_reason,
    }
    exported = all(chunk.claims_export for chunk in named)
    storage_type = form.storage_type_exported if exported else form.storage_type_failed
    if storage_type is not None:
        data["storageType"] = storage_type
    data["recordingId"] = form.spelled(recording.recording_id)
    data = form.applied(data, DATA_FIELDS)
    ids = {"serverCallId": form.spelled(call.server_call_id), "recordingId": form.spelled(recording.recording_id)}
    event = {
        "id": str(uuid.uuid5(uuid.NAMESPACE_URL, f"event/{recording.recording_id}/{len(recording.events)}")),
        "topic": _TOPIC,
        "subject": form.subject.format(callId=call.call_id, **ids),
        "data": json.dumps(data) if form.data_as_text else data,
        "eventType": form.typed(FILE_STATUS_UPDATED),
        "dataVersion": "1.0",
        "metadataVersion": "1",
        "eventTime": moment(now),
    }
    return form.applied(event, ENVELOPE_FIELDS)


def _event_chunk(recording: Recording, chunk: Chunk, *, form: EventForm) -> dict[str, Any]:
    content = chunk.content_location
    if form.content_location == "missing-blob":
        content = blob_urls(recording, chunk)[0]
    value: dict[str, Any] = {
        "documentId": chunk.document_id,
        "index": chunk.index,
        "endReason": chunk.end_reason,
        "contentLocation": form.located(content),
        "metadataLocation": form.located(chunk.metadata_location),
    }
    if chunk.delete_location is not None and (form.delete_location_exported or not chunk.claims_export):
        behind = "/content/deletedata" if form.delete_location == "documented" else ""
        value["deleteLocation"] = form.located(chunk.delete_location + behind)
    return form.applied(value, CHUNK_FIELDS, documentId=chunk.document_id, index=chunk.index)


def _invented_chunk(recording: Recording, number: int, form: EventForm) -> dict[str, Any]:
    """A chunk with the form of a real one, of which no media store knows."""
    seed = uuid.uuid5(uuid.NAMESPACE_URL, f"invented/{recording.recording_id}/{len(recording.events)}/{number}")
    host = urlsplit(recording.chunks[0].delete_location or "").netloc
    document_id, index = f"0-eus-d1-{seed.hex}", len(recording.chunks) + number
    base = f"https://{host}/v1/objects/{document_id}"
    value = {
        "documentId": document_id,
        "index": index,
        "endReason": "SessionEnded",
        "contentLocation": form.located(f"{base}/content/video"),
        "metadataLocation": form.located(f"{base}/content/acsmetadata"),
    }
    return form.applied(value, CHUNK_FIELDS, documentId=document_id, index=index)


def call_started_event(call: Call, *, now: datetime) -> dict[str, Any]:
    """The event that a call has begun: the one document that names a group or room and the server call id.

    Fields of the documented type AcsCallStartedEventData; the subject is that of the documented example. That
    `correlationId` is the callId of the recording's event is a guess.
    """
    started_by = next(iter(call.participants), "8:acs:unknown")
    data: dict[str, Any] = {
        "startedBy": {
            "communicationIdentifier": {"rawId": started_by, "communicationUser": {"id": started_by}},
            "role": "{role}",
        },
        "serverCallId": call.server_call_id,
        "correlationId": call.call_id,
    }
    if call.group_call_id is not None:
        data["group"] = {"id": call.group_call_id}
    if call.room_id is not None:
        data["room"] = {"id": call.room_id}
    data["isTwoParty"] = len(call.participants) == 2 and not (call.group_call_id or call.room_id)
    data["isRoomsCall"] = call.room_id is not None
    return {
        "id": str(uuid.uuid5(uuid.NAMESPACE_URL, f"call/{call.call_id}")),
        "topic": _TOPIC,
        "subject": f"call/{call.server_call_id}/startedBy/{started_by}",
        "data": data,
        "eventType": CALL_STARTED,
        "dataVersion": "1.0",
        "metadataVersion": "1",
        "eventTime": moment(now),
    }


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
