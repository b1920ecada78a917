"""Names of blobs: the layout that ACS itself writes, so that a rescue looks like an export to whatever reads it.

    [prefix/]YYYYMMDD/{callId}/{first 8 of recordingId}-{guid}/{index}-audiomp3.{documentId}.mp3
    [prefix/]YYYYMMDD/{callId}/{first 8 of recordingId}-{guid}/{index}-acsmetadata.{documentId}.json

The guid is a UUIDv5 of the recording, so every try names the same blob. Ids come from events and are not trusted:
every segment passes `segment`, which keeps safe ids as they are and makes others safe, bounded and still unique.
Source: the BYOS page of the service's documentation; names for wav and mp4 are not documented and follow the
same pattern.
"""

from __future__ import annotations

import hashlib
import re
import uuid
from datetime import datetime, timedelta
from urllib.parse import unquote

# An id made only of these is kept as it is. No dot at either end: Azure trims trailing dots of a segment.
# No tilde: it marks the ids that were rewritten, so that none can pose as one of those.
_SAFE = re.compile(r"[A-Za-z0-9_=-]([A-Za-z0-9_.=-]{0,118}[A-Za-z0-9_=-])?")
_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_DNS, "acs-byos-recorder")
FORMATS = ("mp3", "mp4", "wav")
_KEY = re.compile(r"[0-9a-f]{32}")
# The service's ids have some 300 characters; a text far beyond is compared as it is, for decoding it costs.
_LONGEST_ID = 8192
_GUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


def segment(raw: str) -> str:
    """`raw` as one path segment: unchanged if it is plain, else its plain part and a hash of the whole."""
    if _SAFE.fullmatch(raw) and ".." not in raw:
        return raw
    plain = re.sub(r"[^A-Za-z0-9_=-]+", "-", raw).strip("-")[:40]
    digest = hashlib.sha256(raw.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    return f"{plain}~{digest}" if plain else f"~{digest}"


def normal_id(raw: str) -> str:
    """An id in the one spelling that two of them are compared in.

    Events and SDKs spell one id in several ways: percent-encoded, without base64 padding, in the URL-safe or the plain
    alphabet, and guids in either case.
    """
    text = raw.strip()
    for _ in range(3):
        if len(text) > _LONGEST_ID or "%" not in text or (decoded := unquote(text)) == text:
            break
        text = decoded
    if _GUID.fullmatch(text):
        return text.lower()
    return text.rstrip("=").replace("+", "-").replace("/", "_")


def recording_key(identity: str) -> str:
    """32 hex digits of a hash of an id, however it is spelt (recording ids are long and share their start)."""
    return hashlib.sha256(normal_id(identity).encode("utf-8", "surrogatepass")).hexdigest()[:32]


def is_key(text: str) -> bool:
    """Whether `text` has the form of a recording's key."""
    return _KEY.fullmatch(text) is not None


def chunk_key(document_id: str, index: int) -> str:
    """A chunk's key within its recording: 16 hex digits."""
    raw = f"{index}:{document_id}".encode("utf-8", "surrogatepass")
    return hashlib.sha256(raw).hexdigest()[:16]


def repeatability_id(idempotency_key: str) -> str:
    """The service's Repeatability-Request-ID for a caller's Idempotency-Key: the key itself if it is a UUID."""
    try:
        return str(uuid.UUID(idempotency_key))
    except ValueError:
        return str(uuid.uuid5(_NAMESPACE, "start:" + idempotency_key))


def _join(*parts: str) -> str:
    return "/".join(part for part in parts if part)


def day_prefixes(*, prefix: str, start: datetime) -> list[str]:
    """Where ACS may have put what began at `start` (UTC): that day first, then the days around it.

    Whether ACS's date is UTC is not documented, hence the neighbours.
    """
    days = [start, start - timedelta(days=1), start + timedelta(days=1)]
    return [_join(prefix, f"{day:%Y%m%d}") + "/" for day in days]


def call_prefixes(*, prefix: str, call_id: str, start: datetime) -> list[str]:
    """The same for the files of one call."""
    return [f"{day}{segment(call_id)}/" for day in day_prefixes(prefix=prefix, start=start)]


def recording_folder(*, prefix: str, start: datetime, call_id: str, recording_id: str | None, key: str) -> str:
    """The folder of a recording that ACS did not export, in ACS's own form; no slash at the end."""
    guid = uuid.uuid5(_NAMESPACE, "recording:" + key)
    first = segment((recording_id or key)[:8])
    return _join(prefix, f"{start:%Y%m%d}", segment(call_id), f"{first}-{guid}")


def media_file(*, index: int, form: str, document_id: str) -> str:
    """The file name of a chunk's media, e.g. `0-audiomp3.0-eus-d12-801b.mp3`; ACS offers video as mp4 only."""
    kind = "audiovideo" if form == "mp4" else "audio"
    return f"{index}-{kind}{form}.{segment(document_id)}.{form}"


def metadata_file(*, index: int, document_id: str) -> str:
    """The file name of a chunk's metadata."""
    return f"{index}-acsmetadata.{segment(document_id)}.json"


def apart(file: str, etag: str) -> str:
    """The file name with something of an ETag in it: beside a file of the same name that has other bytes."""
    head, dot, tail = file.rpartition(".")
    return f"{head}~{hashlib.sha256(etag.encode()).hexdigest()[:8]}{dot}{tail}"


def apart_folder(folder: str, etag: str) -> str:
    """A folder beside `folder`, for bytes whose place there holds a file of that ETag."""
    return f"{folder}~{hashlib.sha256(etag.encode()).hexdigest()[:8]}"
