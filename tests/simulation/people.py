"""What people do to files: in the fallback, at the customer's while a recording is saved, and after it was closed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.domain.locations import ContainerUrl
from shared.domain.recording import IN_FALLBACK_STATES
from tests.simulation.truth import digest

if TYPE_CHECKING:
    from shared.domain.recording import Chunk, Recording
    from tests.simulation.world import World


def by_hand(world: World) -> None:
    """What people do to files: a copy is removed from the fallback, another file put in its place, a file archived."""
    assert world.truth is not None
    for recording in world.ledger.recordings():
        place = world.containers.at(ContainerUrl.parse(recording.container_url))
        for chunk in recording.chunks:
            act = world.rng.choice(("remove", "squat", "unplace", "archive"))
            if act == "archive" and chunk.digest_state == "pending" and chunk.blob in place.blobs:
                place.archived.add(chunk.blob or "")
            if chunk.state not in IN_FALLBACK_STATES:
                continue
            if act == "remove" and world.containers.own.blobs.pop(chunk.fallback_blob or "", None) is not None:
                world.truth.starts_anew(chunk.document_id, world.scheduler.now)
            if act == "unplace" and chunk.placed:
                place.blobs.pop(chunk.placed.name, None)
            if act == "squat" and place.exists and chunk.blob not in place.blobs:
                world.truth.squatted.add(chunk.blob or "")
                other = b"\x01" * (chunk.size or 1)
                place.put(chunk.blob or "", other, content_type="audio/mpeg", overwrite=False)


def spoil(world: World) -> None:
    """Files of closed recordings are deleted, overwritten, changed by one byte; or put back as they were."""
    assert world.truth is not None
    for recording in world.ledger.recordings():
        if recording.closed_at is None:
            continue
        place = world.containers.at(ContainerUrl.parse(recording.container_url))
        for name in (recording.manifest.blob, *[chunk.metadata_blob for chunk in recording.chunks]):
            if name is not None and world.rng.random() < 0.2:
                place.blobs.pop(name, None)
        for chunk in recording.chunks:
            if place.exists and chunk.blob is not None and world.rng.random() < 0.6:
                _spoiled(world, recording, chunk)


def _spoiled(world: World, recording: Recording, chunk: Chunk) -> None:
    """One file. A byte is changed only where every record of the file knows its SHA-256: else nothing shows it."""
    assert world.truth is not None
    name, known = chunk.blob or "", world.truth.spoiled
    place = world.containers.at(ContainerUrl.parse(recording.container_url))
    if name in known and world.rng.random() < 0.6:
        place.put(name, known[name], content_type="audio/mpeg", overwrite=True)
        return
    if name not in place.blobs or not chunk.is_in_place or chunk.digest_state == "pending":
        return
    data = place.blobs[name].data
    known.setdefault(name, data)
    world.truth.touched.add(chunk.document_id)
    act = world.rng.choice(("delete", "overwrite", "change"))
    if act == "delete":
        place.blobs.pop(name)
    elif act == "overwrite":
        place.put(name, data + b"\x01", content_type="audio/mpeg", overwrite=True)
    elif chunk.sha256 == digest(data):
        place.put(name, data[:-1] + bytes([data[-1] ^ 1]), content_type="audio/mpeg", overwrite=True)
