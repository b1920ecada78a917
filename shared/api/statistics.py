"""`GET /statistics`: what became of the recordings that began in the last days, by hour or day.

From metadata only: the entries under `finished/` of the period, newest first, and the open documents. A request gives
5,000 of them, so a month of 100,000 recordings takes about 25. At most half a million entries are read; what began
earlier than those is left out, and `from` says where the answer begins.
"""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from shared import index
from shared.api.query import FINISHED_NAMES, Reader
from shared.domain.codec import to_plain
from shared.domain.facets import from_metadata

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shared.domain.facets import Facets
    from shared.ports import Clock
    from shared.store import RecordingStore

MOST_DAYS = 31
_MOST_PAGES = 100
_DAY, _HOUR = timedelta(days=1), timedelta(hours=1)
# The words of the answer for what became of a recording (`Facets.outcome`).
OUTCOMES = ("exported", "rescued", "delivered", "inFallback", "lost", "unconfirmed", "damaged")


def parse_days(parameters: Sequence[tuple[str, str]]) -> int:
    """The number of days that is asked for, 1 without. InvalidRequest."""
    read = Reader(parameters, ("days",))
    days = read.count("days", MOST_DAYS) or 1
    read.check()
    return days


class Statistics:
    """Counts recordings. One for the process; safe for many threads.

    Entries are not compared with their documents, but one of a recording that is under way again is not counted twice.
    """

    def __init__(self, *, store: RecordingStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def over(self, days: int) -> dict[str, Any]:
        """The last `days`, by hours (one day) or days, in UTC, the present one among them. StorageError."""
        tally = _Tally(self._clock.now().astimezone(UTC), days)
        unfinished = set()
        for entry in index.open_entries(self._store.ledger):
            if entry.facets is not None and not entry.facets.is_finished:
                unfinished.add(entry.key)
                tally.add(entry.facets)
        left = _MOST_PAGES
        for state in FINISHED_NAMES:
            left -= self._finished(state, tally, unfinished, max(left, 1))
        return tally.answer()

    def _finished(self, state: str, tally: _Tally, unfinished: set[str], most: int) -> int:
        """Adds those of a state, newest first; the pages that it took."""
        pages = 0
        for page in index.finished(self._store.ledger, state):
            last = None
            for place, entry in page:
                known = from_metadata(entry.metadata)
                if known is not None:
                    last = known.began
                    if place[-32:] not in unfinished:
                        tally.add(known)
            pages += 1 if page else 0
            if last is not None and last < tally.begin:
                break
            if last is not None and pages >= most:
                tally.leave_out(last)
                break
        return pages


class _Tally:
    """Counts by buckets, and the times from event to safe."""

    def __init__(self, now: datetime, days: int) -> None:
        self._width = _HOUR if days == 1 else _DAY
        floor = now.replace(minute=0, second=0, microsecond=0)
        end = (floor if self._width == _HOUR else floor.replace(hour=0)) + self._width
        self.begin = self._covered = end - days * _DAY
        self._buckets: list[Counter[str]] = [Counter() for _ in range((end - self.begin) // self._width)]
        self._seconds: list[int] = []

    def add(self, one: Facets) -> None:
        """One recording, if it began in the period."""
        number = (one.began - self.begin) // self._width
        if 0 <= number < len(self._buckets):
            self._buckets[number].update(("started", one.outcome) if one.outcome else ("started",))
            if one.seconds is not None:
                self._seconds.append(one.seconds)

    def leave_out(self, last: datetime) -> None:
        """What began up to `last` is not counted in full."""
        self._covered = max(self._covered, last + timedelta(milliseconds=1))

    def answer(self) -> dict[str, Any]:
        """The body of the answer."""
        moments = [self.begin + number * self._width for number in range(len(self._buckets) + 1)]
        shown = [
            {"from": to_plain(begin), "to": to_plain(begin + self._width), "started": bucket["started"]}
            | {name: bucket[name] for name in OUTCOMES}
            for begin, bucket in zip(moments, self._buckets, strict=False)
            if begin >= self._covered
        ]
        end = to_plain(moments[-1])
        return {
            "from": shown[0]["from"] if shown else end,
            "to": end,
            "buckets": shown,
            "eventToSafe": _percentiles(self._seconds),
        }


def _percentiles(seconds: list[int]) -> dict[str, int]:
    ordered = sorted(seconds)
    if not ordered:
        return {"count": 0}
    return {
        "count": len(ordered),
        "p50Seconds": ordered[(len(ordered) - 1) * 50 // 100],
        "p95Seconds": ordered[(len(ordered) - 1) * 95 // 100],
    }
