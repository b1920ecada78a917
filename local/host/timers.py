"""The timer trigger: six-field NCRONTAB (seconds first), five fields, or a time span between runs; always in UTC.

Only the first worker runs timers (the real host elects one instance by a blob lease). Runs never overlap. What func
keeps in a blob across restarts (the last run, so that a missed one is made up for) is not kept.
"""

from __future__ import annotations

import asyncio
import contextlib
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from croniter import CroniterBadCronError, croniter

from local.host.config import parse_timespan
from local.host.convert import timer_value

if TYPE_CHECKING:
    from local.host.invoke import Invoker
    from local.host.model import Function

# Later than this after its moment, a run is past due (the laptop slept, or the run before took too long).
_LATE = timedelta(seconds=5)
_WITH_SECONDS = 6


class Schedule:
    """When a timer fires; ValueError for an expression that is no schedule."""

    def __init__(self, expression: str) -> None:
        self._every: timedelta | None = None
        self._cron = expression.strip()
        if ":" in self._cron:
            self._every = parse_timespan(self._cron)
            return
        try:
            self.after(datetime.now(UTC))
        except (CroniterBadCronError, ValueError) as error:
            raise ValueError(f"{expression!r} is not a schedule: {error}") from error

    def after(self, moment: datetime) -> datetime:
        """The first time to fire later than `moment` (aware, UTC)."""
        if self._every is not None:
            return moment + self._every
        seconds_first = len(self._cron.split()) == _WITH_SECONDS
        epoch = croniter(self._cron, moment, second_at_beginning=seconds_first).get_next(float)
        return datetime.fromtimestamp(epoch, UTC)


class TimerListener:
    """Fires one timer function."""

    def __init__(self, function: Function, *, invoker: Invoker) -> None:
        self._function = function
        self._invoker = invoker
        self._schedule = Schedule(str(function.trigger["schedule"]))
        self._last: datetime | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begins to wait, on the running loop; fires at once if the binding says `run_on_startup`."""
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Fires no more; a run under way goes on in the invoker."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _run(self) -> None:
        if self._function.trigger.get("runOnStartup"):
            await self._fire(due=datetime.now(UTC))
        while True:
            due = self._schedule.after(datetime.now(UTC))
            await asyncio.sleep(max((due - datetime.now(UTC)).total_seconds(), 0))
            await self._fire(due=due)

    async def _fire(self, *, due: datetime) -> None:
        now = datetime.now(UTC)
        status = {
            "Last": (self._last or datetime.min.replace(tzinfo=UTC)).isoformat(),
            "Next": self._schedule.after(now).isoformat(),
            "LastUpdated": (self._last or now).isoformat(),
        }
        info = {"IsPastDue": now - due > _LATE, "ScheduleStatus": status, "Schedule": {"AdjustForDST": False}}
        self._last = now
        value = timer_value(self._function, info)
        await asyncio.shield(self._invoker.invoke(self._function, value, reason=f"Timer fired at {now.isoformat()}"))
