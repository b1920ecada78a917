"""Keeping the books: what a crash between any two effects leaves behind can always be found."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from shared.domain.errors import PreconditionFailed, StorageUnavailable
from shared.domain.naming import marker
from shared.domain.recording import ChunkState, Recording
from shared.store import Books, is_open, planned, taken_back
from tests.support.fakes import World, watched
from tests.unit.builders import HOUR, NOON, chunk, recording

if TYPE_CHECKING:
    from collections.abc import Callable

KEY = recording().key


def books(world: World, **ports: Any) -> Books:
    return world.app(**ports).sweep._books


class CrashedError(Exception):
    """The process is gone."""


def crashing(at: int, effects: list[str]) -> Callable[..., Any]:
    """Notes what is written, and crashes before the write of that number."""

    def around(name: str, call: Callable[[], Any], arguments: tuple[Any, ...]) -> Any:
        if name in ("put_marker", "save", "delete_marker"):
            if len(effects) == at:
                raise CrashedError
            effects.append(name)
        return call()

    return around


def with_marker(one: Recording) -> Recording:
    return replace(one, marker=marker(deadline=one.deadline, key=one.key))


@pytest.mark.parametrize("at", range(4))
def test_an_open_recording_has_its_marker_wherever_a_crash_comes(at: int) -> None:
    """A change of the deadline moves the marker: the new one stands before the old one falls."""
    world = World()
    one = with_marker(recording(chunk()))
    world.ledger.save(one, etag=None)
    world.ledger.put_marker(one.marker or "")
    effects: list[str] = []
    try:
        books(world, ledger=watched(world.ledger, crashing(at, effects))).change(
            KEY, lambda now: replace(now, deadline=NOON + 30 * HOUR)
        )
    except CrashedError:
        assert at < 3
    else:
        assert effects == ["put_marker", "save", "delete_marker"]
    assert world.ledger.recording(KEY).marker in world.ledger.open


@pytest.mark.parametrize("at", range(3))
def test_a_new_recording_has_its_marker_before_it_is_written(at: int) -> None:
    world = World()
    effects: list[str] = []
    try:
        books(world, ledger=watched(world.ledger, crashing(at, effects))).change_or_create(
            KEY, lambda before: before or recording(chunk())
        )
    except CrashedError:
        assert at < 2
    assert set(world.ledger.documents) <= {KEY}
    if world.ledger.documents:
        assert world.ledger.recording(KEY).marker in world.ledger.open


def test_a_closed_recording_has_no_marker() -> None:
    world = World()
    keeper = books(world)
    keeper.change_or_create(KEY, lambda _: recording(chunk()))
    assert len(world.ledger.open) == 1
    closed = keeper.change(KEY, lambda now: replace(now, closed_at=NOON))
    assert closed is not None
    assert not is_open(closed)
    assert closed.marker is None
    assert world.ledger.open == set()


def test_who_closes_takes_no_marker_from_who_opens_again_meanwhile() -> None:
    """Between the closer's write and its removal of the marker an event opens the recording: it must stay visible."""
    world = World()
    books(world).change_or_create(KEY, lambda _: recording(chunk()))

    def reopening(name: str, call: Callable[[], Any], _: tuple[Any, ...]) -> Any:
        if name == "delete_marker" and world.ledger.recording(KEY).closed_at:
            books(world).change(KEY, lambda now: replace(now, closed_at=None))
        return call()

    for times in (1, 2):
        books(world, ledger=watched(world.ledger, reopening)).change(KEY, lambda now: replace(now, closed_at=NOON))
        stands = world.ledger.recording(KEY)
        assert (stands.closed_at, stands.reopened) == (None, times)
        assert world.ledger.open == {stands.marker}


def test_nothing_is_written_where_nothing_changes() -> None:
    world = World()
    keeper = books(world)
    keeper.change_or_create(KEY, lambda _: recording(chunk()))
    etag = world.ledger.documents[KEY][1]
    assert keeper.change(KEY, lambda _: None) is None
    assert keeper.change(KEY, lambda now: now) is None
    assert keeper.change("0" * 32, lambda now: replace(now, closed_at=NOON)) is None
    assert keeper.change_or_create("0" * 32, lambda _: None) is None
    assert world.ledger.documents[KEY][1] == etag
    assert keeper.load("0" * 32) is None


def test_who_lost_the_race_reads_and_decides_again() -> None:
    world = World()
    keeper = books(world)
    keeper.change_or_create(KEY, lambda _: recording(chunk()))
    seen: list[int] = []

    def decide(now: Recording) -> Recording:
        seen.append(now.chunks[0].tries)
        if len(seen) <= 3:
            keeper.change(KEY, lambda one: one.with_chunk(replace(one.chunks[0], tries=one.chunks[0].tries + 1)))
        return now.with_note("decided")

    after = keeper.change(KEY, decide)
    assert after is not None
    assert seen == [0, 1, 2, 3]
    assert (after.chunks[0].tries, after.notes) == (3, ("decided",))
    assert world.clock.paused < timedelta(seconds=1)


@pytest.mark.parametrize("is_known", [True, False])
def test_who_wrote_and_did_not_hear_of_it_has_written(*, is_known: bool) -> None:
    """The answer was lost, and the SDK's own retry met what it had written itself."""
    lost = [True]

    def losing(name: str, call: Callable[[], Any], arguments: tuple[Any, ...]) -> Any:
        answer = call()
        if name == "save" and lost.pop():
            lost.append(False)
            raise PreconditionFailed
        return answer

    world = World()
    books(world).change_or_create(KEY, lambda _: recording(chunk()))
    keeper = books(world, ledger=watched(world.ledger, losing))
    if is_known:
        lost[:] = [False]
        keeper.change(KEY, lambda now: now.with_note("before"))
        lost[:] = [True]
    seen: list[int] = []

    def decide(now: Recording) -> Recording:
        seen.append(1)
        return now.with_note("once")

    after = keeper.change(KEY, decide)
    assert after is not None
    assert after.notes[-1] == "once"
    assert len(seen) == 1
    assert world.clock.paused == timedelta(0)


def test_an_endless_race_is_given_up() -> None:
    def losing(name: str, call: Callable[[], Any], arguments: tuple[Any, ...]) -> Any:
        if name == "save":
            raise PreconditionFailed
        return call()

    world = World()
    with pytest.raises(StorageUnavailable, match="all the time"):
        books(world, ledger=watched(world.ledger, losing)).change_or_create(KEY, lambda _: recording())


@pytest.mark.parametrize(
    ("state", "left", "is_urgent"),
    [
        (ChunkState.PENDING, 24 * HOUR, False),
        (ChunkState.PENDING, 2 * HOUR, True),
        (ChunkState.EXPECTED, -HOUR, True),
        (ChunkState.IN_FALLBACK, HOUR, False),
        (ChunkState.RESCUED, HOUR, False),
    ],
)
def test_what_is_at_risk_and_short_of_time_goes_by_the_urgent_queue(
    state: ChunkState,
    left: timedelta,
    *,
    is_urgent: bool,
) -> None:
    world = World()
    one = recording(chunk(state=state), deadline=NOON + left)
    books(world).send(one, one.chunks[0])
    assert [delivery.is_urgent for delivery in world.queue.waiting] == [is_urgent]


@pytest.mark.parametrize(
    ("at", "delay"),
    [
        (None, timedelta(0)),
        (NOON - HOUR, timedelta(0)),
        (NOON + HOUR, HOUR),
        (NOON + timedelta(days=30), timedelta(days=6)),  # the queue's own limit is seven days
    ],
)
def test_a_try_is_queued_for_its_time(at: Any, delay: timedelta) -> None:
    world = World()
    one = recording(chunk(next_try_at=at, ticket=7))
    books(world).send(one, one.chunks[0])
    [waiting] = world.queue.waiting
    assert waiting.due == NOON + delay
    assert (waiting.message.recording_key, waiting.message.ticket) == (one.key, 7)


def test_a_queue_that_fails_is_logged_where_the_sweep_will_mend_it(caplog: pytest.LogCaptureFixture) -> None:
    def failing(name: str, call: Callable[[], Any], arguments: tuple[Any, ...]) -> Any:
        raise StorageUnavailable

    world = World()
    one = recording(chunk())
    keeper = books(world, queue=watched(world.queue, failing))
    keeper.send_or_leave(one, one.chunks[0])
    assert "queue.failed" in caplog.text
    with pytest.raises(StorageUnavailable):
        keeper.send(one, one.chunks[0])


def test_an_alert_is_raised_once(caplog: pytest.LogCaptureFixture) -> None:
    world = World()
    keeper = books(world)
    keeper.change_or_create(KEY, lambda _: recording(chunk()))
    one = world.ledger.recording(KEY)
    for _ in range(2):
        keeper.alert(one, "container_missing", level=logging.WARNING, blame="destination")
    assert world.notifier.names == ["container_missing"]
    assert world.notifier.alerts[0][2] == {"deadline": one.deadline, "blame": "destination"}
    assert [record.levelno for record in caplog.records if "alert.container_missing" in record.message] == [
        logging.WARNING
    ]
    assert world.ledger.recording(KEY).alerts == ("container_missing",)


def test_a_new_plan_makes_all_earlier_messages_void() -> None:
    one = chunk(ticket=3, lease_until=NOON, requeues=2)
    again = planned(one, at=NOON + HOUR)
    assert (again.ticket, again.next_try_at, again.lease_until, again.requeues) == (4, NOON + HOUR, None, 0)


@pytest.mark.parametrize("state", ChunkState)
def test_a_chunk_is_taken_back_from_a_worker_that_went_away_and_from_nobody_else(state: ChunkState) -> None:
    one = chunk(state=state, crashes=1)
    rescuing = state is ChunkState.RESCUING
    assert taken_back(one) == (replace(one, state=ChunkState.PENDING, crashes=2) if rescuing else one)
