"""What Event Grid delivers, read with distrust: both envelopes, every chunk, nothing taken by position.

The typed models of the SDKs and `func.EventGridEvent` lose fields of this event (`storageType`, `recordingId`, and
with CloudEvents the type itself), so the raw JSON is parsed here.
"""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NoReturn
from urllib.parse import unquote

from shared.domain.codec import parse_time
from shared.domain.errors import EventRejected
from shared.domain.redaction import clean, scrub

RECORDING_FILE_STATUS_UPDATED = "microsoft.communication.recordingfilestatusupdated"
CALL_STARTED = "microsoft.communication.callstarted"
# Event Grid delivers at most 1 MiB an event.
MAX_EVENT_CHARACTERS = 1_048_576
# A chunk has up to 4 hours, so this is ten days: more than any call.
MAX_CHUNKS = 64
# The subscription asks for one event a delivery; a delivery of more than this is not Event Grid's.
MAX_EVENTS = 100
_LONGEST_TEXT = 4096
_LONGEST_ID = 1024
_LONGEST_LOCATION = 1024
_SUBJECT_KEYS = {"call": "call_id", "servercallid": "server_call_id", "recordingid": "recording_id"}


@dataclass(frozen=True)
class Envelope:
    """One event of either schema. `time` is None where it was missing or unreadable."""

    id: str
    type: str
    subject: str
    time: datetime | None
    data: dict[str, Any]


@dataclass(frozen=True)
class ChunkClaim:
    """One entry of `recordingChunks` as the event has it; nothing of it is checked yet."""

    document_id: str
    index: int
    end_reason: str | None
    content_location: str | None
    metadata_location: str | None
    delete_location: str | None


@dataclass(frozen=True)
class RecordingFileStatus:
    """The content of a RecordingFileStatusUpdated event.

    `content_type`, `channel_type` and `format_type` are in lower case, and empty where the event does not say them.
    `faults` names what could not be read; the rest is used all the same, so that one bad chunk loses no other.
    """

    event_id: str
    event_time: datetime | None
    recording_id: str | None
    call_id: str | None
    server_call_id: str | None
    recording_start: datetime | None
    duration: timedelta | None
    content_type: str
    channel_type: str
    format_type: str
    session_end_reason: str | None
    storage_type: str | None
    chunks: tuple[ChunkClaim, ...]
    faults: tuple[str, ...]


def parse_envelopes(raw: str) -> list[Envelope | EventRejected]:
    """The events in `raw`: one JSON object or an array of them, Event Grid schema or CloudEvents 1.0.

    What is no event (reason `not_an_event`) is among the others, and loses none of them.
    Raises EventRejected (`too_large`, `not_json`, `not_an_event`) where there is nothing in `raw` at all.
    """
    if len(raw) > MAX_EVENT_CHARACTERS:
        raise EventRejected("too_large", f"an event of {len(raw)} characters")
    try:
        parsed = json.loads(raw, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise EventRejected("not_json", f"not JSON: {type(error).__name__}") from error
    items = parsed if isinstance(parsed, list) else [parsed]
    if not items:
        raise EventRejected("not_an_event", "an empty array")
    if len(items) > MAX_EVENTS:
        raise EventRejected("too_many_events", f"{len(items)} events in one delivery")
    return [_envelope(item) for item in items]


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _envelope(item: Any) -> Envelope | EventRejected:
    if not isinstance(item, dict):
        return EventRejected("not_an_event", "not a JSON object")
    fields = _folded(item)
    is_cloud = "specversion" in fields
    kind = fields.get("type" if is_cloud else "eventtype")
    if not isinstance(kind, str) or not kind:
        return EventRejected("not_an_event", "no event type")
    return Envelope(
        id=_text(fields.get("id")) or "",
        type=kind,
        subject=_text(fields.get("subject")) or "",
        time=_moment(fields.get("time" if is_cloud else "eventtime")),
        data=_data(fields.get("data")),
    )


def _data(data: Any) -> dict[str, Any]:
    """The event's data, which some senders write as a JSON string."""
    if isinstance(data, str):
        try:
            data = json.loads(data, parse_constant=_refuse_constant)
        except (ValueError, RecursionError):
            return {}
    return data if isinstance(data, dict) else {}


def parse_subject(subject: str) -> dict[str, str]:
    """`call_id`, `server_call_id` and `recording_id` of a subject, by its key/value pairs, in any order.

    A value runs to the next key, for an id in base64 may hold a slash.
    """
    found: dict[str, list[str]] = {}
    current: list[str] | None = None
    for part in subject.split("/"):
        name = _SUBJECT_KEYS.get(part.lower())
        if name and name not in found:
            current = found.setdefault(name, [])
        elif current is not None:
            current.append(part)
    joined = {name: "/".join(parts).strip("/") for name, parts in found.items()}
    return {name: decoded for name, value in joined.items() if (decoded := identity(value))}


@dataclass(frozen=True)
class CallStarted:
    """A call that began: its server call id, and the ids of its group or room."""

    server_call_id: str
    others: tuple[str, ...]


def parse_call_started(envelope: Envelope) -> CallStarted | None:
    """What a CallStarted event says of ids; None where it names no two. Who started it is never read."""
    data = _folded(envelope.data)
    server = identity(data.get("servercallid"))
    nested = [data.get(name) for name in ("group", "room")]
    others = [identity(_folded(one).get("id")) for one in nested if isinstance(one, dict)]
    found = tuple(one for one in others if one)
    return CallStarted(server, found) if server and found else None


def parse_recording_file_status(envelope: Envelope) -> RecordingFileStatus:
    """The recording status in `envelope`. Raises EventRejected (`no_recording`, `no_chunks`)."""
    data = _folded(envelope.data)
    ids = parse_subject(envelope.subject)
    storage = data.get("recordingstorageinfo")
    entries = _folded(storage).get("recordingchunks") if isinstance(storage, dict) else None
    if not isinstance(entries, list) or not entries:
        raise EventRejected("no_chunks", "the event names no recording chunk")
    faults: list[str] = []
    if len(entries) > MAX_CHUNKS:
        raise EventRejected("too_many_chunks", f"{len(entries)} chunks in one event")
    chunks = tuple(claim for i, entry in enumerate(entries) if (claim := _claim(i, entry, faults)))
    recording_id = identity(data.get("recordingid")) or ids.get("recording_id")
    call_id, server_call_id = ids.get("call_id"), ids.get("server_call_id")
    if not chunks:
        raise EventRejected("no_chunks", "; ".join(faults))
    if not (recording_id or call_id or server_call_id):
        raise EventRejected("no_recording", "neither the subject nor the data says which recording this is")
    return RecordingFileStatus(
        event_id=envelope.id,
        event_time=envelope.time,
        recording_id=recording_id,
        call_id=call_id,
        server_call_id=server_call_id,
        recording_start=_moment(data.get("recordingstarttime")),
        duration=_milliseconds(data.get("recordingdurationms")),
        content_type=_word(data.get("recordingcontenttype"), ("audio", "audiovideo"), faults),
        channel_type=_word(data.get("recordingchanneltype"), ("mixed", "unmixed"), faults),
        format_type=_word(data.get("recordingformattype"), ("mp3", "mp4", "wav"), faults),
        session_end_reason=_label(data.get("sessionendreason")),
        storage_type=_label(data.get("storagetype")),
        chunks=chunks,
        faults=tuple(faults),
    )


def _claim(position: int, entry: Any, faults: list[str]) -> ChunkClaim | None:
    if not isinstance(entry, dict):
        faults.append(f"chunk {position} is not an object")
        return None
    fields = _folded(entry)
    index = fields.get("index")
    if not isinstance(index, int) or isinstance(index, bool) or not 0 <= index <= 1_000_000:
        faults.append(f"chunk {position} has no usable index")
        index = position
    document_id = identity(fields.get("documentid"))
    if document_id is None:
        faults.append(f"chunk {position} has no documentId")
    return ChunkClaim(
        document_id=document_id or f"chunk-{index}",
        index=index,
        end_reason=_label(fields.get("endreason")),
        content_location=_location(fields.get("contentlocation")),
        metadata_location=_location(fields.get("metadatalocation")),
        delete_location=_location(fields.get("deletelocation")),
    )


def redacted(raw: str, *, limit: int = 16_384) -> str:
    """`raw` without secrets (a URL's query could be a SAS) and personal data, cut at `limit`: what may be kept."""
    with suppress(ValueError, RecursionError):
        # Written anew, for an escape (`https:\/\/`) hides from the patterns what it stands for.
        raw = json.dumps(json.loads(raw), ensure_ascii=False, separators=(",", ":"))
    return scrub(raw)[:limit]


def _folded(item: dict[str, Any]) -> dict[str, Any]:
    """Names in lower case: services and examples differ in it (`specVersion`)."""
    return {str(name).lower(): value for name, value in item.items()}


def _text(value: Any) -> str | None:
    """A usable, non-empty text of at most 4096 characters; lone surrogates (not UTF-8) are replaced."""
    if not isinstance(value, str) or not value.strip():
        return None
    return value[:_LONGEST_TEXT].encode("utf-8", "replace").decode()


def identity(value: Any) -> str | None:
    """An id as it is, None for what is none.

    One that cannot be ACS's (too long, not UTF-8) as its beginning and a hash of it all: no two become one.
    """
    if isinstance(value, str) and "%" in value and len(value) <= 3 * _LONGEST_ID:
        value = unquote(value)
    text = _text(value)
    if text is None or (text == value and len(text) <= _LONGEST_ID):
        return text
    return f"{text[:64]}~{hashlib.sha256(value.encode('utf-8', 'surrogatepass')).hexdigest()}"


def _location(value: Any) -> str | None:
    """A URL whole or not at all: one that was cut names something else."""
    return _text(value) if isinstance(value, str) and len(value) <= _LONGEST_LOCATION else None


def _label(value: Any) -> str | None:
    """A short text that is kept and shown as it is, so without secrets."""
    text = _text(value)
    return clean(text)[:200] if text else None


def _moment(value: Any) -> datetime | None:
    if not isinstance(value, str):
        return None
    try:
        moment = parse_time(value)
    except (ValueError, OverflowError):
        return None
    # Room for the arithmetic of windows: a year at the edge of the calendar is no time of a recording.
    return moment if 2000 <= moment.year <= 9000 else None


def _milliseconds(value: Any) -> timedelta | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 10**11:
        return None
    return timedelta(milliseconds=value)


def _word(value: Any, known: tuple[str, ...], faults: list[str]) -> str:
    if isinstance(value, str) and value.lower() in known:
        return value.lower()
    if value is not None:
        faults.append(f"unknown word {value[:40]!r}" if isinstance(value, str) else "a word that is no text")
    return ""
