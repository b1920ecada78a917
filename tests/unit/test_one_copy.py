"""One copy, known to the ledger: also where workers died between a commit and the ledger, and where ACS says that an
export failed which it wrote.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from shared.domain.errors import StorageUnavailable
from shared.domain.naming import marker
from shared.domain.recording import ChunkState, Manifest
from tests.support.fakes.acs import MediaFile
from tests.support.fakes.world import World
from tests.unit.builders import FOLDER, HOUR, NOON, chunk, recording

if TYPE_CHECKING:
    from shared.domain.recording import Chunk, Recording

MP3 = b"ID3" + bytes(range(256)) * 40
METADATA = b'{"chunkDocumentId":"0-eus-d1-00000000"}'
OTHER_FOLDER = "20261122/call-1/eyJQbGF0-by-acs"


def _world(given: Recording) -> World:
    """The recording in the ledger, its media and metadata at ACS, a message for its first chunk."""
    world = World()
    one = given.chunks[0]
    world.media.files[one.media_location or ""] = MediaFile(MP3)
    world.media.files[one.metadata_location or ""] = MediaFile(METADATA, content_type="application/json")
    world.ledger.save(given, etag=None)
    return world


def _run(world: World, given: Recording) -> Chunk:
    """Works off the queue, beginning with a try of the first chunk; the chunk in the end."""
    app = world.app()
    loaded = world.ledger.load(given.key)
    assert loaded is not None
    app.sweep._books.send(loaded[0], loaded[0].chunks[0])
    for _ in range(1_000):
        if world.deliver_next(app) is None:
            break
    found = world.ledger.load(given.key)
    assert found is not None
    return found[0].chunks[0]


def test_an_export_that_acs_took_for_failed_is_delivered_where_it_stands() -> None:
    one = chunk()
    given = recording(one)
    world = _world(given)
    world.destination.put(one.blob or "", MP3, content_type="audio/mpeg", overwrite=False)

    done = _run(world, given)

    assert done.state is ChunkState.DELIVERED
    assert done.blob == one.blob
    assert world.fallback.blobs == {}
    assert [name for name in world.destination.blobs if name.endswith(".mp3")] == [one.blob]


def test_a_file_with_other_bytes_is_kept_and_the_recording_stays_in_the_fallback() -> None:
    one = chunk()
    given = recording(one)
    for other in (b"ID3 somebody's own", MP3[::-1]):
        world = _world(given)
        world.destination.put(one.blob or "", other, content_type="audio/mpeg", overwrite=False)

        done = _run(world, given)

        assert done.state is ChunkState.IN_FALLBACK
        assert world.destination.blobs[one.blob or ""].data == other
        assert [blob.data for blob in world.fallback.blobs.values() if blob.data == MP3]


@pytest.mark.parametrize("has_metadata", [True, False])
@pytest.mark.parametrize("is_media", [True, False])
def test_an_export_that_acs_took_for_failed_is_taken_unseen_where_the_chunk_would_be_lost(
    *, is_media: bool, has_metadata: bool
) -> None:
    """ACS never gave the media, so its bytes could not be compared."""
    one = chunk()
    given = recording(one, deadline=NOON + HOUR)
    world = _world(given)
    world.media.files.clear()
    world.destination.put(one.blob or "", MP3 if is_media else b"a note", content_type="x", overwrite=False)
    if has_metadata:
        world.destination.put(one.metadata_blob or "", METADATA, content_type="x", overwrite=False)

    done = _run(world, given)

    assert done.state is (ChunkState.EXPORTED if is_media else ChunkState.LOST)
    assert world.clock.now() > given.deadline
    assert ("lost_0" in world.notifier.names) is not is_media
    if is_media:
        assert done.metadata_state == ("saved" if has_metadata else "absent")
        assert done.size == len(MP3)


def test_what_a_dead_worker_committed_counts_before_a_late_export() -> None:
    one = chunk(state=ChunkState.RESCUING, crashes=1, ticket=2)
    given = recording(one)
    world = _world(given)
    _run(world, given)
    # As the ledger knew it before: the worker died after its commit.
    before, etag = world.ledger.load(given.key) or (given, None)
    world.ledger.save(replace(before, chunks=(one,), manifest=Manifest(), closed_at=None), etag=etag)
    late = f"{OTHER_FOLDER}/{(one.blob or '').rpartition('/')[2]}"
    world.destination.put(late, MP3, content_type="audio/mpeg", overwrite=False)

    done = _run(world, given)

    assert (done.state, done.blob) == (ChunkState.RESCUED, one.blob)


def test_a_copy_in_the_fallback_that_a_dead_worker_left_is_removed() -> None:
    one = chunk(state=ChunkState.RESCUING, crashes=1, ticket=2)
    given = recording(one)
    world = _world(given)
    world.fallback.put(f"{given.key}/{one.blob}", MP3, content_type="audio/mpeg", overwrite=False)

    done = _run(world, given)

    assert done.state is ChunkState.RESCUED
    assert world.fallback.blobs == {}


@pytest.mark.parametrize("state", [ChunkState.RESCUED, ChunkState.EXPORTED])
def test_a_copy_that_is_left_when_the_ledger_knows_the_chunk_in_its_place_is_removed(state: ChunkState) -> None:
    """Whoever brought it there died before removing it; as an export it may have another name."""
    one = chunk(state=state, crashes=1, ticket=2, size=len(MP3), metadata_state="saved", finished_at=NOON)
    given = recording(one)
    world = _world(given)
    for name in (f"{FOLDER}/0-audiomp3.mp3", f"{FOLDER}/0-acsmetadata.json"):
        world.fallback.put(f"{given.key}/{name}", MP3, content_type="audio/mpeg", overwrite=False)
    world.fallback.put("another/recording", MP3, content_type="audio/mpeg", overwrite=False)
    world.fallback.refusal = StorageUnavailable()
    _run(world, given)
    assert world.ledger.recording(given.key).closed_at is None

    world.fallback.refusal = None
    world.ledger.put_marker(marker(deadline=given.deadline, key=given.key))
    world.clock.advance(HOUR)
    world.app().sweep.run()
    world.deliver_next(world.app())

    assert world.ledger.recording(given.key).closed_at is not None
    assert set(world.fallback.blobs) == {"another/recording"}


@pytest.mark.parametrize("is_last", [True, False])
def test_a_copy_that_stays_for_good_is_not_removed_with_what_is_left(*, is_last: bool) -> None:
    """Its delivery was given up, before or after the other chunk of the recording ended."""
    late = NOON + 40 * 24 * HOUR
    stays = chunk(
        0, ChunkState.IN_FALLBACK, metadata_state="saved", size=len(MP3), next_try_at=late if is_last else None
    )
    ends = chunk(1, ChunkState.RESCUED, tries=1, finished_at=NOON, next_try_at=None, metadata_state="saved")
    given = recording(*((stays, ends) if is_last else (ends, stays)))
    world = _world(given)
    world.clock.moment = late
    world.destination.refusal = StorageUnavailable()
    kept = {f"{given.key}/{name}" for name in (stays.blob, stays.metadata_blob)}
    for name in (*kept, f"{given.key}/{ends.blob}"):
        world.fallback.put(name, MP3, content_type="audio/mpeg", overwrite=False)
    _run(world, given)
    assert world.ledger.recording(given.key).closed_at is not None
    assert set(world.fallback.blobs) == kept


def test_metadata_lies_beside_media_that_acs_exported_without_it() -> None:
    one = chunk()
    given = recording(one)
    world = _world(given)
    late = f"{OTHER_FOLDER}/{(one.blob or '').rpartition('/')[2]}"
    world.destination.put(late, MP3, content_type="audio/mpeg", overwrite=False)

    done = _run(world, given)

    assert (done.state, done.blob) == (ChunkState.EXPORTED, late)
    assert done.metadata_blob == f"{OTHER_FOLDER}/{(one.metadata_blob or '').rpartition('/')[2]}"
    assert world.destination.blobs[done.metadata_blob].data == METADATA
    assert FOLDER not in {name.rpartition("/")[0] for name in world.destination.blobs}
