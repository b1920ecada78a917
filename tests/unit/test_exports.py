"""A day is looked through once for all recordings of which no event came; what was not seen is not called missing."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from shared.domain.errors import BlobMissing, StorageUnavailable
from shared.domain.naming import marker, recording_key
from shared.domain.recording import Recording
from shared.sweep.missing_event import _ENDED
from tests.support.fakes import CONTAINER, World, watched
from tests.unit.builders import HOUR, NOON
from tests.unit.silence_rig import FOLDER, MINUTE, adopted, begun, ended, export, swept

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest


def silent_ones(count: int) -> World:
    """So many recordings of one day that ended, each of them exported, and no event came: all look for theirs now."""
    world = World()
    for number in range(count):
        began = NOON - timedelta(minutes=number)
        key = recording_key(f"r{number}")
        one = Recording(
            key=key,
            container_url=str(CONTAINER),
            created_at=began,
            deadline=began + 24 * HOUR,
            recording_id=f"r{number}",
            started_here=True,
            check_at=NOON,
            notes=(_ENDED,),
            marker=marker(deadline=began + 24 * HOUR, key=key),
        )
        world.ledger.save(one, etag=None)
        world.ledger.put_marker(str(one.marker))
        world.acs.states[f"r{number}"] = "inactive"
        export(world, f"20261122/call-{number:05}/eyJQbGF0-acs", start=began.isoformat())
    return world


class Counted:
    """The containers of a world, and every call of one: its name and first argument. Each takes `step`."""

    def __init__(self, world: World, *, step: timedelta = timedelta(0)) -> None:
        self.calls: list[tuple[str, str]] = []
        self._world, self._step = world, step

    def __call__(self, name: str, call: Callable[[], Any], arguments: tuple[Any, ...]) -> Any:
        if name == "destination":
            return watched(call(), self)
        self.calls.append((name, *arguments[:1]))
        self._world.clock.advance(self._step)
        return call()

    @property
    def ports(self) -> dict[str, Any]:
        return {"containers": watched(self._world.containers, self)}

    def reads(self) -> list[str]:
        return [name for method, name in self.calls if method == "read"]


def test_a_sweep_costs_as_much_as_there_is_to_see() -> None:
    """With the event subscription broken a whole call centre is silent: what is read grows with it, not its square."""

    def cost(count: int) -> int:
        world = silent_ones(count)
        counted = Counted(world)
        world.app(**counted.ports).sweep.run()
        assert adopted(world) == count
        assert sorted(counted.reads()) == sorted(name for name in world.destination.blobs if name.endswith(".json"))
        return len(counted.calls)

    ten, twenty, forty = cost(10), cost(20), cost(40)
    assert forty - twenty == 2 * (twenty - ten)


def test_what_was_read_is_known_to_the_next_sweep() -> None:
    world = silent_ones(20)
    counted = Counted(world)
    app = world.app(**counted.ports)
    late = recording_key("r7")
    world.ledger.save(
        replace(world.ledger.recording(late), check_at=NOON + MINUTE), etag=world.ledger.documents[late][1]
    )
    app.sweep.run()
    assert (adopted(world), len(counted.reads())) == (19, 20)
    app.sweep.run()
    world.clock.advance(MINUTE)
    app.sweep.run()
    assert (adopted(world), len(counted.reads())) == (20, 20)


def test_where_the_time_is_over_the_next_sweep_reads_on() -> None:
    """None of them is called silent before everything was seen: its file may be the next."""
    world = silent_ones(20)
    counted = Counted(world, step=timedelta(seconds=5))
    app = world.app(**counted.ports)
    sweeps = 0
    while adopted(world) < 20:
        began = world.clock.now()
        app.sweep.run()
        assert world.clock.now() - began < 3 * MINUTE
        sweeps += 1
    assert 3 < sweeps < 10
    assert len(counted.reads()) == 20
    assert set(world.notifier.names) == {"event_missing"}


def test_what_sweeps_never_see_all_of_is_said_aloud_and_not_called_missing() -> None:
    world, key = begun()
    ended(world)
    export(world)
    for number in range(200):
        export(world, f"20261122/another-{number:03}/x", start="2026-11-22T15:00:00Z")
    world.clock.advance(5 * HOUR)
    counted = Counted(world, step=MINUTE)
    while not world.ledger.recording(key).alerts:
        world.app(**counted.ports).sweep.run()  # each a new process
        world.clock.advance(5 * MINUTE)
        assert world.clock.now() < NOON + 7 * HOUR
    assert world.notifier.names == ["silent"]
    assert world.ledger.recording(key).check_at is not None
    assert adopted(world) == 0
    world.app().sweep.run()
    world.clock.advance(5 * HOUR)
    world.app().sweep.run()
    assert adopted(world) == 1


def test_a_day_of_many_files_is_looked_through_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """A listing tells of some thousands at once; the call's id may sort after all of them."""
    monkeypatch.setattr("tests.support.fakes.storage.FakeContainer.find_limit", 2)
    world, key = begun()
    ended(world)
    for number in range(5):
        export(world, f"20261122/another-{number}/x", start="2026-11-22T15:00:00Z")
    export(world, "20261122/zz-call/eyJQbGF0-acs", indices=(0, 1, 2))
    assert [chunk.index for chunk in swept(world, key).chunks] == [0, 1, 2]


def test_a_container_that_refuses_is_asked_once_in_a_sweep() -> None:
    """Each try may take as long as a closed network lets it."""
    world = silent_ones(10)
    world.destination.exists = False
    counted = Counted(world)
    world.app(**counted.ports).sweep.run()
    assert len(counted.calls) == 1
    assert world.notifier.names == []
    world.clock.advance(HOUR)
    world.app(**counted.ports).sweep.run()
    assert len(counted.calls) == 2
    assert world.notifier.names == ["silent"] * 10


def test_a_read_that_fails_is_no_reason_for_an_alarm() -> None:
    """One of a day's thousands may: the next sweep makes up for it."""
    world = silent_ones(10)
    failed: list[str] = []

    def failing(name: str, call: Callable[[], Any], arguments: tuple[Any, ...]) -> Any:
        if name == "destination":
            return watched(call(), failing)
        if name == "read" and not failed:
            failed.append(arguments[0])
            raise StorageUnavailable
        return call()

    app = world.app(containers=watched(world.containers, failing))
    app.sweep.run()
    assert (adopted(world), world.notifier.names) == (0, [])
    world.clock.advance(5 * MINUTE)
    app.sweep.run()
    assert (adopted(world), world.notifier.names) == (10, ["event_missing"] * 10)


def test_a_look_by_itself_sees_what_stands_there() -> None:
    """Whoever asks for one recording, outside a sweep."""
    world = silent_ones(1)
    app = world.app()
    app.sweep._silence.look(world.ledger.recording(recording_key("r0")))
    assert adopted(world) == 1


def test_metadata_that_goes_away_meanwhile_is_none() -> None:
    world = silent_ones(2)

    def gone(name: str, call: Callable[[], Any], arguments: tuple[Any, ...]) -> Any:
        if name == "destination":
            return watched(call(), gone)
        if name == "read" and "call-00000" in arguments[0]:
            raise BlobMissing
        return call()

    world.app(containers=watched(world.containers, gone)).sweep.run()
    assert adopted(world) == 1
    assert sorted(world.notifier.names) == ["event_missing", "silent"]


def test_as_long_as_the_container_cannot_be_seen_nothing_is_called_missing() -> None:
    """Not even when Event Grid has given up; for a week, for somebody may have given up the container."""
    world, key = begun()
    ended(world)
    world.destination.exists = False
    while world.clock.now() < NOON + 8 * 24 * HOUR - 5 * HOUR:
        assert swept(world, key).closed_at is None
    assert world.notifier.names == ["silent"]
    swept(world, key)
    swept(world, key)
    assert world.ledger.recording(key).closed_at is not None
    assert world.notifier.alerts[-1][0] == "never_heard"
    assert world.notifier.alerts[-1][2]["container_seen"] is False


def test_an_export_that_can_be_seen_at_last_is_found() -> None:
    world, key = begun()
    ended(world)
    export(world)
    world.destination.exists = False
    while world.clock.now() < NOON + 60 * HOUR:
        swept(world, key)
    world.destination.exists = True
    assert swept(world, key).folder == FOLDER


def test_a_container_that_refuses_is_asked_again_later() -> None:
    world, key = begun()
    ended(world)
    world.destination.exists = False
    after = swept(world, key)
    assert (after.chunks, after.check_at) == ((), world.clock.now())
    assert world.notifier.names == []
    after = swept(world, key, after=HOUR)
    assert (after.chunks, after.check_at) == ((), world.clock.now() + 4 * HOUR)
    assert world.notifier.names == ["silent"]
