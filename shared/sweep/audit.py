"""`AUDIT_DAYS`: every file of what began within so many days is looked at again, once a day at most.

A pass goes through the index of finished recordings (`finished/`, newest first), one state after another. The timer
takes a slice a run: it lists from where the run before ended and sends a message for each recording; the looks are
the worker's, in the background. Where the pass is kept in a note of the ledger. What is finished after a pass came by
is younger, and is met by the next pass, a day after this one began. Where more recordings are within the days than
slices in a day hold, a pass takes longer, and each is looked at less often.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from shared import index
from shared.domain.codec import format_time, parse_time
from shared.domain.recording import RecordingState
from shared.logs import log
from shared.ports import AUDIT_PART, Lane, WorkItem

if TYPE_CHECKING:
    from shared.ports import Clock, Ledger, WorkQueue

POSITION = "audit/position.json"
# States with files that can be looked at. `safe`: a delivery was given up, the files are in the fallback.
STATES = tuple(
    state.value
    for state in (
        RecordingState.COMPLETE,
        RecordingState.DAMAGED,
        RecordingState.SAFE,
        RecordingState.LOST,
        RecordingState.UNCONFIRMED,
    )
)
# 288 runs a day: 57,600 recordings.
SLICE = 200
_PASS = timedelta(days=1)


@dataclass(frozen=True)
class Position:
    """Where the pass is: behind place `after` of the state of that number. `state` past the last one: it is over."""

    begun: datetime
    state: int = 0
    after: str = ""


class Audit:
    """Sends messages for the next slice. `days` None: off."""

    def __init__(
        self, *, ledger: Ledger, queue: WorkQueue, clock: Clock, days: timedelta | None, time_budget: timedelta
    ) -> None:
        self._ledger = ledger
        self._queue = queue
        self._clock = clock
        self._days = days
        self._time_budget = time_budget

    def run(self) -> None:
        """One slice. StorageError: what was sent is sent again by the next run, and the worker passes over it."""
        if self._days is None or self._queue.backlog(Lane.BACKGROUND).is_full:
            return
        now = self._clock.now()
        position = self._position()
        if position is None or (position.state >= len(STATES) and now - position.begun >= _PASS):
            position = Position(now)
        if position.state >= len(STATES):
            return
        end = index.place(now - self._days, "g")
        sent, until = 0, now + self._time_budget
        while sent < SLICE and position.state < len(STATES) and self._clock.now() < until:
            position, count = self._listed(position, end, SLICE - sent)
            sent += count
        self._ledger.put_note(POSITION, _encoded(position))
        log("audit.slice", sent=sent, begun=position.begun, is_over=position.state >= len(STATES))

    def _listed(self, position: Position, end: str, most: int) -> tuple[Position, int]:
        """Sends for at most one page of entries; the position after it."""
        state = STATES[position.state]
        for page in index.finished(self._ledger, state, after=position.after, page=most):
            for sent, (place, _entry) in enumerate(page[:most]):
                if place > end:
                    return replace(position, state=position.state + 1, after=""), sent
                self._queue.send(WorkItem(place[-32:], AUDIT_PART), delay=timedelta(0), lane=Lane.BACKGROUND)
            if page:
                taken = page[:most]
                return replace(position, after=taken[-1][0]), len(taken)
        return replace(position, state=position.state + 1, after=""), 0

    def _position(self) -> Position | None:
        data = self._ledger.get_note(POSITION)
        if data is None:
            return None
        try:
            plain: Any = json.loads(data)
            return Position(parse_time(plain["begun"]), int(plain["state"]), str(plain["after"]))
        except (ValueError, KeyError, TypeError, AttributeError):
            return None  # a pass begins anew


def _encoded(position: Position) -> bytes:
    plain = {"begun": format_time(position.begun), "state": position.state, "after": position.after}
    return json.dumps(plain).encode()
