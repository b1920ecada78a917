"""`manifest.json`: what became of a recording, written beside its files when all of them are in place.

It is for people and programs of the customer: no ids of participants, no ACS URLs.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from shared.domain.codec import format_time, to_plain
from shared.domain.errors import BlobExists, DestinationConflict
from shared.domain.facets import route, route_of
from shared.domain.recording import IN_PLACE_STATES, ChunkState

if TYPE_CHECKING:
    from datetime import datetime

    from shared.domain.recording import Chunk, Recording
    from shared.ports import Container

# Much more than the largest there is.
_LIMIT = 16 * 1024 * 1024
SCHEMA = "acs-byos-recorder/manifest/1"


def manifest(recording: Recording, *, now: datetime) -> bytes:
    """The file's bytes."""
    document: dict[str, Any] = {
        "schema": SCHEMA,
        "recordingId": recording.recording_id,
        "callId": recording.call_id,
        "state": recording.state.value,
        "route": route(recording),
        "recordingStartTime": recording.recording_start,
        "recordingDurationMs": recording.duration,
        "contentType": recording.content_type,
        "channelType": recording.channel_type,
        "formatType": recording.format_type,
        "writtenAt": format_time(now),
        "chunks": [_chunk(chunk) for chunk in recording.chunks],
    }
    plain = {name: to_plain(value) for name, value in document.items() if value is not None}
    return json.dumps(plain, ensure_ascii=False, indent=2).encode("utf-8", "replace") + b"\n"


def is_manifest_of(data: bytes, recording: Recording) -> bool:
    """Whether `data` is an earlier manifest of this recording."""
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        return False
    if not isinstance(document, dict) or document.get("schema") != SCHEMA:
        return False
    # The call's id may have become known only after the manifest was written; the recording's own id is enough.
    if recording.recording_id or document.get("recordingId"):
        return bool(document.get("recordingId") == recording.recording_id)
    return bool(document.get("callId") == recording.call_id)


def _chunk(chunk: Chunk) -> dict[str, Any]:
    fields = {
        "index": chunk.index,
        "documentId": chunk.document_id,
        "route": route_of(chunk),
        "state": chunk.state if chunk.state is ChunkState.DAMAGED else None,
        "blob": chunk.blob,
        "metadataBlob": chunk.metadata_blob,
        "size": chunk.size,
        "sha256": chunk.sha256,
        "digest": chunk.digest_state if chunk.sha256 is None else None,
        "digestProblem": chunk.digest_problem if chunk.sha256 is None else None,
        "proof": chunk.proof,
        "provedAt": chunk.proved_at,
        "endReason": chunk.end_reason,
        "attempts": chunk.attempts,
        "reportedAt": chunk.reported_at,
        "finishedAt": chunk.finished_at,
        "lastError": chunk.last_error.code if chunk.last_error else None,
    }
    return {name: to_plain(value) for name, value in fields.items() if value is not None}


def _folders(recording: Recording) -> list[str]:
    """Where the recording's files lie, in the order of its chunks; without any, the folder we chose."""
    found = [
        chunk.blob.rpartition("/")[0]
        for chunk in recording.chunks
        if chunk.state in IN_PLACE_STATES and chunk.blob and "/" in chunk.blob
    ]
    return list(dict.fromkeys(found)) or [recording.folder or recording.key]


def _places(container: Container, recording: Recording) -> list[str]:
    """Names for the manifest, best first. Where it was written first it stays, though a later event may have brought
    chunks that lie elsewhere, and the ledger may not know it (a worker that died just after writing it).
    """
    first, *others = _folders(recording)
    places = [recording.manifest.blob] if recording.manifest.blob else []
    for other in others if not places else ():
        name = f"{other}/manifest.json"
        if container.stat(name) and is_manifest_of(container.read(name, length=_LIMIT), recording):
            places.append(name)
    return [*places, f"{first}/manifest.json", f"{first}/manifest.{recording.key}.json"]


def put_manifest(container: Container, recording: Recording, *, now: datetime) -> str:
    """Writes the manifest; its name. StorageError, DestinationConflict.

    Only an earlier manifest of this recording is written over, never another's file: the folder may be one that an
    event named.
    """
    data = manifest(recording, now=now)
    for full in _places(container, recording):
        try:
            container.put(full, data, content_type="application/json", overwrite=False)
        except BlobExists:
            if not is_manifest_of(container.read(full, length=_LIMIT), recording):
                continue
            container.put(full, data, content_type="application/json", overwrite=True)
        return full
    raise DestinationConflict(f"another file is at {full}; it is kept")
