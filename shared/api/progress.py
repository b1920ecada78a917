"""How many bytes of a chunk are staged: read from the uncommitted blocks of the blob that it becomes."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from shared.domain import places
from shared.domain.errors import StorageError

if TYPE_CHECKING:
    from shared.domain.recording import Chunk, Recording
    from shared.ports import Container, Containers

# A recording under way has one chunk or two; of one with many only the first are asked for.
_MOST_CHUNKS = 4


def staged_bytes(containers: Containers, recording: Recording) -> dict[str, int]:
    """Bytes staged by the keys of chunks that were begun and are not safe. A container that fails says nothing."""
    begun = (chunk for chunk in recording.chunks if chunk.is_at_risk and chunk.folder)
    return {chunk.key: _of_chunk(containers, recording, chunk) for chunk in islice(begun, _MOST_CHUNKS)}


def _of_chunk(containers: Containers, recording: Recording, chunk: Chunk) -> int:
    names = places.possible_names(recording, chunk)
    try:
        found = _staged(containers.destination(places.container_of(recording)), names)
        if not found and chunk.attempts:
            found = _staged(containers.fallback(), [places.fallback_name(recording, name) for name in names])
    except StorageError:
        return 0
    return found


def _staged(container: Container, names: list[str]) -> int:
    """Of the first name that has any."""
    for name in names:
        found = sum(block.size for block in container.staged(name))
        if found:
            return found
    return 0
