"""The timer trigger: six-field NCRONTAB (seconds first), in UTC.

Only the first worker runs timers (the real host elects one instance). Runs never overlap. The last run is not kept
across restarts, so a run that was missed while the host was down is not made up for.
"""

from __future__ import annotations

import asyncio
import contextlib
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from croniter import CroniterBadCronError, croniter

from local.host.convert import timer_value

if TYPE_CHECKING:
    from local.host.invoke import Invoker
    from local.host.model import Function

# A run later than this after its time is past due (the laptop slept, or the run before took too long).
_LATE = timedelta(seconds=5)
_FIELDS = 6


class Schedule:
    """When a timer fires. ValueError for an expression that is not six-field NCRONTAB."""

    def __init__(self, expression: str) -> None:
        self._cron = expression.strip()
        if len(self._cron.split()) != _FIELDS:
            raise ValueError(f"{expression!r} is not a schedule of six fields, seconds first")
        try:
            self.after(datetime.now(UTC))
        except (CroniterBadCronError, ValueError) as error:
            raise ValueError(f"{expression!r} is not a schedule: {error}") from error

    def after(self, moment: datetime) -> datetime:
        """The first time to fire later than `moment` (aware, UTC)."""
        epoch = croniter(self._cron, moment, second_at_beginning=True).get_next(float)
        return datetime.fromtimestamp(epoch, UTC)


class TimerListener:
    """Fires one timer function. ValueError for a trigger that this host does not support."""

    def __init__(self, function: Function, *, invoker: Invoker) -> None:
        if function.trigger.get("runOnStartup"):
            raise ValueError("this host does not support run_on_startup")
        self._function = function
        self._invoker = invoker
        self._schedule = Schedule(str(function.trigger["schedule"]))
        self._last: datetime | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Starts to wait for the first run, on the running loop."""
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Fires no more; a run in progress goes on in the invoker."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _run(self) -> None:
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
        value = timer_value(info)
        await asyncio.shield(self._invoker.invoke(self._function, value, reason=f"Timer fired at {now.isoformat()}"))
