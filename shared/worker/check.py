"""Looks at files that are in place: at once, by what the container says of them; and step `check`, by their bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.domain import facts as f
from shared.domain import places
from shared.domain.errors import BlobMissing, ContainerMissing, RecorderError
from shared.domain.recording import CHECKED_STATES, IN_FALLBACK_STATES
from shared.transfer.digest import read_back

if TYPE_CHECKING:
    from shared.domain.recording import Chunk, Recording
    from shared.ports import BlobFacts, Clock, Container, Containers
    from shared.transfer.budget import Budget


class Check:
    """Compares nothing itself: what was found is a fact, and `domain/checking.py` decides what it says."""

    def __init__(self, *, containers: Containers, clock: Clock) -> None:
        self._containers = containers
        self._clock = clock

    def look(self, recording: Recording) -> f.VerificationAsked | None:
        """What is where the files of safe and damaged chunks should be, and their metadata and manifest: one request a
        file, no bytes read. None where there is no such chunk.
        """
        safe = CHECKED_STATES | IN_FALLBACK_STATES
        looks = tuple(self._looked(recording, chunk) for chunk in recording.chunks if chunk.state in safe)
        if not looks:
            return None
        metadata = tuple(
            f.MetadataChecked(chunk.key, chunk.generation, chunk.metadata_blob, is_there=is_there)
            for chunk in recording.chunks
            if chunk.state in CHECKED_STATES
            and chunk.metadata_state in ("saved", "missing")
            and chunk.metadata_blob
            and (is_there := self._is_there(recording, chunk.metadata_blob)) is not None
        )
        manifest = recording.manifest
        is_written = manifest.state == "written" and manifest.blob
        return f.VerificationAsked(
            looks, metadata, self._is_there(recording, manifest.blob or "") if is_written else None
        )

    def _is_there(self, recording: Recording, name: str) -> bool | None:
        """None where the destination gave no answer."""
        try:
            return _stat(self._containers.destination(places.container_of(recording)), name) is not None
        except RecorderError:
            return None

    def _looked(self, recording: Recording, chunk: Chunk) -> f.FileChecked:
        name = _name(recording, chunk)
        try:
            facts = _stat(self._container(recording, chunk), name)
        except RecorderError as error:
            return f.FileChecked(chunk.key, chunk.generation, name, failure=f.Failure.of(error))
        return _found(chunk, name, facts)

    def check(self, recording: Recording, chunk: Chunk, budget: Budget) -> list[f.Fact]:
        """FileChecked with the SHA-256 of all bytes, if there is one to compare it with. StorageError, DigestLate."""
        destination, name = self._container(recording, chunk), _name(recording, chunk)
        facts = _stat(destination, name)
        if facts is None or chunk.sha256 is None or facts.size != chunk.size:
            return [_found(chunk, name, facts)]
        try:
            digest = read_back(
                destination,
                name,
                etag=facts.etag,
                size=facts.size,
                until=budget.hard_until,
                clock=self._clock,
                keep=budget.keep,
            )
        except (BlobMissing, ContainerMissing):
            return [_found(chunk, name, None)]
        return [f.FileChecked(chunk.key, chunk.generation, name, facts.size, facts.etag, digest.sha256)]

    def _container(self, recording: Recording, chunk: Chunk) -> Container:
        if chunk.state in IN_FALLBACK_STATES:
            return self._containers.fallback()
        return self._containers.destination(places.container_of(recording))


def _name(recording: Recording, chunk: Chunk) -> str:
    if chunk.state in IN_FALLBACK_STATES:
        return places.fallback_copy(recording, chunk)
    return chunk.blob or ""


def _stat(container: Container, name: str) -> BlobFacts | None:
    """The file; None where it, or its whole container, is gone."""
    try:
        return container.stat(name)
    except ContainerMissing:
        return None


def _found(chunk: Chunk, name: str, facts: BlobFacts | None) -> f.FileChecked:
    if facts is None:
        return f.FileChecked(chunk.key, chunk.generation, name)
    return f.FileChecked(chunk.key, chunk.generation, name, facts.size, facts.etag)
