"""The lease of one step: taken before its first byte, renewed while its bytes move.

A renewal is a commit, so it is made only when the lease is nearly over: a step that ends within its budget makes none.
A worker whose lease another one has by now is not stopped: what it stores counts all the same.
"""

from __future__ import annotations

import logging
import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from shared.domain import facts as f
from shared.domain.errors import StorageError
from shared.logs import log

if TYPE_CHECKING:
    from shared.domain.recording import Chunk, Step
    from shared.ports import Clock, Version
    from shared.store import RecordingStore

# A block that was begun in time, and the commit after it, may take so much longer than the budget.
_GRACE = timedelta(minutes=4)
# What a lease has left when it is renewed: more than any silence between two calls of `keep` (no block may be on its
# way for longer, `adapters/connections.py`), and so little that a step within its budget never renews one.
_MARGIN = timedelta(minutes=3)
# After a renewal that the ledger did not take.
_AGAIN = timedelta(seconds=10)
_NEVER = datetime.max.replace(tzinfo=UTC)


class HeldLease:
    """The lease of a step on a chunk, for the queue message `holder`. `version`: the recording as last written.

    `time_budget`: of the step; the lease is a little longer, from its beginning and from each renewal.
    """

    def __init__(
        self,
        version: Version,
        chunk: Chunk,
        step: Step,
        *,
        store: RecordingStore,
        clock: Clock,
        holder: str,
        time_budget: timedelta,
    ) -> None:
        self.version = version
        self._chunk = chunk
        self._step = step
        self._store = store
        self._clock = clock
        self._holder = holder
        self._lasts = time_budget + _GRACE
        self._lock = threading.Lock()
        self._renew_at = _NEVER

    def take(self) -> bool:
        """Whether the lease is ours: not where the plan is void by now, or another worker holds it. StorageError."""
        return self._holds(f.StepStarted)

    def keep(self) -> None:
        """Renews the lease where it is nearly over. A ledger that fails is asked again soon, and stops nothing."""
        if self._clock.now() < self._renew_at or not self._lock.acquire(blocking=False):
            return
        try:
            self._renew()
        finally:
            self._lock.release()

    def _renew(self) -> None:
        try:
            self._holds(f.LeaseKept)
        except StorageError as error:
            log("lease.not_kept", level=logging.WARNING, chunk=self._chunk.index, code=error.code)
            self._renew_at = self._clock.now() + _AGAIN

    def _holds(self, fact: type[f.StepStarted | f.LeaseKept]) -> bool:
        """Commits `fact` for a lease from now on; whether the recording has that lease then."""
        chunk, until = self._chunk, self._clock.now() + self._lasts
        self.version = self._store.record(
            self.version, fact(chunk.key, chunk.generation, self._step, self._holder, until)
        )
        held = self.version.recording.chunk(chunk.key)
        lease = held.lease if held else None
        is_ours = lease is not None and (lease.step, lease.holder, lease.until) == (self._step, self._holder, until)
        self._renew_at = until - _MARGIN if is_ours else _NEVER
        return is_ours
