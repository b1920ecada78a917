"""A storm does not grow by itself: what is late because the queue is full is not queued a second time."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from shared.ports import RescueMessage
from tests.support.fakes.world import World
from tests.unit.builders import HOUR, NOON, chunk, recording

if TYPE_CHECKING:
    from shared.domain.recording import Recording

FULL = 1000


def _requeued(given: Recording, *, waiting: int, after: timedelta) -> int:
    """How many tries a sweep queues for `given`, so long after its try was due, while `waiting` messages wait."""
    world = World()
    app = world.app()
    app.watch._books.change_or_create(given.key, lambda _: given)
    for number in range(waiting):
        world.queue.send(RescueMessage(f"{number:032x}", "0" * 16, 1), delay=timedelta(0))
    world.clock.moment = NOON + after
    app.sweep.run()
    return len(world.queue.waiting) - waiting


def test_a_late_try_is_queued_again_while_the_queue_is_short() -> None:
    assert _requeued(recording(chunk()), waiting=FULL - 1, after=timedelta(minutes=10)) == 1


def test_a_late_try_is_left_in_a_full_queue_for_an_hour() -> None:
    given = recording(chunk())
    assert _requeued(given, waiting=FULL, after=timedelta(minutes=59)) == 0
    assert _requeued(given, waiting=FULL, after=timedelta(minutes=61)) == 1


def test_near_the_deadline_a_late_try_is_queued_again_all_the_same() -> None:
    given = recording(chunk(), deadline=NOON + 3 * HOUR)
    assert _requeued(given, waiting=FULL, after=timedelta(minutes=10)) == 1
