"""From the fallback to the right place: copied, checked, then removed; nothing overwritten, nothing twice."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from shared.domain.errors import (
    Blame,
    BlobExists,
    StorageAccessDenied,
    StorageError,
    StorageInvalid,
    StorageUnavailable,
)
from shared.domain.recording import ChunkState, Recording, RecordingState
from shared.ports import RescueMessage
from shared.worker.finder import fallback_name
from tests.support.fakes import MediaFile, World, watched
from tests.unit.builders import HOUR, chunk, recording

if TYPE_CHECKING:
    from collections.abc import Callable

S = ChunkState
DATA = b"ID3" + bytes(5_000)
SHA256 = hashlib.sha256(DATA).hexdigest()
METADATA = b'{"callId": "call-1"}'
SAFE: dict[str, Any] = {"state": S.IN_FALLBACK, "size": len(DATA), "sha256": SHA256, "metadata_state": "saved"}
ACS_FOLDER = "20261122/call-1/eyJQbGF0-acs"


def world(**changes: Any) -> World:
    """A chunk that is safe in the fallback, and its message."""
    made = World()
    one = recording(chunk(**(SAFE | changes)))
    made.ledger.save(one, etag=None)
    made.fallback.put(fallback_name(one, one.chunks[0].blob or ""), DATA, content_type="x", overwrite=False)
    made.fallback.note_sha256(fallback_name(one, one.chunks[0].blob or ""), SHA256)
    if one.chunks[0].metadata_state == "saved":
        name = fallback_name(one, one.chunks[0].metadata_blob or "")
        made.fallback.put(name, METADATA, content_type="x", overwrite=False)
    return made


def the(made: World) -> Recording:
    return made.ledger.recording(recording().key)


def deliver(made: World, **ports: Any) -> Recording:
    one = the(made)
    message = RescueMessage(one.key, one.chunks[0].key, one.chunks[0].ticket)
    made.app(**ports).rescue.handle(message)
    return the(made)


def around(of: str, error: StorageError | None = None, *, times: int = 99) -> Callable[..., Any]:
    """Fails calls of that name; for `watched`."""
    left = [error] * times

    def failing(name: str, call: Callable[[], Any], arguments: tuple[Any, ...]) -> Any:
        if name == of and left:
            raise left.pop() or StorageUnavailable()
        return call()

    return failing


class Watched:
    """Containers of which the destination is watched."""

    def __init__(self, made: World, failing: Callable[..., Any]) -> None:
        self._made = made
        self._failing = failing

    def destination(self, container: Any) -> Any:
        return watched(self._made.containers.destination(container), self._failing)

    def fallback(self) -> Any:
        return self._made.containers.fallback()


def test_a_chunk_is_moved_with_its_metadata_and_the_fallback_left_empty() -> None:
    made = world()
    after = deliver(made)
    [one] = after.chunks
    assert one.state is S.DELIVERED
    assert made.destination.blobs[one.blob or ""].data == DATA
    assert made.destination.blobs[one.metadata_blob or ""].data == METADATA
    assert made.fallback.blobs == {}
    assert after.state is RecordingState.COMPLETE
    assert after.manifest.state == "written"
    assert after.closed_at is not None


def test_metadata_that_was_not_had_yet_is_fetched_to_the_destination() -> None:
    made = world(metadata_state="pending")
    made.media.files[the(made).chunks[0].metadata_location or ""] = MediaFile(METADATA)
    [one] = deliver(made).chunks
    assert one.metadata_state == "saved"
    assert made.destination.blobs[one.metadata_blob or ""].data == METADATA


def test_where_the_destinations_server_cannot_read_ours_the_bytes_go_through_us() -> None:
    made = world()
    after = deliver(made, containers=Watched(made, around("copy_from", StorageInvalid())))
    assert after.chunks[0].state is S.DELIVERED
    assert made.destination.blobs[after.chunks[0].blob or ""].data == DATA


@pytest.mark.parametrize("of", ["stat", "copy_from", "pieces"])
def test_a_destination_that_refuses_is_tried_again_and_said_aloud(of: str) -> None:
    made = world()
    error = StorageAccessDenied("no role", blame=Blame.DESTINATION)
    after = deliver(made, containers=Watched(made, around(of, error)))
    [one] = after.chunks
    assert (one.state, one.tries, one.failures, one.ticket) == (S.IN_FALLBACK, 1, 1, 2)
    assert one.last_error is not None
    assert (one.last_error.code, one.last_error.blame) == ("storage_access_denied", Blame.DESTINATION)
    assert made.notifier.names == ["storage_access_denied"]
    assert [delivery.message.ticket for delivery in made.queue.waiting] == [2]
    assert len(made.fallback.blobs) == 2
    made.deliver_next(made.app())
    assert the(made).chunks[0].state is S.DELIVERED


def test_an_outage_is_not_said_aloud() -> None:
    made = world()
    deliver(made, containers=Watched(made, around("copy_from")))
    assert made.notifier.names == []


def test_bytes_that_arrived_wrong_leave_the_fallback_alone() -> None:
    made = world()

    def corrupting(name: str, call: Callable[[], Any], arguments: tuple[Any, ...]) -> Any:
        call_result = call()
        if name == "copy_from":
            blob = made.destination.blobs[arguments[2]]
            made.destination.blobs[arguments[2]] = replace(blob, data=bytes(len(DATA)))
        return call_result

    after = deliver(made, containers=Watched(made, corrupting))
    assert after.chunks[0].last_error is not None
    assert after.chunks[0].last_error.code == "destination_conflict"
    assert len(made.fallback.blobs) == 2


@pytest.mark.parametrize("other", [b"another", bytes(len(DATA))])
def test_another_file_in_the_place_is_kept_and_reported(other: bytes) -> None:
    made = world()
    name = the(made).chunks[0].blob or ""
    made.destination.put(name, other, content_type="x", overwrite=False)
    after = deliver(made)
    assert after.chunks[0].state is S.IN_FALLBACK
    assert made.destination.blobs[name].data == other
    assert made.notifier.names == ["destination_conflict"]
    assert len(made.fallback.blobs) == 2


@pytest.mark.parametrize("metadata_state", ["saved", "absent"])
def test_beside_a_file_without_bytes_it_goes_to_a_folder_of_our_own(metadata_state: str) -> None:
    """ACS left it there; it is not written over, and says nothing."""
    made = world(metadata_state=metadata_state)
    name = chunk(0).blob or ""
    made.destination.put(name, b"", content_type="x", overwrite=False)
    [one] = deliver(made).chunks
    assert one.state is S.DELIVERED
    assert one.blob not in (None, name)
    assert made.destination.blobs[name].data == b""
    assert made.destination.blobs[one.blob or ""].data == DATA
    assert ((one.metadata_blob or "") in made.destination.blobs) is (metadata_state == "saved")
    assert made.fallback.blobs == {}
    assert made.notifier.names == []


def test_the_same_bytes_in_the_place_are_the_recording() -> None:
    """Of a worker that died before the ledger knew, or of ACS."""
    made = world()
    made.destination.put(the(made).chunks[0].blob or "", DATA, content_type="x", overwrite=False)
    assert deliver(made).chunks[0].state is S.DELIVERED
    assert made.fallback.blobs == {}


@pytest.mark.parametrize("has_metadata", [True, False])
def test_an_export_that_came_after_all_is_taken_in_place_of_a_second_copy(*, has_metadata: bool) -> None:
    made = world()
    document = the(made).chunks[0].document_id
    media, metadata = (f"{ACS_FOLDER}/0-{kind}.{document}" for kind in ("audiomp3", "acsmetadata"))
    made.destination.put(f"{media}.mp3", DATA, content_type="x", overwrite=False)
    if has_metadata:
        made.destination.put(f"{metadata}.json", b"of ACS", content_type="x", overwrite=False)
    [one] = deliver(made).chunks
    assert (one.state, one.blob, one.metadata_blob) == (S.DELIVERED, f"{media}.mp3", f"{metadata}.json")
    assert made.destination.blobs[f"{metadata}.json"].data == (b"of ACS" if has_metadata else METADATA)
    assert made.fallback.blobs == {}
    assert [name for name in made.destination.blobs if name.endswith(".mp3")] == [f"{media}.mp3"]


@pytest.mark.parametrize("other", [b"another", bytes(len(DATA))])
def test_an_export_of_other_bytes_is_left_beside_ours(other: bytes) -> None:
    made = world()
    name = f"{ACS_FOLDER}/0-audiomp3.{the(made).chunks[0].document_id}.mp3"
    made.destination.put(name, other, content_type="x", overwrite=False)
    [one] = deliver(made).chunks
    assert one.state is S.DELIVERED
    assert made.destination.blobs[one.blob or ""].data == DATA
    assert made.destination.blobs[name].data == other


def test_a_worker_that_died_after_removing_the_fallback_is_followed_up() -> None:
    made = world()
    after_copy = around("save", StorageUnavailable(), times=1)
    with pytest.raises(StorageUnavailable):
        deliver(made, ledger=watched(made.ledger, after_copy))
    assert made.fallback.blobs == {}
    assert the(made).chunks[0].state is S.IN_FALLBACK
    assert deliver(made).chunks[0].state is S.DELIVERED


def test_two_workers_at_once_deliver_once() -> None:
    made = world()
    stale = the(made)

    def meanwhile(name: str, call: Callable[[], Any], arguments: tuple[Any, ...]) -> Any:
        if name == "copy_from" and the(made).chunks[0].state is S.IN_FALLBACK:
            deliver(made)
        return call()

    after = deliver(made, containers=Watched(made, meanwhile))
    assert after.chunks[0].state is S.DELIVERED
    assert after.chunks[0].ticket == stale.chunks[0].ticket
    assert made.queue.waiting == []


def test_who_comes_second_at_the_ledger_changes_nothing() -> None:
    made = world()
    seen: list[str] = []

    def meanwhile(name: str, call: Callable[[], Any], arguments: tuple[Any, ...]) -> Any:
        if name == "pieces" and not seen:
            seen.append(name)
            deliver(made)
        return call()

    after = deliver(made, containers=Watched(made, meanwhile))
    assert after.chunks[0].state is S.DELIVERED
    assert made.queue.waiting == []


def test_metadata_that_another_worker_puts_first_is_left() -> None:
    made = world()
    after = deliver(made, containers=Watched(made, around("put", BlobExists(), times=1)))
    assert after.chunks[0].state is S.DELIVERED


def test_a_destination_that_never_opens_is_given_up_after_seven_days_and_the_bytes_stay() -> None:
    made = world()
    made.destination.refusal = StorageAccessDenied(blame=Blame.DESTINATION)
    deliver(made)
    app = made.app()
    for _ in range(1_000):
        if made.deliver_next(app) is None:
            break
    after = the(made)
    assert after.chunks[0].state is S.IN_FALLBACK
    assert (after.chunks[0].next_try_at, after.state) == (None, RecordingState.SAFE)
    assert after.closed_at is not None
    assert timedelta(days=7) <= after.closed_at - after.deadline <= timedelta(days=7, hours=2)
    assert made.notifier.names == ["storage_access_denied", "delivery_given_up"]
    assert len(made.fallback.blobs) == 2


def test_who_closes_a_recording_says_what_is_lost_of_it() -> None:
    made = World()
    one = recording(chunk(0, **SAFE), chunk(1, S.LOST, next_try_at=None))
    made.ledger.save(one, etag=None)
    made.clock.moment = one.deadline + timedelta(days=7, hours=1)
    made.destination.refusal = StorageAccessDenied()
    assert deliver(made).closed_at is not None
    assert made.notifier.names == ["lost_1", "delivery_given_up"]


def test_one_delivery_given_up_does_not_close_what_another_chunk_still_waits_for() -> None:
    made = World()
    waiting = chunk(1, S.PENDING, next_try_at=recording().deadline + 8 * 24 * HOUR)
    one = recording(chunk(0, **SAFE), waiting)
    made.ledger.save(one, etag=None)
    made.clock.moment = one.deadline + timedelta(days=7, hours=1)
    made.destination.refusal = StorageAccessDenied()
    assert deliver(made).closed_at is None
    assert made.notifier.names == ["delivery_given_up"]
