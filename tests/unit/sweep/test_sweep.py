"""One pass of the sweep: a listing, and one message for each document that is overdue, nearest risk first."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from shared.domain.errors import StorageUnavailable
from shared.ports import RECORDING_PART, Lane, OpenEntry, WorkItem
from shared.worker.message import encode_message
from tests.support.fakes import World, watched
from tests.unit.builders import HOUR, NOON, chunk, recording
from tests.unit.loop_rig import drain, is_complete, put, serve

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime


@pytest.fixture
def world() -> World:
    return World()


def listed(world: World, number: int, *, due: datetime | None, risk: datetime | None = None) -> str:
    """An open document as a listing shows it; its content is nothing that a sweep may read."""
    key = f"{number:032x}"
    world.ledger.open[key] = (b"", f'"{number}"', OpenEntry(key, due, risk, "saving"))
    return key


def sent(world: World) -> list[tuple[str, Lane]]:
    return [(one.item.recording_key, one.lane) for one in world.queue.waiting]


LATE = NOON - HOUR


def test_a_hundred_thousand_documents_cost_their_pages_and_what_is_due(world: World) -> None:
    """Point 7: 20 pages of 5,000, five requests for the queues, a message for each of the 50; no document is read."""
    for number in range(100_000):
        listed(world, number, due=LATE if number % 2_000 == 0 else NOON + HOUR, risk=NOON + HOUR * (30 - number / 4e3))
    calls: list[str] = []

    def counted(name: str, call: Callable[[], Any], _arguments: tuple[Any, ...]) -> Any:
        calls.append(name)
        return call()

    world.app(ledger=watched(world.ledger, counted), queue=watched(world.queue, counted)).sweep.run()
    assert calls.count("open_entries") == 20
    assert calls.count("send") == 50
    assert len(calls) - 70 <= 5
    risks = [world.ledger.open[key][2].risk for key, _ in sent(world)]
    assert risks == sorted(risks, key=str)


def test_what_is_at_risk_soon_goes_by_the_urgent_queue_and_what_is_safe_by_the_background(world: World) -> None:
    safe = listed(world, 1, due=LATE)
    later = listed(world, 2, due=LATE, risk=NOON + 20 * HOUR)
    soon = listed(world, 3, due=LATE, risk=NOON + HOUR)
    unreadable = listed(world, 4, due=None)
    listed(world, 5, due=NOON)
    world.app().sweep.run()
    assert sent(world)[:2] == [(soon, Lane.URGENT), (later, Lane.NORMAL)]
    assert set(sent(world)[2:]) == {(safe, Lane.BACKGROUND), (unreadable, Lane.BACKGROUND)}


def test_a_backed_up_queue_gets_no_more_and_the_urgent_one_goes_on(world: World) -> None:
    for number in range(32):
        world.queue.send(WorkItem(f"{number:032x}", RECORDING_PART), delay=timedelta(0))
    before = len(world.queue.waiting)
    listed(world, 100, due=LATE, risk=NOON + 20 * HOUR)
    soon = listed(world, 101, due=LATE, risk=NOON + HOUR)
    world.app().sweep.run()
    assert sent(world)[before:] == [(soon, Lane.URGENT)]


def test_a_lost_message_is_sent_again_and_the_recording_ends_complete(world: World) -> None:
    one = recording(chunk())
    put(world, one)
    serve(world, one.chunks[0])
    world.clock.advance(HOUR)
    app = world.app()
    app.sweep.run()
    drain(world, app)
    assert is_complete(world, one)


def test_what_is_in_the_poison_queue_is_looked_at_anew(world: World) -> None:
    world.queue.poison = [encode_message(WorkItem("1" * 32, "a" * 16, 3)), b"foreign"]
    world.app().sweep.run()
    assert [one.item for one in world.queue.waiting] == [WorkItem("1" * 32, RECORDING_PART)]
    assert list(world.ledger.rejected.values()) == [b"foreign"]


def test_a_queue_that_fails_ends_no_pass(world: World) -> None:
    listed(world, 1, due=LATE, risk=NOON + HOUR)

    def failing(_name: str, _call: Callable[[], Any], _arguments: tuple[Any, ...]) -> Any:
        raise StorageUnavailable

    world.app(queue=watched(world.queue, failing)).sweep.run()
    assert sent(world) == []
    world.app().sweep.run()
    assert len(sent(world)) == 1


def test_a_pass_sends_a_thousand_messages_at_most(world: World) -> None:
    for number in range(1002):
        listed(world, number, due=LATE, risk=NOON + HOUR)
    world.app().sweep.run()
    assert len(sent(world)) == 1000
