"""Bytes that stand anywhere are found again, whoever died or failed before the ledger knew; none are removed early."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from shared.domain.errors import (
    Blame,
    ContainerNotAllowed,
    MediaUnavailable,
    StorageAccessDenied,
    StorageError,
    StorageUnavailable,
)
from shared.domain.recording import Chunk, ChunkState, Recording, RecordingState
from shared.ports import RescueMessage
from shared.worker.finder import fallback_name
from tests.support.fakes import MediaFile, World, watched
from tests.unit.builders import HOUR, MEDIA, METADATA, NOON, chunk, recording

if TYPE_CHECKING:
    from collections.abc import Callable

S = ChunkState
DATA = b"ID3\x04" + bytes(range(256)) * 20
SHA256 = hashlib.sha256(DATA).hexdigest()
# The window and the grace after it are over, and so is the try that follows them.
LATE = NOON + timedelta(hours=1, minutes=2)
REFUSED = StorageAccessDenied("no role", blame=Blame.DESTINATION)
DOWN = StorageUnavailable("503", blame=Blame.DESTINATION)


class Killed(BaseException):
    """The worker's process is gone."""


def world(*chunks: Chunk, deadline: timedelta = 2 * HOUR) -> World:
    made = World()
    given = chunks or (chunk(0),)
    made.ledger.save(recording(*given, deadline=NOON + deadline), etag=None)
    for one in given:
        made.media.files[MEDIA.format(one.document_id)] = MediaFile(DATA)
        made.media.files[METADATA.format(one.document_id)] = MediaFile(b"{}")
    return made


def last_try() -> World:
    """A chunk at its very last try."""
    made = world(chunk(0, tried_after_deadline=True, tries=5), deadline=-timedelta(minutes=1))
    made.clock.moment = LATE
    return made


def the(made: World) -> Recording:
    return made.ledger.recording(recording().key)


def handle(made: World, *, dequeue_count: int = 1, **ports: Any) -> Chunk:
    one = the(made)
    message = RescueMessage(one.key, one.chunks[0].key, one.chunks[0].ticket)
    made.app(**ports).rescue.handle(message, dequeue_count=dequeue_count)
    return the(made).chunks[0]


def run(made: World, *, until: timedelta | None = None, **ports: Any) -> Chunk:
    """All messages until none is left, or until a moment after noon."""
    app = made.app(**ports)
    for _ in range(2_000):
        due = made.queue.next_due()
        if due is None or (until is not None and due > NOON + until):
            break
        made.deliver_next(app)
    return the(made).chunks[0]


def at_save(state: ChunkState, effect: BaseException, *, times: int = 1) -> Callable[..., Any]:
    """The ledger write that would note `state` ends in `effect`, as often."""
    left = [times]

    def around(name: str, call: Callable[[], Any], arguments: tuple[Any, ...]) -> Any:
        if name == "save" and arguments[0].chunks[0].state is state and left[0]:
            left[0] -= 1
            raise effect
        return call()

    return around


def killed_at(made: World, state: ChunkState) -> None:
    """A worker brings the bytes and is gone before it can say so; the host gives its message again later."""
    with pytest.raises(Killed):
        handle(made, ledger=watched(made.ledger, at_save(state, Killed())))
    made.clock.advance(timedelta(minutes=10))


def kept(made: World) -> list[bytes]:
    return [blob.data for blob in made.fallback.blobs.values()]


# --- lost only what is nowhere


def test_a_last_try_that_the_ledger_did_not_take_down_is_found_in_the_fallback() -> None:
    made = last_try()
    made.destination.refusal = REFUSED
    one = handle(made, ledger=watched(made.ledger, at_save(S.IN_FALLBACK, DOWN)))
    assert (one.state, one.sha256) == (S.IN_FALLBACK, SHA256)
    made.destination.refusal = None
    assert run(made).state is S.DELIVERED
    assert the(made).state is RecordingState.COMPLETE
    assert "lost_0" not in made.notifier.names


def test_a_worker_that_died_at_the_last_try_left_its_bytes_in_the_fallback() -> None:
    made = last_try()
    made.destination.refusal = REFUSED
    killed_at(made, S.IN_FALLBACK)
    assert handle(made, dequeue_count=2).state is S.IN_FALLBACK
    assert DATA in kept(made)


def test_bytes_in_the_fallback_are_found_when_acs_does_not_answer_any_more() -> None:
    """The destination works again by then, so no try would look into the fallback on its own."""
    made = world(chunk(0, tries=5))
    made.destination.refusal = REFUSED
    killed_at(made, S.IN_FALLBACK)
    made.destination.refusal = None
    made.media.files.clear()
    handle(made, dequeue_count=2)
    one = run(made)
    assert (one.state, one.sha256) == (S.DELIVERED, SHA256)
    assert one.finished_at is not None
    assert one.finished_at < NOON + HOUR
    assert kept(made) == []


def test_what_stands_in_the_destination_is_what_it_is_a_rescue() -> None:
    made = last_try()
    killed_at(made, S.RESCUED)
    assert handle(made, dequeue_count=2).state is S.RESCUED


def test_a_destination_that_cannot_be_asked_at_the_end_is_asked_again() -> None:
    made = last_try()
    killed_at(made, S.RESCUED)
    made.destination.refusal = DOWN
    one = handle(made, dequeue_count=2)
    assert one.state is S.PENDING
    assert one.next_try_at is not None
    made.destination.refusal = None
    made.media.files.clear()
    assert run(made).state is S.RESCUED
    assert the(made).state is RecordingState.COMPLETE


@pytest.mark.parametrize("error", [DOWN, REFUSED, ContainerNotAllowed("off the list", blame=Blame.APP)])
def test_who_does_not_answer_for_hours_does_not_keep_a_loss_from_being_told(error: StorageError) -> None:
    made = last_try()
    made.media.files.clear()
    made.destination.refusal = error
    handle(made)
    assert run(made, until=8 * HOUR).state is S.LOST
    assert "lost_0" in made.notifier.names


def test_our_own_file_from_before_is_an_export_for_a_ledger_that_forgot_it() -> None:
    """Somebody removed the finished recording's document; its event comes once more and names no file there."""
    made = world(chunk(0, S.EXPECTED, media_location=None, tried_after_deadline=True, tries=9))
    one = the(made).chunks[0]
    made.destination.put(one.blob or "", DATA, content_type="audio/mpeg", overwrite=False, sha256=SHA256)
    made.clock.moment = NOON + 4 * HOUR
    assert handle(made).state is S.EXPORTED


def test_the_fallback_of_a_lost_chunk_is_left_as_it_is() -> None:
    """What cannot be read now may be all that there is of it."""
    made = last_try()
    made.media.files.clear()
    one = the(made)
    made.fallback.put(fallback_name(one, one.chunks[0].blob or ""), b"whose?", content_type="x", overwrite=False)
    assert handle(made).state is S.LOST
    assert the(made).closed_at is not None
    assert kept(made) == [b"whose?"]


def test_a_lost_chunk_that_is_looked_at_again_is_found_in_the_fallback() -> None:
    made = world(chunk(0, S.LOST, next_try_at=NOON, finished_at=NOON))
    one = the(made)
    name = fallback_name(one, one.chunks[0].blob or "")
    made.fallback.put(name, DATA, content_type="audio/mpeg", overwrite=False, sha256=SHA256)
    handle(made)
    assert run(made).state is S.DELIVERED
    assert the(made).state is RecordingState.COMPLETE


# --- the fallback


def test_only_what_stands_at_its_place_falls_in_the_fallback() -> None:
    """A chunk that came to the fallback while it was listed is not in the document that was read before."""
    made = world(chunk(0, requeues=1))
    late = chunk(1, S.IN_FALLBACK, size=len(DATA), sha256=SHA256, metadata_state="absent")
    name = fallback_name(the(made), late.blob or "")

    def meanwhile(called: str, call: Callable[[], Any], arguments: tuple[Any, ...]) -> Any:
        if called == "find" and name not in made.fallback.blobs:
            one = the(made)
            made.fallback.put(name, DATA, content_type="audio/mpeg", overwrite=False, sha256=SHA256)
            made.ledger.save(
                replace(one, chunks=(*one.chunks, late), closed_at=None), etag=made.ledger.documents[one.key][1]
            )
        return call()

    class Containers:
        def destination(self, container: Any) -> Any:
            return made.containers.destination(container)

        def fallback(self) -> Any:
            return watched(made.fallback, meanwhile)

    assert handle(made, containers=Containers()).state is S.RESCUED
    assert kept(made) == [DATA]


@pytest.mark.parametrize("is_at_acs", [True, False])
def test_bytes_that_somebody_removed_from_the_fallback_are_fetched_again_and_it_is_said(*, is_at_acs: bool) -> None:
    made = world()
    made.destination.refusal = REFUSED
    assert handle(made).state is S.IN_FALLBACK
    made.fallback.blobs.clear()
    if not is_at_acs:
        made.media.files.clear()
    made.destination.refusal = None
    one = run(made)
    assert "fallback_missing" in made.notifier.names
    if is_at_acs:
        assert (one.state, one.sha256, one.metadata_state) == (S.RESCUED, SHA256, "saved")
        assert made.clock.now() < NOON + timedelta(minutes=5)
    else:
        assert one.state is S.LOST
        assert "lost_0" in made.notifier.names


def test_a_chunk_planned_anew_meanwhile_is_not_taken_back_from_the_fallback() -> None:
    made = world(chunk(0, S.IN_FALLBACK, size=len(DATA), sha256=SHA256, metadata_state="absent"))

    def replanning(name: str, call: Callable[[], Any], arguments: tuple[Any, ...]) -> Any:
        one = the(made)
        again = replace(one.chunks[0], ticket=2)
        made.ledger.save(one.with_chunk(again), etag=made.ledger.documents[one.key][1])
        return call()

    class Containers:
        def destination(self, container: Any) -> Any:
            return watched(made.containers.destination(container), replanning)

        def fallback(self) -> Any:
            return made.fallback

    one = handle(made, containers=Containers())
    assert (one.state, one.ticket) == (S.IN_FALLBACK, 2)
    assert made.notifier.names == []


# --- metadata


def test_metadata_of_a_chunk_in_the_fallback_is_asked_for_at_each_delivery() -> None:
    made = world()
    made.destination.refusal = REFUSED
    asked: list[str] = []

    def once(name: str, call: Callable[[], Any], arguments: tuple[Any, ...]) -> Any:
        if name == "read_all":
            asked.append(arguments[0])
            if len(asked) == 1:
                raise MediaUnavailable("503")
        return call()

    handle(made, media=watched(made.media, once))
    one = run(made, until=3 * HOUR, media=watched(made.media, once))
    assert (one.state, one.metadata_state, len(asked)) == (S.IN_FALLBACK, "saved", 2)
    made.media.files.clear()  # ACS has dropped it by the time that the destination works again
    made.destination.refusal = None
    assert run(made).state is S.DELIVERED
    assert made.destination.blobs[the(made).chunks[0].metadata_blob or ""].data == b"{}"


def test_metadata_that_somebody_removed_from_the_fallback_does_not_hold_up_the_media() -> None:
    made = world()
    made.destination.refusal = REFUSED
    one = handle(made)
    assert one.metadata_state == "saved"
    del made.fallback.blobs[fallback_name(the(made), one.metadata_blob or "")]
    made.destination.refusal = None
    one = run(made)
    assert (one.state, one.metadata_state) == (S.DELIVERED, "saved")
    assert made.destination.blobs[one.metadata_blob or ""].data == b"{}"


# --- bytes first


def test_the_bytes_are_safe_before_anybody_is_told_of_a_refusal() -> None:
    made = world()
    made.destination.refusal = REFUSED
    safe: list[bool] = []

    class Notifier:
        def alert(self, **_: Any) -> None:
            safe.append(DATA in kept(made) and the(made).chunks[0].is_safe)

    handle(made, notifier=Notifier())
    assert safe == [True]


def test_a_refusal_is_told_where_the_fallback_fails_too() -> None:
    made = world()
    made.destination.refusal = REFUSED
    made.fallback.refusal = StorageUnavailable("503")
    assert handle(made).state is S.PENDING
    assert made.notifier.names == ["storage_access_denied"]


def test_our_own_file_counts_before_a_late_export_while_the_bytes_go_to_the_fallback() -> None:
    """An answer was lost: the blob stands in the destination, which then refused, and ACS exported since."""
    made = world(chunk(0, tries=1))
    one = the(made).chunks[0]
    made.destination.put(one.blob or "", DATA, content_type="audio/mpeg", overwrite=False, sha256=SHA256)
    export = f"20261122/call-1/eyJQbGF0-acs/0-audiomp3.{one.document_id}.mp3"
    made.destination.put(export, DATA, content_type="audio/mpeg", overwrite=False)
    left = [1]

    def refusing_first(name: str, call: Callable[[], Any], arguments: tuple[Any, ...]) -> Any:
        if left[0]:
            left[0] -= 1
            raise DOWN
        return call()

    class Containers:
        def destination(self, container: Any) -> Any:
            return watched(made.containers.destination(container), refusing_first)

        def fallback(self) -> Any:
            return made.fallback

    done = handle(made, containers=Containers())
    assert (done.state, done.blob) == (S.RESCUED, one.blob)
    assert kept(made) == []


def test_a_bug_in_a_try_costs_the_try_and_is_said(caplog: pytest.LogCaptureFixture) -> None:
    made = world()

    def broken(name: str, call: Callable[[], Any], arguments: tuple[Any, ...]) -> Any:
        if name == "open":
            raise ZeroDivisionError
        return call()

    one = handle(made, media=watched(made.media, broken))
    assert one.state is S.PENDING
    assert one.last_error is not None
    assert (one.last_error.code, one.last_error.blame, one.crashes) == ("unexpected", Blame.APP, 0)
    assert "rescue.unexpected" in caplog.text
    assert "test_bytes_are_kept.py" in caplog.text
    assert run(made).state is S.RESCUED
