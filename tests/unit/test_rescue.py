"""One try of one chunk: it ends in a new state, a planned next try, or said aloud as lost; never otherwise."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from shared.errors import (
    Blame,
    BlobExists,
    MediaNotFound,
    MediaThrottled,
    MediaUnauthorized,
    MediaUnavailable,
    StorageAccessDenied,
    StorageError,
    StorageImmutable,
    StorageNetworkDenied,
    StorageUnavailable,
)
from shared.lookup import fallback_name
from shared.ports import RescueMessage
from shared.recording import Chunk, ChunkState, Recording, RecordingState
from shared.retry import RetryPolicy
from tests.support.fakes import MediaFile, World, lies, settings, watched
from tests.support.fakes.acs import honest
from tests.unit.builders import FOLDER, HOUR, MEDIA, NOON, chunk, recording

if TYPE_CHECKING:
    from collections.abc import Callable

S = ChunkState
DATA = b"ID3\x04" + bytes(range(256)) * 20
SHA256 = hashlib.sha256(DATA).hexdigest()
METADATA = b'{"callId": "call-1"}'
ACS_FOLDER = "20261122/call-1/eyJQbGF0-acs"
EXPORT = f"{ACS_FOLDER}/0-audiomp3.{chunk(0).document_id}.mp3"


def world(one: Chunk | None = None, **changes: Any) -> World:
    """A chunk that waits for its first try, its media at ACS for two more hours, in blocks of 1000 bytes."""
    made = World(settings(block_bytes=1_000))
    one = one or chunk(0)
    made.ledger.save(recording(one, **({"deadline": NOON + 2 * HOUR} | changes)), etag=None)
    for location, data in ((MEDIA.format(one.document_id), DATA), (one.metadata_location, METADATA)):
        if location:
            made.media.files[location] = MediaFile(data)
    return made


def the(made: World) -> Recording:
    return made.ledger.recording(recording().key)


def handle(made: World, *, dequeue_count: int = 1, ticket: int | None = None, **ports: Any) -> Chunk:
    """The chunk's message, handled; the chunk as it stands then."""
    one = the(made)
    message = RescueMessage(one.key, one.chunks[0].key, ticket or one.chunks[0].ticket)
    made.app(**ports).rescue.handle(message, dequeue_count=dequeue_count)
    return the(made).chunks[0]


def run(made: World, *, most: int = 2_000, **ports: Any) -> Chunk:
    """All messages until none is left."""
    app = made.app(**ports)
    for _ in range(most):
        if made.deliver_next(app) is None:
            break
    return the(made).chunks[0]


def failing(of: str, error: Exception, *, times: int = 10_000, what: str = "") -> Callable[..., Any]:
    left = [times]

    def around(name: str, call: Callable[[], Any], arguments: tuple[Any, ...]) -> Any:
        if name == of and what in str(arguments) and left[0]:
            left[0] -= 1
            raise error
        return call()

    return around


def put(made: World, name: str, data: bytes) -> None:
    made.destination.put(name, data, content_type="audio/mpeg", overwrite=False)


# --- messages


@pytest.mark.parametrize("ticket", [1, 3])
def test_a_message_of_another_plan_changes_nothing(ticket: int) -> None:
    made = world(chunk(0, ticket=2))
    before = dict(made.ledger.documents)
    handle(made, ticket=ticket)
    assert made.ledger.documents == before
    assert made.media.asked == []


def test_a_message_about_nothing_is_dropped() -> None:
    made = world()
    app = made.app()
    app.rescue.handle(RescueMessage("0" * 32, chunk(0).key, 1))
    app.rescue.handle(RescueMessage(recording().key, "0" * 16, 1))
    assert made.media.asked == []


@pytest.mark.parametrize("state", [S.EXPORTED, S.RESCUED, S.DELIVERED])
def test_a_message_about_a_finished_chunk_finishes_what_is_left(state: ChunkState) -> None:
    made = world(chunk(0, state, size=3, sha256="ab", finished_at=NOON))
    assert handle(made).metadata_state == "saved"
    assert the(made).closed_at == NOON
    assert the(made).chunks[0].state is state


# --- a claimed export


def test_a_claim_that_holds_is_exported() -> None:
    made = world(chunk(0, S.EXPECTED, claimed_blob=EXPORT, media_location=None))
    put(made, EXPORT, DATA)
    one = handle(made)
    assert (one.state, one.blob, one.size, one.finished_at) == (S.EXPORTED, EXPORT, len(DATA), NOON)
    assert one.metadata_blob == f"{ACS_FOLDER}/0-acsmetadata.{one.document_id}.json"
    assert the(made).state is RecordingState.COMPLETE
    assert made.media.asked == []


@pytest.mark.parametrize("is_empty", [False, True])
def test_a_claim_that_does_not_hold_is_fetched_from_acs(*, is_empty: bool) -> None:
    made = world(chunk(0, S.EXPECTED, claimed_blob=EXPORT))
    if is_empty:
        put(made, EXPORT, b"")
    one = handle(made)
    assert (one.state, one.tries, one.ticket) == (S.PENDING, 1, 2)
    assert one.last_error is not None
    assert one.last_error.code == ("export_empty" if is_empty else "export_not_found")
    assert made.notifier.names == [one.last_error.code]
    one = run(made)
    assert one.state is S.RESCUED
    assert made.destination.blobs[one.blob or ""].data == DATA
    if is_empty:
        assert made.destination.blobs[EXPORT].data == b""


def test_a_claim_without_a_copy_at_acs_is_waited_for_to_the_end_and_then_lost() -> None:
    made = world(chunk(0, S.EXPECTED, claimed_blob=EXPORT, media_location=None))
    one = handle(made)
    assert (one.state, one.tries) == (S.EXPECTED, 1)
    one = run(made)
    assert one.state is S.LOST
    assert made.notifier.names == ["lost_0"]
    assert the(made).deadline <= made.clock.now() <= the(made).deadline + timedelta(minutes=5)


def test_a_claim_that_comes_true_late_is_exported() -> None:
    made = world(chunk(0, S.EXPECTED, claimed_blob=EXPORT, media_location=None))
    handle(made)
    put(made, EXPORT, DATA)
    assert run(made).state is S.EXPORTED


def test_metadata_of_an_export_that_came_late_is_looked_for_within_seconds() -> None:
    """However often the export was looked for in vain: its metadata comes a moment after it."""
    claimed = {"claimed_blob": EXPORT, "claimed_metadata_blob": f"{ACS_FOLDER}/0-acsmetadata.json"}
    made = world(chunk(0, S.EXPECTED, media_location=None, metadata_location=None, failures=12, tries=12, **claimed))
    put(made, EXPORT, DATA)
    made.destination.delete(f"{ACS_FOLDER}/0-acsmetadata.json")
    one = handle(made)
    assert (one.state, one.metadata_state) == (S.EXPORTED, "pending")
    assert one.next_try_at is not None
    assert one.next_try_at - made.clock.now() <= timedelta(seconds=10)


def test_a_claim_that_cannot_be_checked_is_not_lost_with_the_window() -> None:
    """The container refuses: the export may well be there."""
    made = world(chunk(0, S.EXPECTED, claimed_blob=EXPORT, media_location=None))
    made.destination.refusal = StorageNetworkDenied(blame=Blame.DESTINATION)
    handle(made)
    app = made.app()
    while made.clock.now() < the(made).deadline + timedelta(days=3):
        assert made.deliver_next(app) is not None
    assert the(made).chunks[0].state is S.EXPECTED
    assert made.notifier.names == ["storage_network_denied"]
    made.destination.refusal = None
    put(made, EXPORT, DATA)
    assert run(made).state is S.EXPORTED


def test_a_claim_that_cannot_be_checked_for_seven_days_is_lost() -> None:
    made = world(chunk(0, S.EXPECTED, claimed_blob=EXPORT, media_location=None))
    made.destination.refusal = StorageNetworkDenied(blame=Blame.DESTINATION)
    handle(made)
    assert run(made).state is S.LOST
    assert made.clock.now() >= the(made).deadline + timedelta(days=7)


def test_a_claim_that_cannot_be_checked_is_fetched_where_acs_has_it_still() -> None:
    made = world(chunk(0, S.EXPECTED, claimed_blob=EXPORT))
    made.destination.refusal = StorageUnavailable(blame=Blame.DESTINATION)
    handle(made)
    app = made.app()
    while the(made).chunks[0].state is not S.IN_FALLBACK:
        assert made.deliver_next(app) is not None
    assert made.clock.now() < NOON + timedelta(minutes=10)


# --- a rescue


def test_a_chunk_is_rescued_with_its_metadata_and_manifest() -> None:
    made = world()
    one = handle(made)
    assert (one.state, one.size, one.sha256) == (S.RESCUED, len(DATA), SHA256)
    assert (one.tries, one.failures, one.lease_until, one.media_etag) == (0, 0, None, '"1"')
    assert made.destination.blobs[one.blob or ""].data == DATA
    assert made.destination.blobs[one.metadata_blob or ""].data == METADATA
    assert f"{FOLDER}/manifest.json" in made.destination.blobs
    assert the(made).closed_at == NOON
    assert made.fallback.blobs == {}
    assert made.queue.waiting == []


def test_a_try_is_marked_while_it_runs() -> None:
    made = world()
    seen: list[Chunk] = []

    def looking(name: str, call: Callable[[], Any], arguments: tuple[Any, ...]) -> Any:
        seen.append(the(made).chunks[0])
        return call()

    handle(made, media=watched(made.media, looking))
    assert seen[0].state is S.RESCUING
    assert seen[0].lease_until is not None
    assert seen[0].lease_until > NOON + made.settings.time_budget


@pytest.mark.parametrize(
    ("error", "alerts"),
    [
        (MediaUnavailable("reset"), []),
        (MediaNotFound("404", trace_id="trace"), []),
        (MediaUnauthorized("401"), ["media_unauthorized"]),
        (MediaThrottled("429", retry_after=timedelta(seconds=100)), []),
    ],
)
def test_a_failed_try_is_noted_and_planned_again(error: Any, alerts: list[str]) -> None:
    made = world()
    one = handle(made, media=watched(made.media, failing("open", error)))
    assert (one.state, one.tries, one.failures, one.ticket) == (S.PENDING, 1, 1, 2)
    assert one.last_error is not None
    assert (one.last_error.code, one.last_error.blame) == (error.code, error.blame)
    assert one.last_error.trace_id == error.trace_id
    assert made.notifier.names == alerts
    [waiting] = made.queue.waiting
    assert waiting.message.ticket == 2
    assert one.next_try_at is not None
    asked = error.retry_after or timedelta(0)
    assert asked <= one.next_try_at - made.clock.now() <= max(asked * 1.1, timedelta(seconds=5))
    assert made.fallback.blobs == {}
    assert run(made).state is S.RESCUED


def test_a_try_that_got_on_is_not_a_failure_like_another() -> None:
    made = world(chunk(0, failures=9, tries=9))
    made.media.lie(MEDIA.format(chunk(0).document_id), honest, honest, lies.page)
    one = handle(made)
    assert (one.tries, one.failures) == (10, 1)


@pytest.mark.parametrize("lie", [lies.wrong_range, lies.changed_etag])
def test_blocks_of_a_source_that_contradicts_itself_are_no_progress(lie: Any) -> None:
    """Else it would be asked every few seconds for as long as it does, each time for blocks that fit no others."""
    made = world(chunk(0, failures=9, tries=9))
    made.media.lie(MEDIA.format(chunk(0).document_id), honest, lie)
    one = handle(made)
    assert (one.tries, one.failures) == (10, 10)


def test_when_the_window_is_over_the_chunk_is_lost_and_that_is_said_aloud() -> None:
    made = world()
    made.media.files.clear()
    handle(made)
    one = run(made)
    assert (one.state, one.next_try_at, one.lease_until) == (S.LOST, None, None)
    assert one.tried_after_deadline
    assert one.finished_at is not None
    assert the(made).closed_at is not None
    assert made.notifier.names == ["lost_0"]
    assert made.notifier.alerts[0][2]["code"] == "media_not_found"
    assert the(made).state is RecordingState.LOST


def test_a_chunk_whose_media_nobody_can_name_is_said_aloud_at_once() -> None:
    made = world(chunk(0, media_location=None))
    one = handle(made)
    assert one.state is S.PENDING
    assert made.notifier.names == ["media_location_refused"]


def test_a_lost_chunk_that_is_found_after_all_is_exported() -> None:
    made = world(chunk(0, S.LOST, finished_at=NOON, claimed_blob=EXPORT))
    assert handle(made).state is S.LOST
    put(made, EXPORT, DATA)
    assert handle(made).state is S.EXPORTED
    made.destination.refusal = StorageUnavailable()
    made = world(chunk(0, S.LOST, finished_at=NOON, claimed_blob=EXPORT))
    assert handle(made).state is S.LOST


@pytest.mark.parametrize("name", [chunk(0).blob or "", EXPORT, EXPORT.replace("20261122", "20261123")])
def test_a_lost_chunk_that_somebody_brought_by_hand_is_found(name: str) -> None:
    """Under the name it would have had, or anywhere in the call's folders under its own file name."""
    made = world(chunk(0, S.LOST, finished_at=NOON, tries=9))
    put(made, name, DATA)
    one = handle(made)
    assert (one.state, one.blob) == (S.EXPORTED, name)
    assert (the(made).manifest.state, the(made).state) == ("written", RecordingState.COMPLETE)


@pytest.mark.parametrize("found", [True, False])
def test_a_recording_does_not_close_while_a_lost_chunk_is_to_be_looked_for(found: bool) -> None:  # noqa: FBT001
    """Who finishes another chunk meanwhile leaves the manifest to the look: it might tell of a loss that is none."""
    sought = chunk(1, S.LOST, finished_at=NOON, next_try_at=NOON, metadata_state="absent")
    other = chunk(0, S.RESCUED, size=1, sha256="ab", metadata_state="saved", finished_at=NOON)
    made = World()
    made.ledger.save(recording(other, sought), etag=None)
    handle(made)
    assert (the(made).closed_at, the(made).manifest.state) == (None, "pending")
    if found:
        put(made, sought.blob or "", DATA)
    made.app().rescue.handle(RescueMessage(the(made).key, sought.key, 1))
    after = the(made)
    assert after.closed_at is not None
    assert (after.state, after.chunks[1].next_try_at) == (
        (RecordingState.COMPLETE, NOON) if found else (RecordingState.LOST, None)
    )
    assert f'"state": "{after.state}"' in made.destination.read(after.manifest.blob or "").decode()


def test_a_look_whose_worker_died_before_it_closed_the_recording_is_followed_up() -> None:
    """Its message comes again, and finds the look done."""
    made = world(chunk(0, S.LOST, finished_at=NOON, next_try_at=None))
    assert handle(made).state is S.LOST
    assert the(made).closed_at is not None


def test_out_of_time_it_hands_over_without_counting_a_failure() -> None:
    made = world(chunk(0, failures=3, tries=3))

    def slow(name: str, call: Callable[[], Any], arguments: tuple[Any, ...]) -> Any:
        made.clock.advance(made.settings.time_budget / 2)
        return call()

    one = handle(made, media=watched(made.media, slow))
    assert (one.state, one.tries, one.failures, one.handovers, one.ticket) == (S.PENDING, 3, 0, 1, 2)
    assert [delivery.due for delivery in made.queue.waiting] == [made.clock.now()]
    assert run(made).state is S.RESCUED
    assert the(made).chunks[0].sha256 == SHA256


# --- what stands in the container already


def test_what_acs_exported_meanwhile_is_not_fetched_again() -> None:
    made = world()
    put(made, EXPORT, DATA)
    one = handle(made)
    assert (one.state, one.blob) == (S.EXPORTED, EXPORT)
    assert made.media.asked == []


def test_what_acs_exports_during_a_long_rescue_is_left_alone() -> None:
    made = world()

    def meanwhile(name: str, call: Callable[[], Any], arguments: tuple[Any, ...]) -> Any:
        made.clock.advance(timedelta(seconds=11))
        if EXPORT not in made.destination.blobs:
            put(made, EXPORT, DATA)
        return call()

    one = handle(made, media=watched(made.media, meanwhile))
    assert (one.state, one.blob) == (S.EXPORTED, EXPORT)
    assert [name for name in made.destination.blobs if name.endswith(".mp3")] == [EXPORT]


def test_what_an_earlier_try_committed_is_taken_as_it_is() -> None:
    """The worker died between the commit and the ledger."""
    made = world()
    with pytest.raises(StorageUnavailable):
        handle(made, ledger=watched(made.ledger, crash_after_commit(made)))
    assert the(made).chunks[0].state is S.RESCUING
    made.media.files.clear()
    made.media.asked.clear()
    made.clock.advance(HOUR)
    one = handle(made)
    assert (one.state, one.size, one.sha256) == (S.RESCUED, len(DATA), SHA256)
    assert made.media.asked == []


def crash_after_commit(made: World) -> Callable[..., Any]:
    def around(name: str, call: Callable[[], Any], arguments: tuple[Any, ...]) -> Any:
        if name == "save" and made.destination.blobs:
            raise StorageUnavailable
        return call()

    return around


def test_two_workers_on_one_chunk_make_one_blob() -> None:
    made = world()

    def meanwhile(name: str, call: Callable[[], Any], arguments: tuple[Any, ...]) -> Any:
        if the(made).chunks[0].state is S.RESCUING and len(made.media.asked) == 2:
            made.clock.advance(timedelta(seconds=1))
            handle(made)
        return call()

    one = handle(made, media=watched(made.media, meanwhile))
    assert (one.state, one.sha256) == (S.RESCUED, SHA256)
    assert len([name for name in made.destination.blobs if name.endswith(".mp3")]) == 1
    assert made.queue.waiting == []


def test_anothers_file_in_the_place_is_kept_and_the_chunk_goes_to_the_fallback() -> None:
    made = world()
    put(made, chunk(0).blob or "", b"another")
    one = handle(made)
    assert one.state is S.IN_FALLBACK
    assert made.destination.blobs[one.blob or ""].data == b"another"
    assert made.notifier.names[0] == "destination_conflict"


def test_a_file_that_comes_there_during_the_transfer_is_kept_too() -> None:
    made = world()

    def meanwhile(name: str, call: Callable[[], Any], arguments: tuple[Any, ...]) -> Any:
        if (chunk(0).blob or "") not in made.destination.blobs:
            put(made, chunk(0).blob or "", b"another")
        return call()

    one = handle(made, media=watched(made.media, meanwhile))
    assert one.state is S.IN_FALLBACK
    assert made.destination.blobs[one.blob or ""].data == b"another"


def test_a_file_that_comes_and_goes_is_a_conflict() -> None:
    """The commit met it, and it was gone when we looked: nothing is known of it, so nothing is believed."""
    made = world()

    class Flickering:
        def destination(self, container: Any) -> Any:
            exists = failing("commit", BlobExists(blame=Blame.DESTINATION))
            return watched(made.containers.destination(container), exists)

        def fallback(self) -> Any:
            return made.containers.fallback()

    one = handle(made, containers=Flickering())
    assert one.state is S.IN_FALLBACK
    assert one.last_error is not None
    assert one.last_error.code == "destination_conflict"


# --- the fallback

REFUSALS: list[tuple[StorageError, list[str]]] = [
    (StorageAccessDenied(blame=Blame.DESTINATION), ["storage_access_denied"]),
    (StorageNetworkDenied(blame=Blame.DESTINATION), ["storage_network_denied"]),
    (StorageImmutable(blame=Blame.DESTINATION), ["storage_immutable"]),
    (StorageUnavailable(blame=Blame.DESTINATION), []),
]


@pytest.mark.parametrize(("refusal", "alerts"), REFUSALS)
def test_where_the_destination_refuses_the_bytes_are_safe_at_once_and_moved_later(
    refusal: StorageError, alerts: list[str]
) -> None:
    made = world()
    made.destination.refusal = refusal
    one = handle(made)
    assert (one.state, one.sha256, one.tries) == (S.IN_FALLBACK, SHA256, 1)
    assert made.fallback.blobs[fallback_name(the(made), one.blob or "")].data == DATA
    assert made.fallback.blobs[fallback_name(the(made), one.metadata_blob or "")].data == METADATA
    assert the(made).state is RecordingState.SAFE
    assert made.notifier.names == alerts
    made.clock.advance(2 * HOUR)
    made.destination.refusal = None
    made.media.files.clear()
    one = run(made)
    assert one.state is S.DELIVERED
    assert made.destination.blobs[one.blob or ""].data == DATA
    assert made.fallback.blobs == {}
    assert the(made).closed_at is not None


def test_a_container_that_is_missing_or_off_the_list_is_a_refusal() -> None:
    made = world()
    made.destination.exists = False
    assert handle(made).state is S.IN_FALLBACK
    assert made.notifier.names == ["container_missing"]
    made = world(container_url="https://old.blob.core.windows.net/recordings")
    assert handle(made).state is S.IN_FALLBACK
    assert made.notifier.names == ["container_not_allowed"]


def test_an_earlier_copy_in_the_fallback_is_used() -> None:
    made = world()
    made.destination.refusal = StorageAccessDenied(blame=Blame.DESTINATION)

    def crashing(name: str, call: Callable[[], Any], arguments: tuple[Any, ...]) -> Any:
        if name == "save" and made.fallback.blobs:
            raise StorageUnavailable
        return call()

    with pytest.raises(StorageUnavailable):
        handle(made, ledger=watched(made.ledger, crashing))
    made.media.files.clear()
    made.clock.advance(HOUR)
    assert handle(made).state is S.IN_FALLBACK


def test_when_both_containers_refuse_the_try_fails() -> None:
    made = world()
    made.destination.refusal = made.fallback.refusal = StorageUnavailable()
    one = handle(made)
    assert (one.state, one.tries) == (S.PENDING, 1)
    assert one.last_error is not None
    assert one.last_error.code == "storage_unavailable"
    made.destination.refusal = made.fallback.refusal = None
    assert run(made).state in (S.RESCUED, S.DELIVERED)


# --- crashes


def test_a_worker_that_died_is_followed_up_later() -> None:
    made = world(chunk(0, S.RESCUING, lease_until=NOON + HOUR))
    one = handle(made, dequeue_count=2)
    assert (one.state, one.crashes, one.tries, one.ticket) == (S.PENDING, 1, 1, 2)
    assert one.last_error is not None
    assert one.last_error.code == "worker_crashed"
    assert made.media.asked == []
    assert run(made).state is S.RESCUED


def test_a_chunk_that_kills_its_worker_each_time_goes_slowly_and_is_said_aloud() -> None:
    """It never reaches the poison queue, and takes nobody else down with it."""
    made = world()
    for crash in range(1, 6):
        one = the(made).chunks[0]
        made.ledger.save(
            the(made).with_chunk(replace(one, state=S.RESCUING)), etag=made.ledger.documents[recording().key][1]
        )
        one = handle(made, dequeue_count=2)
        assert (one.state, one.crashes) == (S.PENDING, crash)
        assert one.next_try_at is not None
        assert (one.next_try_at - made.clock.now() >= RetryPolicy().longest) is (crash >= 3)
    assert made.notifier.names == ["worker_crashing"]
    assert made.queue.poison == []


def test_a_second_delivery_of_a_try_that_never_began_is_a_try() -> None:
    made = world()
    assert handle(made, dequeue_count=2).state is S.RESCUED


# --- what happens meanwhile


def test_locations_that_an_event_adds_meanwhile_are_kept() -> None:
    made = world()

    def adding(name: str, call: Callable[[], Any], arguments: tuple[Any, ...]) -> Any:
        one = the(made)
        added = replace(one.chunks[0], claimed_blob="claimed", delete_location="added", claimed_metadata_blob="m")
        if one.chunks[0].claimed_blob is None:
            made.ledger.save(one.with_chunk(added), etag=made.ledger.documents[one.key][1])
        return call()

    one = handle(made, media=watched(made.media, adding))
    assert one.state is S.RESCUED
    assert (one.claimed_blob, one.delete_location, one.claimed_metadata_blob) == ("claimed", "added", "m")


@pytest.mark.parametrize("outcome", ["exported", "fetched", "lost"])
def test_a_look_that_was_planned_anew_meanwhile_changes_nothing(outcome: str) -> None:
    media = {"fetched": MEDIA.format("d")}.get(outcome)
    made = world(chunk(0, S.EXPECTED, media_location=media, tried_after_deadline=True, claimed_blob=EXPORT))
    if outcome == "exported":
        put(made, EXPORT, DATA)
    if outcome == "lost":
        made.clock.advance(3 * HOUR)

    class Replanning:
        def destination(self, container: Any) -> Any:
            one = the(made)
            again = replace(one.chunks[0], ticket=2)
            made.ledger.save(one.with_chunk(again), etag=made.ledger.documents[one.key][1])
            return made.containers.destination(container)

        def fallback(self) -> Any:
            return made.containers.fallback()

    before = the(made).chunks[0]
    assert handle(made, containers=Replanning()) == replace(before, ticket=2)
    assert made.queue.waiting == []


@pytest.mark.parametrize("outcome", ["well", "failure", "no time"])
def test_a_try_that_was_planned_anew_meanwhile_changes_nothing(outcome: str) -> None:
    """The sweep took its worker for dead: the new plan counts."""
    made = world()

    def replanning(name: str, call: Callable[[], Any], arguments: tuple[Any, ...]) -> Any:
        one = the(made)
        if one.chunks[0].ticket == 1:
            again = replace(one.chunks[0], ticket=2, state=S.PENDING)
            made.ledger.save(one.with_chunk(again), etag=made.ledger.documents[one.key][1])
        if outcome == "failure":
            raise MediaNotFound("404")
        if outcome == "no time":
            made.clock.advance(HOUR)
        return call()

    one = handle(made, media=watched(made.media, replanning))
    assert (one.state, one.ticket, one.tries) == (S.PENDING, 2, 0)
    assert made.queue.waiting == []
    assert handle(made).state is S.RESCUED


def test_a_message_whose_chunk_is_safe_before_it_begins_does_nothing() -> None:
    made = world()

    def finishing(name: str, call: Callable[[], Any], arguments: tuple[Any, ...]) -> Any:
        found = call()
        if name == "load" and the(made).chunks[0].state is S.PENDING:
            one = the(made)
            done = replace(one.chunks[0], state=S.RESCUED)
            made.ledger.save(one.with_chunk(done), etag=made.ledger.documents[one.key][1])
        return found

    assert handle(made, ledger=watched(made.ledger, finishing)).state is S.RESCUED
    assert made.media.asked == []


def test_a_ledger_that_fails_is_told_to_the_host() -> None:
    made = world()
    with pytest.raises(StorageUnavailable):
        handle(made, ledger=watched(made.ledger, failing("load", StorageUnavailable())))
