"""One try of one chunk: it ends in a new state, a planned next try, or said aloud as lost; never otherwise."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from shared.domain.backoff import RetryPolicy
from shared.domain.errors import MediaNotFound, MediaThrottled, MediaUnauthorized, MediaUnavailable, StorageUnavailable
from shared.domain.recording import Chunk, ChunkState, RecordingState
from shared.ports import RescueMessage
from tests.support.fakes import lies, watched
from tests.support.fakes.acs import honest
from tests.unit.builders import FOLDER, HOUR, MEDIA, NOON, chunk, recording
from tests.unit.rescue_rig import DATA, EXPORT, METADATA, SHA256, S, failing, handle, put, run, the, world

if TYPE_CHECKING:
    from collections.abc import Callable


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
