"""The audit: a slice a run, each recording once a day, nothing of what is older."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from shared.domain.errors import StorageUnavailable
from shared.domain.recording import ChunkState, RecordingState
from shared.ports import AUDIT_PART, Backlog, WorkItem
from shared.sweep import audit
from tests.support.fakes import World, settings, watched
from tests.unit.builders import HOUR, NOON, chunk, recording
from tests.unit.loop_rig import MP3, drain, put, serve

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

DAY = timedelta(days=1)


def finished(world: World, number: int, *, began: datetime, state: ChunkState = ChunkState.RESCUED) -> str:
    """A closed recording in the ledger, with its entry."""
    one = recording(
        chunk(0, state, metadata_state="saved", blob="a.mp3", size=3),
        key=f"{number:032x}", created_at=began, recording_start=None, closed_at=None, started=None,
    )  # fmt: skip
    world.app().store.commit(one.key, None, lambda _none: one)
    version = world.ledger.load(one.key)
    world.app().store.commit(one.key, version, lambda now: now and replace(now, closed_at=NOON))
    return one.key


def asked(world: World) -> list[str]:
    """The keys of the audit's messages; the queue is empty after it."""
    items = [one.item for one in world.queue.waiting]
    world.queue.waiting.clear()
    return [item.recording_key for item in items if item.part == AUDIT_PART]


def test_it_is_off_by_default() -> None:
    world = World()
    finished(world, 1, began=NOON - HOUR)
    world.queue.waiting.clear()
    world.app().audit.run()
    assert (asked(world), world.ledger.notes) == ([], {})


def test_each_recording_of_the_days_is_asked_for_once_a_day_slice_by_slice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "SLICE", 3)
    world = World(settings(audited=7 * DAY))
    young = {finished(world, number, began=NOON - number * HOUR) for number in range(1, 8)}
    young.add(finished(world, 20, began=NOON - 2 * HOUR, state=ChunkState.LOST))
    finished(world, 30, began=NOON - 8 * DAY)
    asked(world)
    slices = []
    for _ in range(10):
        world.app().audit.run()  # each run may be another process
        slices.append(asked(world))
        world.clock.advance(timedelta(minutes=5))
    assert [len(one) for one in slices][:3] == [3, 3, 2]
    assert sorted(key for one in slices for key in one) == sorted(young)
    # A day after the pass began, all of them again, and what came meanwhile.
    new = finished(world, 40, began=world.clock.now())
    asked(world)
    world.clock.advance(DAY)
    again = []
    for _ in range(6):
        world.app().audit.run()
        again += asked(world)
    assert sorted(again) == sorted({*young, new})


def test_a_run_costs_a_few_requests_however_large_the_archive_is() -> None:
    world = World(settings(audited=DAY))
    for number in range(40):
        finished(world, number, began=NOON - number * 40 * DAY)
    asked(world)
    calls: list[str] = []

    def counted(name: str, call: Callable[[], Any], _arguments: tuple[Any, ...]) -> Any:
        calls.append(name)
        return call()

    world.app(ledger=watched(world.ledger, counted)).audit.run()
    assert len(asked(world)) == 1
    assert calls.count("entries") <= len(audit.STATES) + 2
    assert len(calls) <= 2 * len(audit.STATES) + 3


def test_a_queue_that_is_backed_up_or_fails_puts_the_slice_off() -> None:
    world = World(settings(audited=DAY))
    key = finished(world, 1, began=NOON - HOUR)
    asked(world)

    def failing(name: str, call: Callable[[], Any], _arguments: tuple[Any, ...]) -> Any:
        if name == "send":
            raise StorageUnavailable
        return Backlog(is_full=True) if name == "backlog" else call()

    world.app(queue=watched(world.queue, failing)).audit.run()
    assert world.ledger.notes == {}
    with pytest.raises(StorageUnavailable):
        world.app(
            queue=watched(world.queue, lambda name, call, _: failing(name, call, _) if name == "send" else call())
        ).audit.run()
    assert world.ledger.notes == {}
    world.app().audit.run()
    assert asked(world) == [key]


def test_a_position_that_cannot_be_read_begins_the_pass_anew() -> None:
    world = World(settings(audited=DAY))
    key = finished(world, 1, began=NOON - HOUR)
    asked(world)
    world.ledger.notes[audit.POSITION] = b"[]"
    world.app().audit.run()
    assert asked(world) == [key]


def test_the_worker_looks_once_a_day_and_finds_what_is_gone() -> None:
    world = World(settings(audited=DAY))
    one = recording(chunk())
    put(world, one)
    serve(world, one.chunks[0])
    app = world.app()
    app.worker.handle(WorkItem(one.key, one.chunks[0].key, 1), message_id="1")
    drain(world, app)
    name = world.ledger.recording(one.key).chunks[0].blob or ""
    assert world.destination.blobs[name].data == MP3
    for hours, looks in ((0, 1), (1, 1), (30, 2)):
        world.clock.moment = NOON + 24 * HOUR + hours * HOUR
        app.audit.run()
        app.worker.handle(WorkItem(one.key, AUDIT_PART), message_id="2")
        drain(world, app)
        [entry] = [entry for entry in world.ledger.recording(one.key).timeline if entry.kind == "verification"]
        assert (entry.by, entry.count) == ("app", looks)
    assert not world.ledger.open
    del world.destination.blobs[name]
    world.clock.advance(30 * HOUR)
    app.worker.handle(WorkItem(one.key, AUDIT_PART), message_id="3")
    drain(world, app)
    assert world.ledger.recording(one.key).state is RecordingState.DAMAGED
    assert world.notifier.names == ["damaged"]
