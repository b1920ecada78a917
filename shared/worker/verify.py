"""Steps `verify` and `last_look`: whether the chunk is there, as ACS exported it or as this app left it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.domain import facts as f
from shared.domain import places
from shared.domain.errors import ExportEmpty, ExportNotFound, StorageError, StorageRefused
from shared.domain.media import Proof
from shared.domain.recording import Step
from shared.worker.checks import fact_of
from shared.worker.finder import everything, find_copies, has_history, is_made_of_our_blocks, reported_export

if TYPE_CHECKING:
    from shared.domain.recording import Chunk, Recording
    from shared.ports import Container, Containers, Media


class Verify:
    """Looks at reported exports, and once more when a window is over."""

    def __init__(self, *, containers: Containers, media: Media) -> None:
        self._containers = containers
        self._media = media

    def verify(self, recording: Recording, chunk: Chunk) -> list[f.Fact]:
        """The fact about the reported export. ExportNotFound, ExportEmpty, StorageError."""
        destination = self._containers.destination(places.container_of(recording))
        reported = None if has_history(chunk) else reported_export(destination, chunk)
        if reported is not None:
            return [fact_of(destination, self._media, recording, chunk, reported)]
        found = find_copies(destination, recording, chunk, is_thorough=chunk.attempts > 0)
        if not found:
            raise ExportNotFound
        if found[0].size == 0:
            raise ExportEmpty
        return [fact_of(destination, self._media, recording, chunk, found[0])]

    def last_look(self, recording: Recording, chunk: Chunk) -> list[f.Fact]:
        """Wherever the bytes are although the ledger does not know it: destination, then fallback.

        What refuses for good counts as not there: a person who mends it can have the recording replayed.
        """
        unknown: StorageError | None = None
        for look in (self._in_destination, self._in_fallback):
            try:
                found = look(recording, chunk)
            except StorageRefused:
                continue
            except StorageError as error:
                unknown = error
                continue
            if found is not None:
                return [found]
        if unknown is not None:
            return [f.Failed(chunk.key, chunk.generation, Step.LAST_LOOK, f.Failure.of(unknown))]
        return [f.NowhereFound(chunk.key, chunk.generation)]

    def _in_destination(self, recording: Recording, chunk: Chunk) -> f.Fact | None:
        destination = self._containers.destination(places.container_of(recording))
        doubtful: f.ExportDoubtful | None = None
        for one in find_copies(destination, recording, chunk, is_thorough=True):
            if one.size == 0:
                continue
            fact = fact_of(destination, self._media, recording, chunk, one)
            if not isinstance(fact, f.ExportDoubtful):
                return fact
            doubtful = doubtful or fact
        return doubtful if chunk.spare is None else None

    def _in_fallback(self, recording: Recording, chunk: Chunk) -> f.Fact | None:
        return stored_in_fallback(self._containers.fallback(), recording, chunk)


def stored_in_fallback(fallback: Container, recording: Recording, chunk: Chunk) -> f.Stored | None:
    """What an earlier attempt left in the fallback before the ledger knew of it, or None. StorageError."""
    names = {places.fallback_name(recording, name) for name in places.possible_names(recording, chunk)}
    folders = {places.fallback_name(recording, places.folder_of(recording, chunk))}
    if chunk.before_damage is not None:
        # A copy that was delivered and not cleaned up yet.
        kept = [name for name in chunk.leftovers if not name.startswith(f"{recording.key}/unproven/")]
        names.update(name for name in kept if name.endswith((".mp3", ".mp4", ".wav")))
        folders.update(name.rpartition("/")[0] for name in kept)
    for facts in (one for folder in sorted(folders) for one in everything(fallback, folder + "/")):
        is_ours = facts.name in names and (facts.sha256 or is_made_of_our_blocks(fallback, facts))
        if is_ours and facts.size:
            return f.Stored(
                chunk.key,
                chunk.generation,
                facts.name,
                is_fallback=True,
                size=facts.size,
                proof=Proof.LENGTH,
                sha256=facts.sha256,
                etag=facts.etag,
                format=facts.name.rpartition(".")[2],
            )
    return None
