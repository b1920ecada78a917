"""One timer for any number of sleepers."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from local.acs.timer import Timer
from local.clock import Clock

SECOND = timedelta(seconds=1)


def test_sleepers_wake_in_the_order_of_their_moments() -> None:
    async def run() -> list[int]:
        clock, woken = Clock(stepped=True), list[int]()
        timer = Timer(clock)

        async def sleep(seconds: int) -> None:
            await timer.sleep(seconds * SECOND)
            woken.append(seconds)

        sleepers = [asyncio.create_task(sleep(seconds)) for seconds in (30, 10, 20, 5, 40)]
        await asyncio.sleep(0)
        for _ in range(4):
            clock.advance(10 * SECOND)
            await asyncio.sleep(0.05)
        await asyncio.gather(*sleepers)
        await timer.close()
        return woken

    assert asyncio.run(asyncio.wait_for(run(), 10)) == [5, 10, 20, 30, 40]


def test_ten_thousand_sleepers_all_wake_by_one_timer() -> None:
    async def run() -> int:
        clock = Clock(stepped=True)
        timer = Timer(clock)
        sleepers = [asyncio.create_task(timer.sleep(number * SECOND)) for number in range(10_000, 0, -1)]
        await asyncio.sleep(0.1)
        others = len(asyncio.all_tasks()) - len(sleepers)
        clock.advance(10_000 * SECOND)
        await asyncio.gather(*sleepers)
        await timer.close()
        return others

    # wait_for has a task of its own in 3.11.
    assert asyncio.run(asyncio.wait_for(run(), 20)) <= 3, "this test and the timer"


def test_a_cancelled_sleeper_does_not_hold_up_the_others() -> None:
    async def run() -> None:
        clock = Clock(scale=1000)
        timer = Timer(clock)
        first = asyncio.create_task(timer.sleep(SECOND))
        second = asyncio.create_task(timer.sleep(2 * SECOND))
        await asyncio.sleep(0)
        first.cancel()
        await second
        await timer.close()

    asyncio.run(asyncio.wait_for(run(), 10))
