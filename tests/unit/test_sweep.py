"""The net under everything else: what is overdue, poisoned, silent or running out of time."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from shared.domain.errors import Blame, StorageCorrupted, StorageUnavailable
from shared.domain.naming import marker
from shared.domain.recording import Chunk, ChunkState, LastError, Manifest, Recording
from shared.ports import RescueMessage
from shared.worker.message import encode_message
from tests.support.fakes import World, watched
from tests.unit.builders import HOUR, NOON, chunk, recording

if TYPE_CHECKING:
    from collections.abc import Callable

S = ChunkState
MINUTE = timedelta(minutes=1)


def kept(world: World, one: Recording) -> Recording:
    """The recording in the ledger, with its marker."""
    one = replace(one, marker=None if one.closed_at else marker(deadline=one.deadline, key=one.key))
    world.ledger.save(one, etag=None)
    if one.marker:
        world.ledger.put_marker(one.marker)
    return one


def swept(*chunks: Chunk, **changes: Any) -> World:
    """A world in which the sweep met one recording."""
    world = World()
    kept(world, recording(*chunks, **changes))
    world.app().sweep.run()
    return world


def the(world: World) -> Recording:
    return world.ledger.recording(recording().key)


LATE, SOON = NOON - HOUR, NOON + HOUR
DUE = [
    (chunk(state=S.PENDING, next_try_at=LATE), True),
    (chunk(state=S.PENDING, next_try_at=NOON - MINUTE), False),
    (chunk(state=S.PENDING, next_try_at=SOON), False),
    (chunk(state=S.PENDING, next_try_at=None), False),
    (chunk(state=S.EXPECTED, next_try_at=LATE), True),
    (chunk(state=S.RESCUING, next_try_at=LATE, lease_until=SOON), False),
    (chunk(state=S.RESCUING, next_try_at=LATE, lease_until=LATE), True),
    (chunk(state=S.IN_FALLBACK, next_try_at=LATE), True),
    (chunk(state=S.IN_FALLBACK, next_try_at=None), False),
    (chunk(state=S.RESCUED, next_try_at=LATE, finished_at=LATE), True),  # its metadata waits
    (chunk(state=S.RESCUED, next_try_at=None, finished_at=LATE), True),
    (chunk(state=S.RESCUED, next_try_at=SOON, finished_at=LATE), False),
    (chunk(state=S.RESCUED, metadata_state="saved", next_try_at=LATE, finished_at=LATE), True),  # the manifest waits
    (chunk(state=S.RESCUED, metadata_state="saved", next_try_at=SOON, finished_at=LATE), False),
    (chunk(state=S.LOST, next_try_at=None, finished_at=LATE), True),
    (chunk(state=S.LOST, next_try_at=None, finished_at=NOON), False),
    (chunk(state=S.LOST, next_try_at=LATE, finished_at=LATE), True),  # to be looked for again
    (chunk(state=S.LOST, next_try_at=SOON, finished_at=LATE), False),
]


@pytest.mark.parametrize(("one", "is_overdue"), DUE)
def test_a_try_that_never_came_is_planned_again(*, one: Chunk, is_overdue: bool) -> None:
    world = swept(one)
    moved = the(world).chunks[0]
    assert len(world.queue.waiting) == is_overdue
    assert moved.ticket == one.ticket + is_overdue
    if is_overdue:
        assert world.queue.waiting[0].message.ticket == moved.ticket
        assert moved.requeues == 1
        assert NOON <= world.queue.waiting[0].due <= NOON + 21 * timedelta(seconds=1)
        assert moved.state is (S.PENDING if one.state is S.RESCUING else one.state)
        assert moved.crashes == (one.state is S.RESCUING)


def test_a_manifest_that_waits_has_its_own_time() -> None:
    done = {"metadata_state": "saved", "next_try_at": None, "finished_at": LATE}
    one, other = chunk(0, S.RESCUED, **done), chunk(1, S.EXPORTED, **done)
    assert swept(one, other, manifest=Manifest("pending", 1, SOON)).queue.waiting == []
    world = swept(one, other, manifest=Manifest("pending", 1, LATE))
    assert [delivery.message.chunk_key for delivery in world.queue.waiting] == [one.key]


@pytest.mark.parametrize("indices", [(0, 1), (1, 0)])
def test_a_recording_that_ended_with_a_delivery_given_up_is_closed(indices: tuple[int, int]) -> None:
    """Whoever lost the last chunk may have died before closing it."""
    given_up = chunk(indices[0], S.IN_FALLBACK, next_try_at=None, finished_at=LATE, size=1, sha256="ab")
    lost = chunk(indices[1], S.LOST, next_try_at=None, finished_at=LATE)
    one = recording(*sorted((given_up, lost), key=lambda chunk: chunk.index), deadline=NOON - 8 * 24 * HOUR)
    world = World()
    kept(world, one)
    world.destination.exists = False
    app = world.app()
    app.sweep.run()
    while world.deliver_next(app):
        pass
    assert the(world).closed_at is not None
    assert world.ledger.open == set()


def test_a_full_queue_is_not_a_lost_message() -> None:
    """Each requeue doubles what counts as overdue: a storm is not answered by doubling it."""

    def is_requeued(one: Chunk, *, waiting: int) -> bool:
        def around(name: str, call: Callable[[], Any], arguments: tuple[Any, ...]) -> Any:
            return waiting if name == "length" else call()

        world = World()
        kept(world, recording(one))
        world.app(queue=watched(world.queue, around)).sweep.run()
        return len(world.queue.waiting) == 1

    for requeues, passed in ((0, 5), (1, 9), (4, 61), (30, 61)):
        one = chunk(next_try_at=NOON - passed * MINUTE, requeues=requeues)
        almost = replace(one, next_try_at=NOON - (passed - 2) * MINUTE)
        assert is_requeued(one, waiting=500)
        assert not is_requeued(almost, waiting=500)
        # In a short queue nothing waits for long, however often it was lost before.
        assert is_requeued(almost, waiting=50) is (requeues > 0)


def test_a_try_that_somebody_plans_meanwhile_is_left_to_them() -> None:
    world = World()
    one = kept(world, recording(chunk(next_try_at=LATE)))
    planned = one.with_chunk(replace(one.chunks[0], ticket=7))

    def meanwhile(name: str, call: Callable[[], Any], arguments: tuple[Any, ...]) -> Any:
        found = call()
        if name == "load" and the(world).chunks[0].ticket == 1:
            world.ledger.save(planned, etag=world.ledger.documents[one.key][1])
        return found

    world.app(ledger=watched(world.ledger, meanwhile)).sweep.run()
    assert the(world).chunks[0].ticket == 7
    assert world.queue.waiting == []


def test_a_queue_that_fails_leaves_it_to_the_next_sweep() -> None:
    def failing(name: str, call: Callable[[], Any], arguments: tuple[Any, ...]) -> Any:
        if name == "send":
            raise StorageUnavailable
        return call()

    world = World()
    kept(world, recording(chunk(next_try_at=LATE)))
    world.app(queue=watched(world.queue, failing)).sweep.run()
    assert world.queue.waiting == []
    world.clock.advance(10 * MINUTE)
    world.app().sweep.run()
    assert len(world.queue.waiting) == 1


def test_a_poisoned_message_is_planned_again_if_it_still_means_anything() -> None:
    world = World()
    one = kept(world, recording(chunk(0, S.RESCUING, lease_until=SOON), chunk(1, ticket=5)))
    world.queue.poison = [
        encode_message(RescueMessage(one.key, one.chunks[0].key, 1)),
        encode_message(RescueMessage(one.key, one.chunks[1].key, 4)),  # an older plan
        encode_message(RescueMessage(one.key, "0" * 16, 1)),
        encode_message(RescueMessage("0" * 32, "0" * 16, 1)),
        b"nonsense",
    ]
    world.app().sweep.run()
    assert world.queue.poison == []
    assert [delivery.message.chunk_key for delivery in world.queue.waiting] == [one.chunks[0].key]
    assert the(world).chunks[0].state is S.PENDING
    assert the(world).chunks[0].crashes == 1
    assert len(world.ledger.rejected) == 1


def test_a_poison_queue_that_fails_stops_nothing_else() -> None:
    def failing(name: str, call: Callable[[], Any], arguments: tuple[Any, ...]) -> Any:
        if name == "drain_poison":
            raise StorageUnavailable
        return call()

    world = World()
    kept(world, recording(chunk(next_try_at=LATE)))
    world.app(queue=watched(world.queue, failing)).sweep.run()
    assert len(world.queue.waiting) == 1


def test_one_recording_that_cannot_be_read_stops_no_other() -> None:
    world = World()
    bad = kept(world, recording(chunk(next_try_at=LATE), key="0" * 32, deadline=NOON + HOUR))
    good = kept(world, recording(chunk(next_try_at=LATE)))
    world.queue.poison = [encode_message(RescueMessage(bad.key, bad.chunks[0].key, 1))]

    def failing(name: str, call: Callable[[], Any], arguments: tuple[Any, ...]) -> Any:
        if name == "load" and arguments == (bad.key,):
            raise StorageCorrupted
        return call()

    world.app(ledger=watched(world.ledger, failing)).sweep.run()
    assert [delivery.message.recording_key for delivery in world.queue.waiting] == [good.key]


@pytest.mark.parametrize(
    ("left", "expected"),
    [
        (7 * HOUR, []),
        (5.5 * HOUR, ["deadline_6h"]),
        (HOUR / 2, ["deadline_1h"]),
        (-HOUR, ["deadline_1h"]),
    ],
)
def test_a_deadline_that_nears_is_said_once(left: timedelta, expected: list[str]) -> None:
    world = World()
    error = LastError("media_throttled", Blame.ACS, "429", NOON)
    kept(world, recording(chunk(next_try_at=SOON, last_error=error), deadline=NOON + left))
    app = world.app()
    app.sweep.run()
    app.sweep.run()
    assert world.notifier.names == expected
    for _, _, fields in world.notifier.alerts:
        assert fields["hours_left"] == round(left / HOUR, 2)
        assert fields["codes"] == ["media_throttled"]


def test_each_threshold_is_said_on_its_way_down() -> None:
    world = World()
    kept(world, recording(chunk(next_try_at=None), deadline=NOON + 7 * HOUR))
    app = world.app()
    for _ in range(8):
        app.sweep.run()
        world.clock.advance(HOUR)
    assert world.notifier.names == ["deadline_6h", "deadline_1h"]


@pytest.mark.parametrize("state", [S.IN_FALLBACK, S.RESCUED, S.LOST])
def test_what_is_no_longer_at_risk_nears_no_deadline(state: ChunkState) -> None:
    world = swept(chunk(state=state, next_try_at=SOON, finished_at=NOON), deadline=NOON + HOUR / 2)
    assert world.notifier.names == []


def test_a_marker_without_a_document_falls_with_its_deadline() -> None:
    world = World()
    coming, gone = (marker(deadline=NOON + HOUR * sign, key=str(sign + 1) * 32) for sign in (1, -1))
    world.ledger.open = {coming, gone}
    world.app().sweep.run()
    assert world.ledger.open == {coming}


def test_a_marker_left_over_is_removed_at_the_second_look() -> None:
    world = World()
    one = kept(world, recording(chunk(next_try_at=SOON)))
    closed = kept(world, recording(chunk(state=S.RESCUED), key="0" * 32, closed_at=NOON))
    left_over = {marker(deadline=NOON + 5 * HOUR, key=key) for key in (one.key, closed.key)}
    world.ledger.open |= left_over
    app = world.app()
    app.sweep.run()
    assert left_over <= world.ledger.open
    app.sweep.run()
    assert world.ledger.open == {one.marker}


def test_a_marker_put_just_before_its_document_stands() -> None:
    """Between the two effects of a change the marker looks left over. Deleted then, the recording would be open
    and no sweep would ever see it again.
    """
    world = World()
    one = kept(world, recording(started_here=True, check_at=SOON))
    app = world.app()

    def interrupted(name: str, call: Callable[[], Any], arguments: tuple[Any, ...]) -> Any:
        if name == "save":
            app.sweep.run()
        return call()

    other = world.app(ledger=watched(world.ledger, interrupted))
    other.sweep._books.change(one.key, lambda now: replace(now, deadline=NOON + 48 * HOUR))
    assert world.ledger.open == {the(world).marker}
    app.sweep.run()
    app.sweep.run()
    assert world.ledger.open == {the(world).marker}


def test_the_sweep_reads_page_by_page(caplog: pytest.LogCaptureFixture) -> None:
    world = World()
    for number in range(1_100):
        kept(world, recording(chunk(next_try_at=SOON), key=f"{number:032x}"))
    with caplog.at_level("INFO", logger="recorder"):
        world.app().sweep.run()
    assert '"unfinished":1100,"requeued":0,"poisoned":0,"is_whole":true' in caplog.text


def crowd(count: int, **changes: Any) -> tuple[World, list[str]]:
    """Unfinished recordings, the nearest deadline first, and the keys of those that a sweep met, as it met them."""
    world = World()
    for number in range(count):
        one = recording(chunk(next_try_at=SOON), key=f"{number:032x}", deadline=NOON + (20 + number) * HOUR)
        kept(world, replace(one, **changes))
    return world, []


def met_in(world: World, *, step: timedelta, **ports: Any) -> list[int]:
    """The numbers of those that a sweep of a new process met, each of which took `step`."""
    met: list[int] = []

    def slow(name: str, call: Callable[[], Any], arguments: tuple[Any, ...]) -> Any:
        if name == "load":
            met.append(int(arguments[0], 16))
            world.clock.advance(step)
        return call()

    world.app(ledger=watched(world.ledger, slow), **ports).sweep.run()
    return met


def test_a_sweep_ends_with_its_time_and_the_next_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    """Its four minutes hold however slow one look is; and nobody waits for ever behind those of nearer deadlines."""
    world, _ = crowd(10)
    with caplog.at_level("INFO", logger="recorder"):
        assert met_in(world, step=MINUTE) == [0, 1, 2, 3]
    assert '"unfinished":4,"requeued":0,"poisoned":0,"is_whole":false' in caplog.text
    assert met_in(world, step=MINUTE) == [4, 5, 6, 7]
    assert met_in(world, step=MINUTE) == [8, 9, 0, 1]
    # With time for all, it begins in the midst once more, and then at the front again.
    assert met_in(world, step=timedelta(0)) == [2, 3, 4, 5, 6, 7, 8, 9, 0, 1]
    assert met_in(world, step=timedelta(0)) == list(range(10))


def test_each_sweep_meets_somebody() -> None:
    """Also where the poison queue took all of its time."""
    world, _ = crowd(3)

    def slow(name: str, call: Callable[[], Any], arguments: tuple[Any, ...]) -> Any:
        if name == "drain_poison":
            world.clock.advance(5 * MINUTE)
        return call()

    queue = watched(world.queue, slow)
    assert [met_in(world, step=MINUTE, queue=queue) for _ in range(4)] == [[0], [1], [2], [0]]


@pytest.mark.parametrize("method", ["get_note", "put_note"])
def test_a_place_that_cannot_be_kept_or_read_stops_no_sweep(method: str) -> None:
    world, _ = crowd(6)

    def failing(name: str, call: Callable[[], Any], arguments: tuple[Any, ...]) -> Any:
        if name == "load":
            world.clock.advance(MINUTE)
        if name == method:
            raise StorageUnavailable
        return call()

    world.app(ledger=watched(world.ledger, failing)).sweep.run()
    world.app(ledger=watched(world.ledger, failing)).sweep.run()
    assert world.clock.now() == NOON + 8 * MINUTE


def test_a_marker_left_over_is_known_to_a_sweep_that_comes_by_later() -> None:
    """Also where others had none of its time in between."""
    world, _ = crowd(6)
    left_over = marker(deadline=NOON + HOUR, key=f"{5:032x}")
    world.ledger.open.add(left_over)

    def slow(name: str, call: Callable[[], Any], arguments: tuple[Any, ...]) -> Any:
        if name == "load":
            world.clock.advance(2 * MINUTE)
        return call()

    app = world.app(ledger=watched(world.ledger, slow))
    for _ in range(4):
        assert left_over in world.ledger.open
        app.sweep.run()
    assert left_over not in world.ledger.open
    assert len(world.ledger.open) == 6


def test_the_silent_ones_take_half_of_a_sweep_at_most() -> None:
    """ACS answers slowly just when there is much to rescue: whoever has a chunk at risk does not wait for it."""
    world = World()
    for number in range(6):
        silent = {"started_here": True, "check_at": NOON, "recording_id": f"silent-{number}"}
        kept(world, recording(key=f"{number:032x}", deadline=NOON + HOUR, **silent))
        world.acs.states[f"silent-{number}"] = "active"
    kept(world, recording(chunk(next_try_at=LATE), key="f" * 32, deadline=NOON + 5 * HOUR))
    asked: list[str] = []

    def slow(name: str, call: Callable[[], Any], arguments: tuple[Any, ...]) -> Any:
        asked.append(arguments[0])
        world.clock.advance(MINUTE)
        return call()

    for count in (2, 4, 6):
        world.app(acs=watched(world.acs, slow)).sweep.run()
        assert asked == [f"silent-{number}" for number in range(count)]
        assert len(world.queue.waiting) == 1
