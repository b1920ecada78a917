"""Point 7: a sweep costs its list pages and what is due; the nearest risk goes first; nothing waits for long, or for
ever, with an alert topic that never answers, with ACS down, and with the sweep killed at any point.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from shared.domain import naming
from shared.domain.codec import encode
from shared.domain.errors import AcsUnavailable, AlertNotSent, StorageAccessDenied
from shared.domain.recording import ChunkState, Source
from shared.domain.steps import Rules, next_due
from shared.ports import RECORDING_PART, Lane, OpenEntry, WorkItem
from shared.worker.message import encode_message
from tests.support.fakes import MediaFile, World, watched
from tests.unit.builders import HOUR, MEDIA, NOON, chunk, recording
from tests.unit.loop_rig import MP3

if TYPE_CHECKING:
    from collections.abc import Callable

    from shared.domain.recording import Recording

MINUTE = timedelta(minutes=1)
MANY, DUE, PAGE = 100_000, 50, 5_000


def one_of(number: int, *, due: timedelta, risk: timedelta = 20 * HOUR) -> Recording:
    """A recording of one chunk that waits for its attempt."""
    document = f"0-eus-d1-{number:08x}"
    waiting = replace(
        chunk(),
        key=naming.chunk_key(document, 0),
        document_id=document,
        sources=(Source(MEDIA.format(document), NOON),),
        metadata_sources=(),
        metadata_state="absent",
        next_attempt_at=NOON + due,
        at_risk_from=NOON + risk,
    )
    key = naming.recording_key(f"recording-{number}")
    folder = f"20261122/call-{number}/guid"
    return recording(waiting, key=key, recording_id=f"recording-{number}", call_id=f"call-{number}", folder=folder)


def put(world: World, one: Recording) -> None:
    due = next_due(one, Rules())
    entry = OpenEntry(one.key, due, one.at_risk_from, one.state.value)
    world.ledger.open[one.key] = (encode(one), f'"{one.key}"', entry)


def serve(world: World, one: Recording) -> None:
    world.media.files[one.chunks[0].sources[0].url] = MediaFile(MP3)


@pytest.fixture
def world() -> World:
    return World()


class Counted:
    """The requests of ledger and queue, in order."""

    def __init__(self, world: World) -> None:
        self.calls: list[str] = []
        self.app = world.app(ledger=watched(world.ledger, self._note), queue=watched(world.queue, self._note))

    def _note(self, name: str, call: Callable[[], Any], _arguments: tuple[Any, ...]) -> Any:
        self.calls.append(name)
        return call()


def test_a_sweep_over_a_hundred_thousand_costs_its_pages_five_requests_and_what_fifty_need(world: World) -> None:
    """The 50 lie all over the listing, the most urgent one at its end."""
    due = {number: MANY - number for number in range(0, MANY, MANY // DUE)}
    for number in range(MANY):
        if number in due:
            one = one_of(number, due=-HOUR, risk=20 * HOUR * due[number] / MANY)
            serve(world, one)
            put(world, one)
        else:
            key = f"{number:032x}"
            # Nobody reads it: its content could not even be read.
            world.ledger.open[key] = (b"", f'"{number}"', OpenEntry(key, NOON + HOUR, NOON + 30 * HOUR, "saving"))
    counted = Counted(world)
    counted.app.sweep.run()
    assert counted.calls.count("open_entries") == MANY // PAGE == 20
    assert counted.calls.count("send") == DUE
    # One for each poison queue and each lane's backlog; not one document is read or written.
    assert len(counted.calls) - 20 - DUE <= 5
    assert not {"load", "save", "create", "archive"} & set(counted.calls)
    risks = [world.ledger.open[one.item.recording_key][2].risk for one in world.queue.waiting]
    assert risks == sorted(risks, key=str)
    # Those that are handled first are the most urgent, too.
    counted.calls.clear()
    while world.queue.waiting:
        world.deliver_next(counted.app)
    assert len(world.ledger.closed) == DUE
    assert counted.calls.count("open_entries") == 0
    assert len(counted.calls) <= DUE * 12
    # The next sweep finds nothing due, and costs the pages alone.
    counted.calls.clear()
    counted.app.sweep.run()
    assert counted.calls.count("send") == 0
    assert len(counted.calls) <= 20 + 5


def test_what_is_at_risk_within_hours_overtakes_a_backlog_of_thousands(world: World) -> None:
    for number in range(3_000):
        put(world, one_of(number, due=-HOUR))
    urgent = one_of(9_999, due=-HOUR, risk=HOUR)
    put(world, urgent)
    serve(world, urgent)
    app = world.app()
    for _ in range(3):
        app.sweep.run()
    first = world.queue.receive()
    assert first is not None
    assert (first.item.recording_key, first.lane) == (urgent.key, Lane.URGENT)
    # No lane is filled without end: a thousand messages, then none while they wait.
    assert len(world.queue.waiting) <= 1_001 + 3


def swept_until_rescued(world: World, one: Recording, *, within: timedelta, **ports: Any) -> None:
    app = world.app(**ports)
    end = world.clock.now() + within
    while world.ledger.recording(one.key).chunks[0].state is ChunkState.PENDING and world.clock.now() < end:
        app.sweep.run()
        while (due := world.queue.next_due()) is not None and due <= world.clock.now():
            world.deliver_next(app)
        world.clock.advance(MINUTE)
    assert world.ledger.recording(one.key).chunks[0].state is ChunkState.RESCUED


def test_an_alert_topic_that_never_answers_holds_no_byte_up(world: World) -> None:
    """Each publication takes its full time-out; a hundred recordings owe alerts, and one waits for its bytes."""

    def never(name: str, _call: Callable[[], Any], _arguments: tuple[Any, ...]) -> Any:
        assert name == "publish"
        world.clock.advance(timedelta(seconds=8))
        raise AlertNotSent("no answer")

    waiting = one_of(1, due=-HOUR)
    serve(world, waiting)
    put(world, waiting)
    app = world.app(notifier=watched(world.notifier, never))
    world.destination.refusal = StorageAccessDenied("403")
    refused = [one_of(number, due=-HOUR) for number in range(100, 200)]
    for one in refused:
        put(world, one)
        serve(world, one)
        world.ledger.version(one.key)
        app.worker.handle(WorkItem(one.key, one.chunks[0].key, 1), message_id="1")
        assert world.ledger.recording(one.key).outbox
    world.destination.refusal = None
    # No other lane than the background's carries an alert.
    assert {one.lane for one in world.queue.waiting if one.item.part == "outbox"} == {Lane.BACKGROUND}
    swept_until_rescued(world, waiting, within=MINUTE, notifier=watched(world.notifier, never))
    # What is owed stays owed, is in the log, and is published when the topic answers.
    while (due := world.queue.next_due()) is not None and due < NOON + 3 * HOUR:
        world.deliver_next(app)
    assert all(world.ledger.recording(one.key).outbox for one in refused)
    assert {world.ledger.recording(one.key).chunks[0].state for one in refused} == {ChunkState.DELIVERED}
    again = world.app()
    while (due := world.queue.next_due()) is not None and due < NOON + 6 * HOUR:
        world.deliver_next(again)
    assert {key for name, key, _ in world.notifier.alerts if name == "storage_access_denied"} == {
        one.key for one in refused
    }
    assert not world.ledger.open


def test_with_acs_down_what_has_an_event_is_rescued_and_what_has_none_is_asked_for_again(world: World) -> None:
    def down(_name: str, _call: Callable[[], Any], _arguments: tuple[Any, ...]) -> Any:
        world.clock.advance(timedelta(seconds=20))
        raise AcsUnavailable("503", status=503)

    world.acs.calls.add("server-1")
    started = world.app().start.start({"serverCallId": "server-1"}, idempotency_key=None).answer
    world.clock.advance(5 * HOUR)
    waiting = one_of(1, due=-HOUR)
    serve(world, waiting)
    put(world, waiting)
    swept_until_rescued(world, waiting, within=5 * MINUTE, acs=watched(world.acs, down))
    silent = world.ledger.recording(started["key"])
    assert silent.event_check_at is not None
    assert silent.event_check_at > world.clock.now()
    # ACS answers again: the recording still runs, and that is noted; its end is noticed.
    app = world.app()
    world.clock.moment = silent.event_check_at + 5 * MINUTE
    app.sweep.run()
    while (due := world.queue.next_due()) is not None and due <= world.clock.now():
        world.deliver_next(app)
    assert "still_recording" in [entry.kind for entry in world.ledger.recording(started["key"]).timeline]


class Killed(BaseException):
    """The process is gone."""


def test_a_sweep_that_is_killed_at_any_point_leaves_everything_to_the_next() -> None:
    """Before and after each of its requests. What lay in the poison queue is met all the same."""
    point = 0
    while True:
        point += 1
        world = World()
        made = [one_of(number, due=-HOUR) for number in range(6)]
        for one in made:
            put(world, one)
            serve(world, one)
        poisoned = made[0]
        world.queue.poison = [encode_message(WorkItem(poisoned.key, RECORDING_PART))]
        is_dead = killed_at(world, point)
        app = world.app()
        world.clock.advance(5 * MINUTE)
        app.sweep.run()
        while (due := world.queue.next_due()) is not None and due <= world.clock.now() + MINUTE:
            world.deliver_next(app)
        for one in made:
            assert world.ledger.recording(one.key).chunks[0].state is ChunkState.RESCUED, (point, one.key)
        if not is_dead:
            break
    # Ten requests at least, before and after each.
    assert point > 20


def killed_at(world: World, point: int) -> bool:
    """A sweep whose process dies at that point; whether it got there."""
    passed = 0

    def around(_name: str, call: Callable[[], Any], _arguments: tuple[Any, ...]) -> Any:
        nonlocal passed
        passed += 1
        if passed == point:
            raise Killed
        result = call()
        passed += 1
        if passed == point:
            raise Killed
        return result

    try:
        world.app(ledger=watched(world.ledger, around), queue=watched(world.queue, around)).sweep.run()
    except Killed:
        return True
    return False
