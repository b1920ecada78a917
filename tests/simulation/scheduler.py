"""Virtual time and cooperative tasks: at every sleep whichever task is due first goes on.

A task is a greenlet. It runs until it sleeps (each call of a port is a sleep of a drawn length) or ends; so any two
functions interleave at any two calls, and a seed replays to the letter. What is due at one moment runs in the order
in which it was asked for.
"""

from __future__ import annotations

import heapq
import itertools
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING

from greenlet import getcurrent, greenlet

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

_MOST_WAKES = 400_000


class Crash(BaseException):
    """The process is gone. Not an Exception: nothing in the app may catch it."""


class ViolationError(BaseException):
    """An invariant does not hold. Not an Exception: nothing in the app may catch it."""


class Task(greenlet):
    """One function that runs in a process. `begun`: when; `owner`: the process, which may die."""

    owner: Owner
    begun: datetime


class Owner:
    """What tasks belong to: `is_dead` ends them at their next turn."""

    is_dead = False


class Scheduler:
    """The hub: a heap of moments. `now` is the true time; no process sees it (`ProcessClock`)."""

    def __init__(self, begin: datetime) -> None:
        self.now = begin
        self.wakes = 0
        self._heap: list[tuple[datetime, int, Callable[[], object]]] = []
        self._order = itertools.count()
        self._hub = getcurrent()

    def at(self, moment: datetime, action: Callable[[], object]) -> None:
        """`action` at that moment, or now if that is over."""
        heapq.heappush(self._heap, (max(moment, self.now), next(self._order), action))

    def spawn(self, owner: Owner, action: Callable[[], object]) -> Task:
        """A task that begins now; what it raises beside Crash ends the run."""

        def run() -> None:
            with suppress(Crash):
                if not owner.is_dead:
                    action()

        task = Task(run, self._hub)
        task.owner, task.begun = owner, self.now
        self.at(self.now, lambda: self._wake(task))
        return task

    def sleep(self, length: timedelta) -> None:
        """The running task goes on after `length`; others go on meanwhile. Crash where its process died."""
        task = getcurrent()
        assert isinstance(task, Task), "only tasks sleep"
        heapq.heappush(self._heap, (self.now + length, next(self._order), lambda: self._wake(task)))
        self._hub.switch()
        if task.owner.is_dead:
            raise Crash

    def _wake(self, task: Task) -> None:
        if not task.dead:
            task.switch()

    def next_moment(self) -> datetime | None:
        """When something is due next."""
        return self._heap[0][0] if self._heap else None

    def run(self, until: datetime) -> None:
        """Everything that is due by then, in order; it is then afterwards."""
        while self._heap and self._heap[0][0] <= until:
            self.wakes += 1
            if self.wakes > _MOST_WAKES:
                raise AssertionError("an endless loop: too many turns")
            moment, _, action = heapq.heappop(self._heap)
            self.now = moment
            action()
        self.now = max(self.now, until)


class TrueClock:
    """Port `Clock` for the services: the true time."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler

    def now(self) -> datetime:
        """See the port."""
        return self._scheduler.now

    def pause(self, seconds: float) -> None:
        """See the port."""
        self._scheduler.sleep(timedelta(seconds=seconds))


class ProcessClock(TrueClock):
    """Port `Clock` of one process: `skew` ahead of the true time, or behind it."""

    def __init__(self, scheduler: Scheduler, skew: timedelta) -> None:
        super().__init__(scheduler)
        self.skew = skew

    def now(self) -> datetime:
        """See the port."""
        return self._scheduler.now + self.skew
