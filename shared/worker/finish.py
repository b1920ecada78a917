"""Steps on the whole recording once its bytes are in place: the manifest, deletion at ACS, cleaning the fallback."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from shared import index
from shared.domain import facts as f
from shared.domain import places
from shared.domain.errors import MediaError
from shared.domain.media import Proof
from shared.domain.recording import ChunkState
from shared.domain.steps import is_cleanable, owes_deletion
from shared.worker.finder import everything
from shared.worker.manifest import put_manifest

if TYPE_CHECKING:
    from shared.domain.recording import Chunk, Recording
    from shared.ports import Clock, Containers, Ledger, Media


class Finish:
    """What follows the bytes. Each step is tried again on its own; none of them puts bytes at risk."""

    def __init__(self, *, store_index: Ledger, containers: Containers, media: Media, clock: Clock) -> None:
        self._ledger = store_index
        self._containers = containers
        self._media = media
        self._clock = clock

    def finish(self, recording: Recording) -> list[f.Fact]:
        """The manifest beside the media. StorageError, DestinationConflict.

        Where a chunk could not be delivered the destination takes nothing, and no manifest tells of the rest.
        """
        if any(chunk.state is ChunkState.UNDELIVERABLE for chunk in recording.chunks):
            return [f.Finished(None, recording.revision)]
        destination = self._containers.destination(places.container_of(recording))
        name = put_manifest(destination, recording, now=self._clock.now())
        if recording.closed_at is None:
            self._index(recording)
        return [f.Finished(name, recording.revision)]

    def _index(self, recording: Recording) -> None:
        """Found by its call's ids from now on; a start has done that for those that it knew."""
        at = recording.recording_start or recording.created_at
        # What could not be joined may be later: a CallStarted that comes after the close finds it by this role.
        is_unmatched = recording.started is None and any(one.kind == "event_unmatched" for one in recording.timeline)
        role = index.UNMATCHED if is_unmatched else index.REPORTED
        for identity in dict.fromkeys((recording.call_id, recording.server_call_id)):
            if identity and not (recording.started and identity == recording.server_call_id):
                index.remember(self._ledger, identity, key=recording.key, at=at, role=role)

    def clean(self, recording: Recording) -> list[f.Fact]:
        """Removes copies of chunks that are in place. StorageError.

        By their exact names, and unproven ones by their chunk's own prefix: a worker that died may have left one that
        the ledger does not know.
        """
        fallback = self._containers.fallback()
        found: list[f.Fact] = []
        for chunk in filter(is_cleanable, recording.chunks):
            unproven = everything(fallback, places.unproven_prefix(recording, chunk))
            for name in (*chunk.leftovers, *(facts.name for facts in unproven)):
                fallback.delete(name)
            found.append(f.Cleaned(chunk.key, chunk.generation, chunk.leftovers))
        return found

    def delete_at_acs(self, recording: Recording) -> list[f.Fact]:
        """Deletes at ACS what is proved by length or digest. MediaError."""
        found: list[f.Fact] = []
        for chunk in filter(owes_deletion, recording.chunks):
            location = next((one for one in chunk.delete_locations if names_chunk(one, chunk)), None)
            if location is None or not self._is_proved(chunk, found):
                found.append(f.Deleted(chunk.key, chunk.generation, is_refused=True))
                continue
            self._media.delete(location)
            found.append(f.Deleted(chunk.key, chunk.generation))
        return found

    def _is_proved(self, chunk: Chunk, found: list[f.Fact]) -> bool:
        if chunk.proof in (Proof.LENGTH, Proof.DIGEST):
            return True
        for source in chunk.sources:
            try:
                total = self._media.total(source.url)
            except MediaError:
                continue
            if total is not None and total == chunk.size:
                found.append(f.LengthConfirmed(chunk.key, chunk.generation, chunk.blob or ""))
                return True
        return False


def names_chunk(url: str, chunk: Chunk) -> bool:
    """Whether a URL at ACS names the chunk's own document: an event could name any."""
    return chunk.document_id in [unquote(part) for part in urlsplit(url).path.split("/")]
