"""Where an export puts its files in the customer's container.

`/YYYYMMDD/{callId}/{first 8 of recordingId}-{guid}/{chunk}-acsmetadata.{documentId}.json` and
`…/{chunk}-audiomp3.{documentId}.mp3` are documented; the middle parts for wav and mp4, and that the date is
that of the recording's start in UTC, are guesses. Real containers show names without the documentId as well (field).
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from local.acs.model import Chunk, Recording

_WORDS = {"mp3": "audiomp3", "wav": "audiowav", "mp4": "audiovideomp4"}
_NO_CONTAINER = "https://local.blob.core.windows.net/recordings"


def blob_names(recording: Recording, chunk: Chunk) -> tuple[str, str]:
    """The names of the media blob and of the metadata blob, below the location that the caller gave."""
    day = recording.chunks[0].started_at.strftime("%Y%m%d")
    folder = f"{day}/{recording.call.call_id}/{recording.recording_id[:8]}-{recording.folder_guid}"
    kind = chunk.media.kind
    return (
        f"{folder}/{chunk.index}-{_WORDS[kind]}.{chunk.document_id}.{kind}",
        f"{folder}/{chunk.index}-acsmetadata.{chunk.document_id}.json",
    )


def blob_urls(recording: Recording, chunk: Chunk) -> tuple[str, str]:
    """The URLs of the two. Where the request named no container, they lie in a made-up one."""
    base = (recording.request.container_url or _NO_CONTAINER).rstrip("/")
    media, metadata = blob_names(recording, chunk)
    return f"{base}/{quote(media)}", f"{base}/{quote(metadata)}"
