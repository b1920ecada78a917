"""Waiting on the clock for many at once."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from local.acs.alarm import Alarm
from local.clock import Clock

SECOND = timedelta(seconds=1)


def test_sleepers_wake_in_the_order_of_their_moments_not_of_their_coming() -> None:
    async def run() -> list[int]:
        clock, woken = Clock(stepped=True), list[int]()
        alarm = Alarm(clock)

        async def sleep(seconds: int) -> None:
            await alarm.sleep(seconds * SECOND)
            woken.append(seconds)

        sleepers = [asyncio.create_task(sleep(seconds)) for seconds in (30, 10, 20, 5, 40)]
        await asyncio.sleep(0)
        for _ in range(4):
            clock.advance(10 * SECOND)
            await asyncio.sleep(0.05)
        await asyncio.gather(*sleepers)
        await alarm.close()
        return woken

    assert asyncio.run(asyncio.wait_for(run(), 10)) == [5, 10, 20, 30, 40]


def test_ten_thousand_sleepers_all_wake_by_one_timer() -> None:
    async def run() -> int:
        clock = Clock(stepped=True)
        alarm = Alarm(clock)
        sleepers = [asyncio.create_task(alarm.sleep(number * SECOND)) for number in range(10_000, 0, -1)]
        await asyncio.sleep(0.1)
        others = len(asyncio.all_tasks()) - len(sleepers)
        clock.advance(10_000 * SECOND)
        await asyncio.gather(*sleepers)
        await alarm.close()
        return others

    # wait_for has a task of its own in 3.11.
    assert asyncio.run(asyncio.wait_for(run(), 20)) <= 3, "this test and the timer"


def test_a_sleeper_that_gives_up_does_not_keep_the_others() -> None:
    async def run() -> None:
        clock = Clock(scale=1000)
        alarm = Alarm(clock)
        first = asyncio.create_task(alarm.sleep(SECOND))
        second = asyncio.create_task(alarm.sleep(2 * SECOND))
        await asyncio.sleep(0)
        first.cancel()
        await second
        await alarm.close()

    asyncio.run(asyncio.wait_for(run(), 10))
