"""Process-wide request limits for ACS's media hosts, host by host: all transfers slow down together after a 429."""

from __future__ import annotations

import threading
from collections import OrderedDict
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from shared.domain.errors import MediaThrottled

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shared.ports import Clock


class Throttle:
    """How fast this process may ask the media hosts: all its rescues slow down together, host by host."""

    # Real ones are a handful; events can name more (any below the allow-list), and those must not fill the memory.
    _MOST_HOSTS = 64

    def __init__(self, *, clock: Clock, most: int) -> None:
        self._clock = clock
        self._most = most
        self._lock = threading.Lock()
        self._hosts: OrderedDict[str, HostThrottle] = OrderedDict()

    def at(self, location: str) -> HostThrottle:
        """The pace of the host that `location` names; of those asked least lately nothing is remembered."""
        host = location.partition("://")[2].partition("/")[0].lower()
        with self._lock:
            if host not in self._hosts:
                self._hosts[host] = HostThrottle(clock=self._clock, most=self._most)
            found = self._hosts[host]
            self._hosts.move_to_end(host)
            while len(self._hosts) > self._MOST_HOSTS:
                self._hosts.popitem(last=False)
        return found


class HostThrottle:
    """How fast this process may ask one media host (what that host redirects to counts as the host).

    After a 429 there is no request before its Retry-After is over, and the number of requests at once is halved; each
    request that succeeds lets it grow again, by one for as many as are allowed.

    The hold is for all requests, so it is short, whatever one answer says: that chunk's own next try waits as long as
    the answer says (`backoff.py`), and the others go on when the hold is over. No request is held beyond the deadline
    of its recording.
    """

    # A hold this short is waited for within the try; for a longer one the try ends and keeps its progress.
    PATIENCE = timedelta(seconds=5)
    DEFAULT_HOLD = timedelta(seconds=2)
    LONGEST_HOLD = timedelta(minutes=2)

    def __init__(self, *, clock: Clock, most: int) -> None:
        self._clock = clock
        self._most = float(most)
        self._limit = float(most)
        self._in_use = 0
        self._hold_until: datetime | None = None
        self._free = threading.Condition()

    @property
    def limit(self) -> int:
        """How many requests may be under way at once now."""
        return max(1, int(self._limit))

    def hold(self) -> timedelta:
        """How long no request may be made; zero when there is no hold."""
        until = self._hold_until
        return max(timedelta(0), until - self._clock.now()) if until else timedelta(0)

    @contextmanager
    def slot(self, *, deadline: datetime | None = None) -> Iterator[None]:
        """Room for one request. MediaThrottled (with what is left of it) when the hold is long.

        `deadline`: a request that could not be made before it, or is past it, is made in spite of the hold.
        """
        while (hold := self.hold()) > timedelta(0):
            if deadline is not None and self._clock.now() + hold >= deadline:
                break
            if hold > self.PATIENCE:
                raise MediaThrottled("this process holds back after a 429", retry_after=hold)
            self._clock.pause(hold.total_seconds())
        with self._free:
            while self._in_use >= self.limit:
                self._free.wait()
            self._in_use += 1
        try:
            yield
        except MediaThrottled as error:
            self._slow_down(min(error.retry_after or self.DEFAULT_HOLD, self.LONGEST_HOLD))
            raise
        else:
            self._limit = min(self._most, self._limit + 1 / self._limit)
        finally:
            with self._free:
                self._in_use -= 1
                self._free.notify_all()

    def _slow_down(self, hold: timedelta) -> None:
        until = self._clock.now() + hold
        with self._free:
            if self._hold_until is None or until > self._hold_until:
                # One burst of answers to one burst of requests is one sign, not many.
                if self._hold_until is None or self._clock.now() > self._hold_until:
                    self._limit = max(1.0, self._limit / 2)
                self._hold_until = until
