"""Looking before writing: whether ACS exported the chunk after all, or an earlier try brought it, is seen there."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC
from typing import TYPE_CHECKING

from shared.domain import naming
from shared.domain.errors import BlobMissing, DestinationConflict
from shared.domain.locations import ContainerUrl
from shared.domain.media import Proof, sniff
from shared.transfer import ranges
from shared.transfer.engine import StoredBlob

if TYPE_CHECKING:
    from shared.domain.recording import Chunk, Recording
    from shared.ports import BlobFacts, Container

_MEDIA_FILE = re.compile(r"([0-9]{1,9})-(?!acsmetadata)[a-z0-9]+(?:\.(.+))?\.(mp3|mp4|wav)", re.IGNORECASE)


@dataclass(frozen=True)
class Found:
    """A chunk's media as ACS exported it. `metadata_name`: its metadata beside it, if that is there too."""

    name: str
    size: int
    sha256: str | None
    metadata_name: str | None

    def metadata_place(self, chunk: Chunk) -> str | None:
        """The name of the metadata's blob: as found, else the chunk's own file name beside the media."""
        if self.metadata_name or chunk.metadata_blob is None:
            return self.metadata_name
        return f"{self.name.rpartition('/')[0]}/{chunk.metadata_blob.rpartition('/')[2]}"


def container_of(recording: Recording) -> ContainerUrl:
    """The recording's destination."""
    return ContainerUrl.parse(recording.container_url)


def fallback_name(recording: Recording, name: str) -> str:
    """Where a file of the recording lies in the fallback: its full destination name below the recording's key."""
    return f"{recording.key}/{name}"


def beside_empty(recording: Recording, chunk: Chunk) -> Chunk:
    """The chunk under names in a folder of our own: ACS left a file without bytes, which is not overwritten either."""
    folder = naming.recording_folder(
        prefix=container_of(recording).prefix,
        start=(recording.recording_start or recording.created_at).astimezone(UTC),
        call_id=recording.call_id or recording.key,
        recording_id=recording.recording_id,
        key=recording.key,
    )
    names = [name and f"{folder}/{name.rpartition('/')[2]}" for name in (chunk.blob, chunk.metadata_blob)]
    return replace(chunk, blob=names[0], metadata_blob=names[1])


class Lookup:
    """Finds chunks in containers. Has no state."""

    def exported(
        self, container: Container, recording: Recording, chunk: Chunk, *, all_days: bool = False
    ) -> Found | None:
        """The chunk as ACS exported it: where the event claims it, else wherever the layout would have it.

        `all_days`: the days around the recording's too, which is else done at the first try only.
        """
        if chunk.claimed_blob:
            facts = container.stat(chunk.claimed_blob)
            if facts:
                return self._claimed(container, chunk, facts)
        return self._searched(container, recording, chunk, all_days=all_days or chunk.tries == 0)

    @staticmethod
    def _claimed(container: Container, chunk: Chunk, facts: BlobFacts) -> Found:
        metadata = chunk.claimed_metadata_blob
        has_metadata = metadata is not None and container.stat(metadata) is not None
        return Found(facts.name, facts.size, facts.sha256, metadata if has_metadata else None)

    def _searched(self, container: Container, recording: Recording, chunk: Chunk, *, all_days: bool) -> Found | None:
        """By listing: the recording's day, and the days around it (the date's zone is not known)."""
        if recording.call_id is None or recording.recording_start is None:
            return None
        prefixes = naming.call_prefixes(
            prefix=container_of(recording).prefix,
            call_id=recording.call_id,
            start=recording.recording_start.astimezone(UTC),
        )
        for prefix in prefixes if all_days else prefixes[:1]:
            blobs = [facts for facts in container.find(prefix) if facts.name != chunk.blob]
            names = {facts.name for facts in blobs}
            for facts in blobs:
                found = self._match(container, chunk, facts, names)
                if found:
                    return found
        return None

    def _match(self, container: Container, chunk: Chunk, facts: BlobFacts, names: set[str]) -> Found | None:
        folder, _, file = facts.name.rpartition("/")
        match = _MEDIA_FILE.fullmatch(file)
        if match is None or int(match[1]) != chunk.index or facts.size == 0:
            return None
        document = naming.segment(chunk.document_id)
        if match[2] == document:
            metadata = f"{folder}/{chunk.index}-acsmetadata.{document}.json"
            return Found(facts.name, facts.size, facts.sha256, metadata if metadata in names else None)
        metadata = f"{folder}/{chunk.index}-acsmetadata.json"
        # Names without the documentId are seen in real containers; two recordings of one call differ by folder
        # only, so the metadata beside the file must name this chunk.
        if match[2] is None and metadata in names and self._names(container, metadata, chunk):
            return Found(facts.name, facts.size, facts.sha256, metadata)
        return None

    @staticmethod
    def _names(container: Container, metadata: str, chunk: Chunk) -> bool:
        try:
            document = json.loads(container.read(metadata, length=1_000_000))
        except (ValueError, RecursionError, BlobMissing):
            return False
        return isinstance(document, dict) and document.get("chunkDocumentId") == chunk.document_id

    def standing(
        self, container: Container, recording: Recording, chunk: Chunk, *, all_days: bool = False
    ) -> StoredBlob | Found | None:
        """What is in the destination of the chunk: by an earlier try of ours, or else as ACS exported it.

        Ours counts first: its worker may have died before the ledger knew, and ACS may have exported since; taking
        the export then would leave a copy that nobody knows of. DestinationConflict.
        """
        found = self.exported(container, recording, chunk, all_days=all_days)
        if found is None or not found.size:
            return self.own(container, chunk.blob or "")
        with suppress(DestinationConflict):
            return self.own(container, chunk.blob or "") or found
        return found

    def in_place(self, container: Container, chunk: Chunk) -> Found | None:
        """A file under the chunk's very name that begins as its format does, or None.

        Most likely ACS's, of an export that it took for failed: enough where the chunk would be lost otherwise. Before
        that it is another's, and taken for the chunk only by its bytes (`delivery.py`).
        """
        facts = container.stat(chunk.blob or "")
        if facts is None:
            return None
        first = container.read(facts.name, length=12)
        if sniff(first) != facts.name.rpartition(".")[2]:
            return None
        has_metadata = chunk.metadata_blob is not None and container.stat(chunk.metadata_blob) is not None
        return Found(facts.name, facts.size, facts.sha256, chunk.metadata_blob if has_metadata else None)

    def own(self, container: Container, name: str) -> StoredBlob | None:
        """The chunk as an earlier try of ours committed it, or None. DestinationConflict where the file is another's.

        Ours is what carries our note of its SHA-256, or is made of blocks with our ids (a worker that died between
        commit and note); the latter is read once for its checksum.
        """
        facts = container.stat(name)
        if facts is None:
            return None
        if facts.sha256:
            return StoredBlob(name, facts.size, facts.sha256, None, None, Proof.NONE, blocks=0, reused=0)
        blocks = container.committed(name)
        is_ours = all(ranges.is_our_block(block) for block in blocks)
        if not blocks or not is_ours or sum(block.size for block in blocks) != facts.size:
            raise DestinationConflict(f"another file stands at {name}; it is kept")
        return StoredBlob(name, facts.size, None, None, None, Proof.NONE, blocks=0, reused=len(blocks))
