"""Where the files of a recording belong: functions of its reports, until the first byte is staged."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC
from typing import TYPE_CHECKING

from shared.domain import naming
from shared.domain.locations import ContainerUrl
from shared.domain.recording import IN_FALLBACK_STATES, Chunk

if TYPE_CHECKING:
    from shared.domain.recording import Recording


def container_of(recording: Recording) -> ContainerUrl:
    """The recording's destination."""
    return ContainerUrl.parse(recording.container_url)


def own_folder(recording: Recording) -> str:
    """The recording's folder in ACS's form, with a name that only this app gives."""
    return naming.recording_folder(
        prefix=container_of(recording).prefix,
        start=(recording.recording_start or recording.created_at).astimezone(UTC),
        call_id=recording.call_id or recording.server_call_id or recording.key,
        recording_id=recording.recording_id,
        key=recording.key,
    )


def folder_of(recording: Recording, chunk: Chunk) -> str:
    """The folder of the chunk: fixed once its first fetch began; else that of its siblings, else our own."""
    return chunk.folder or recording.folder or own_folder(recording)


def media_name(recording: Recording, chunk: Chunk, form: str | None) -> str:
    """The chunk's full name in the destination, for the format its bytes turned out to have.

    Where they are of none that is known, the reported format names them, else mp3.
    """
    known = form or chunk.format_hint or recording.format_type or "mp3"
    file = naming.media_file(index=chunk.index, form=known, document_id=chunk.document_id)
    return f"{folder_of(recording, chunk)}/{file}"


def metadata_name(recording: Recording, chunk: Chunk) -> str:
    """The metadata's full name in the destination: beside the media."""
    folder = chunk.blob.rpartition("/")[0] if chunk.blob else folder_of(recording, chunk)
    return f"{folder}/{naming.metadata_file(index=chunk.index, document_id=chunk.document_id)}"


def fallback_name(recording: Recording, name: str) -> str:
    """Where a file of the recording lies in the fallback: its full destination name below the recording's key."""
    return f"{recording.key}/{name}"


def fallback_copy(recording: Recording, chunk: Chunk) -> str:
    """The full name of the chunk's copy in the fallback."""
    return chunk.fallback_blob or fallback_name(recording, chunk.blob or "")


def unproven_prefix(recording: Recording, chunk: Chunk) -> str:
    """What the names of the chunk's unproven copies in the fallback begin with; a generation and a file follow."""
    return f"{recording.key}/unproven/{chunk.key}-"


def possible_names(recording: Recording, chunk: Chunk) -> list[str]:
    """The names that attempts may have stored the chunk under, in the destination: one a format."""
    forms = dict.fromkeys((chunk.format, chunk.format_hint, recording.format_type, *naming.FORMATS))
    names = [chunk.blob] if chunk.blob and chunk.state in IN_FALLBACK_STATES else []
    return list(dict.fromkeys([*names, *(media_name(recording, chunk, form) for form in forms if form)]))


def in_own_folder(recording: Recording, chunk: Chunk) -> Chunk:
    """The chunk with our own folder as its place: a file that is not it has its name, and is never overwritten."""
    return replace(chunk, folder=own_folder(recording))


def beside(recording: Recording, chunk: Chunk, etag: str | None) -> Chunk:
    """The chunk with a folder beside its file, which has other bytes under `etag`: kept, and not taken for it again."""
    blob = chunk.blob or ""
    folder = own_folder(recording)
    if blob.startswith(f"{folder}/"):
        folder = naming.apart_folder(blob.rpartition("/")[0], etag or "")
    return replace(chunk, folder=folder, other_files=tuple(dict.fromkeys((*chunk.other_files, blob))))
