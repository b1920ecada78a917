"""Step `metadata`: acsmetadata beside the media, as ACS exported it, else from ACS, else from the fallback."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING

from shared.domain import facts as f
from shared.domain import naming, places
from shared.domain.errors import (
    BlobExists,
    ExportNotFound,
    MediaDistrusted,
    MediaError,
    MediaIsAPage,
    RecorderError,
    StorageError,
)
from shared.domain.recording import IN_FALLBACK_STATES

if TYPE_CHECKING:
    from shared.domain.recording import Chunk, Recording
    from shared.ports import Containers, Media

_LIMIT = 16 * 1024 * 1024


class MetadataStep:
    """Saves the metadata of chunks whose bytes are safe."""

    def __init__(self, *, containers: Containers, media: Media) -> None:
        self._containers = containers
        self._media = media

    def save(self, recording: Recording, chunk: Chunk) -> list[f.Fact]:
        """MetadataSaved or MetadataAbsent. MediaError, StorageError, ExportNotFound."""
        if not chunk.metadata_sources and not chunk.metadata_exports:
            return [f.MetadataAbsent(chunk.key, chunk.generation)]
        exported = None if chunk.state in IN_FALLBACK_STATES else self._exported(recording, chunk)
        if exported is not None:
            return [f.MetadataSaved(chunk.key, chunk.generation, exported)]
        error: RecorderError = ExportNotFound("the metadata is not in the container")
        for url in chunk.metadata_sources:
            try:
                data = self._media.read_all(url, limit=_LIMIT)
                _check(data)
            except MediaError as failed:
                error = failed
            else:
                return [f.MetadataSaved(chunk.key, chunk.generation, self._put(recording, chunk, data))]
        kept = self._kept(chunk)
        if kept is None:
            raise error
        return [f.MetadataSaved(chunk.key, chunk.generation, self._put(recording, chunk, kept))]

    def _exported(self, recording: Recording, chunk: Chunk) -> str | None:
        """The name of ACS's own export of it, copied beside the media where that is elsewhere; None without one."""
        destination = self._containers.destination(places.container_of(recording))
        beside = places.metadata_name(recording, chunk).rpartition("/")[0]
        # What is beside the media already needs no copy.
        for name in sorted(chunk.metadata_exports, key=lambda name: name.rpartition("/")[0] != beside):
            found = destination.stat(name)
            if found is None:
                continue
            if name.rpartition("/")[0] == beside:
                return name
            if found.size <= _LIMIT:
                data = destination.read(name, etag=found.etag)
                with suppress(MediaError):
                    _check(data)
                    return self._put(recording, chunk, data)
        return None

    def _kept(self, chunk: Chunk) -> bytes | None:
        """What was saved in the fallback with a copy that a person removed since; None where nothing is, or answers."""
        file = naming.metadata_file(index=chunk.index, document_id=chunk.document_id)
        for name in (name for name in chunk.leftovers if name.endswith(f"/{file}")):
            with suppress(StorageError):
                return self._containers.fallback().read(name)
        return None

    def _put(self, recording: Recording, chunk: Chunk, data: bytes) -> str:
        name = places.metadata_name(recording, chunk)
        with suppress(BlobExists):  # an earlier attempt, or ACS itself
            if chunk.state in IN_FALLBACK_STATES:
                full = places.fallback_name(recording, name)
                self._containers.fallback().put(full, data, content_type="application/json", overwrite=False)
            else:
                destination = self._containers.destination(places.container_of(recording))
                destination.put(name, data, content_type="application/json", overwrite=False)
        return name


def _check(data: bytes) -> None:
    """Metadata is a JSON object; an error page is not."""
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise MediaIsAPage("the metadata is not JSON") from error
    if not isinstance(document, dict):
        raise MediaDistrusted("the metadata is not a JSON object")
