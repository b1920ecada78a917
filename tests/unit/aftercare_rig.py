"""Chunks whose bytes are safe, over fakes: what the tests of aftercare have in common."""

from __future__ import annotations

from typing import Any

from shared.domain.recording import Chunk, ChunkState, Recording
from tests.support.fakes import MediaFile, World, settings
from tests.unit.builders import NOON, recording

S = ChunkState
METADATA = b'{"callId": "call-1"}'
DONE: dict[str, Any] = {"size": 10, "sha256": "ab", "finished_at": NOON, "next_try_at": None}
SAVED = DONE | {"metadata_state": "saved"}


def world_with(*chunks: Chunk, deletes: bool = False, metadata: bytes | None = METADATA, **changes: Any) -> World:
    world = World(settings(delete_at_acs=deletes))
    world.ledger.save(recording(*chunks, **changes), etag=None)
    for one in chunks:
        if one.metadata_location and metadata is not None:
            world.media.files[one.metadata_location] = MediaFile(metadata, "application/json")
    return world


def the(world: World) -> Recording:
    return world.ledger.recording(recording().key)


def care(world: World, *, index: int = 0, **ports: Any) -> Recording:
    """Aftercare for one chunk, as after its bytes; what the ledger says then."""
    one = the(world)
    world.app(**ports).rescue._aftercare.chunk_is_safe(one, one.chunks[index])
    return the(world)
