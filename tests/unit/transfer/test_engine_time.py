"""The time of a transfer: budgets, sources that drip, faults that take long."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from shared.domain import errors as e
from shared.transfer.engine import Progress, TimeBudgetSpentError
from shared.transfer.slots import InlineSlots
from tests.support.fakes import NOON, MediaFile, lies, watched
from tests.support.fakes.acs import honest
from tests.unit.builders import HOUR
from tests.unit.transfer.engine_rig import BLOCK, LOCATION, MINUTE, Rig, checked, mp3, taking

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.mark.parametrize("before", [[], [honest]], ids=["first", "later"])
def test_a_source_that_drips_does_not_keep_the_invocation(before: list[lies.Answer]) -> None:
    """A byte each 50 seconds would be within every timeout of a socket."""
    rig = Rig(mp3(3_500))
    rig.media.lie(LOCATION, *before, *[taking(rig, 50, pieces=BLOCK)] * 3)
    with pytest.raises(e.MediaUnavailable, match="too slow"):
        rig.run(until=NOON + 4 * MINUTE)
    assert rig.clock.now() - NOON < 7 * MINUTE
    assert len(rig.media.asked) == 1 + len(before)
    assert rig.progress.blocks == len(before)
    rig.media.lies.clear()
    checked(rig, rig.run(until=rig.clock.now() + HOUR))


def test_nor_does_one_that_gives_no_ranges() -> None:
    rig = Rig(mp3(3_500))

    def answer(file: MediaFile, start: int, length: int) -> Any:
        return replace(taking(rig, 50, pieces=3_500)(file, 0, 3_500), status=200, content_range=None)

    rig.media.lie(LOCATION, answer)
    with pytest.raises(e.MediaUnavailable, match="too slow"):
        rig.run(until=NOON + 4 * MINUTE, hard_until=NOON + 8 * MINUTE)
    assert 7 * MINUTE < rig.clock.now() - NOON < 9 * MINUTE
    assert rig.target.blobs == {}


@pytest.mark.parametrize("pieces", [1, 70])
@pytest.mark.parametrize("budget", [timedelta(seconds=5), 4 * MINUTE])
def test_a_slow_and_steady_source_gets_on(pieces: int, budget: timedelta) -> None:
    """A block of 2 MiB at 30 KiB/s takes 70 seconds: every invocation brings one at least, and ends."""
    rig = Rig(mp3(9_500))
    rig.media.lie(LOCATION, *[taking(rig, 70 / pieces, pieces=pieces)] * 100)
    for _ in range(12):
        begun_at, rig.progress = rig.clock.now(), Progress()
        try:
            done = rig.run(until=begun_at + budget)
        except TimeBudgetSpentError:
            assert rig.progress.blocks > 0
            assert rig.clock.now() - begun_at < budget + 3 * MINUTE
        else:
            checked(rig, done)
            return
    pytest.fail("it never came to an end")


@pytest.mark.parametrize("size", [500, 3_500])
def test_a_fault_that_took_long_is_not_met_three_times(size: int) -> None:
    """A host that says nothing costs a minute, not three."""
    rig = Rig(mp3(size))
    rig.media.lie(LOCATION, *[taking(rig, 60, pieces=1, but=e.MediaUnavailable("timed out"))] * 3)
    with pytest.raises(e.MediaUnavailable):
        rig.run()
    assert rig.clock.now() - NOON == MINUTE


def test_what_got_on_and_is_late_goes_nowhere_else() -> None:
    """As to the fallback, where the destination took blocks and then took the time: the next invocation does."""
    rig = Rig(mp3(3_500))
    rig.progress.add(1)
    with pytest.raises(TimeBudgetSpentError):
        rig.run(until=NOON)
    assert rig.media.asked == []


def test_a_block_that_waited_for_its_lane_beyond_the_time_is_not_begun() -> None:
    """Other recordings had the slots meanwhile."""
    rig = Rig(mp3(8_500))

    class Crowded(InlineSlots):
        room = 9 * BLOCK

        def submit(self, task: Any, size: int) -> Any:
            if len(rig.media.asked) == 2:
                rig.clock.advance(HOUR)
            return super().submit(task, size)

    rig.slots = Crowded()
    with pytest.raises(TimeBudgetSpentError):
        rig.run()
    assert rig.progress.blocks == len(rig.media.asked) == 2


def test_a_blob_that_is_not_made_of_what_was_sent_is_told() -> None:
    def lying(name: str, call: Callable[[], Any], arguments: tuple[Any, ...]) -> Any:
        return call()[:-1] if name == "committed" else call()

    rig = Rig(mp3(2_500))
    with pytest.raises(e.StorageCorrupted):
        rig.run(target=watched(rig.target, lying))
