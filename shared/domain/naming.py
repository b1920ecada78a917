"""Names of blobs: the layout that ACS itself writes, so that nobody downstream can tell a rescue from an export.

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

# An id made only of these stands as it is. No dot at either end: Azure trims trailing dots of a segment.
# No tilde: it marks the ids that were rewritten, so that none can pose as one of those.
_SAFE = re.compile(r"[A-Za-z0-9_=-]([A-Za-z0-9_.=-]{0,118}[A-Za-z0-9_=-])?")
_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_DNS, "acs-byos-recorder")
_KINDS = {"audio": "audio", "audiovideo": "audiovideo"}


def segment(raw: str) -> str:
    """`raw` as one path segment: unchanged if it is plain, else its plain part and a hash of the whole."""
    if _SAFE.fullmatch(raw) and ".." not in raw:
        return raw
    plain = re.sub(r"[^A-Za-z0-9_=-]+", "-", raw).strip("-")[:40]
    digest = hashlib.sha256(raw.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    return f"{plain}~{digest}" if plain else f"~{digest}"


def recording_key(identity: str) -> str:
    """The ledger's key of a recording: 32 hex digits of a hash (recording ids are long and share their start)."""
    return hashlib.sha256(identity.encode("utf-8", "surrogatepass")).hexdigest()[:32]


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


def media_file(*, index: int, content_type: str, format_type: str, document_id: str) -> str:
    """The file name of a chunk's media, e.g. `0-audiomp3.0-eus-d12-801b.mp3`."""
    kind = _KINDS.get(content_type, "audio") + format_type
    return f"{index}-{kind}.{segment(document_id)}.{format_type}"


def metadata_file(*, index: int, document_id: str) -> str:
    """The file name of a chunk's metadata."""
    return f"{index}-acsmetadata.{segment(document_id)}.json"


def adoption(folder_url: str) -> str:
    """The ledger's note of the recording that took the export in that folder for its own."""
    return f"adopted/{recording_key(folder_url)}"


def marker(*, deadline: datetime, key: str, reopened: int = 0) -> str:
    """The marker blob of an unfinished recording; sorts by deadline.

    Each time that a closed recording is opened again the marker is another one: who still removes the old one removes
    nothing that is needed.
    """
    return f"open/{deadline:%Y%m%dT%H%M%SZ}-{f'{reopened}-' if reopened else ''}{key}"


def marker_key(name: str) -> str:
    """The recording key in a marker's name."""
    return name.rpartition("-")[2]
