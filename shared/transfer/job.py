"""What a transfer is asked for, what it gives back, and what it counts on the way."""

from __future__ import annotations

import hashlib
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shared.domain.recording import Staged

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from shared.domain.media import Proof
    from shared.ports import Container
    from shared.transfer.budget import Budget


@dataclass(frozen=True)
class Job:
    """What to bring where.

    `name` gives the blob's name for the format that the bytes turn out to have (None: no known one), `hint` is the
    format an event named: unknown bytes are kept under it. `budget`: its hard end is that of a body that cannot be
    resumed, because the source gives no ranges.
    `before_commit` is called with the name; what it raises stops the commit and comes through. `deadline`: the end of
    the recording's window: no 429 of another recording keeps this job from asking until then.
    `takes_unproven`: a body that ends with its connection is stored, with proof `none`.
    """

    location: str
    target: Container
    name: Callable[[str | None], str]
    hint: str
    budget: Budget
    before_commit: Callable[[str], None] = lambda _: None
    deadline: datetime | None = None
    takes_unproven: bool = False


@dataclass(frozen=True)
class StoredBlob:
    """A committed blob. `sha256` in hex, None where blocks of an earlier attempt are in it; `etag`: the blob's own.

    `format`: what its bytes are, None for none that is known. `blocks` staged now, `reused` from earlier attempts.
    """

    name: str
    size: int
    sha256: str | None
    etag: str | None
    format: str | None
    proof: Proof
    blocks: int
    reused: int


class Progress:
    """How many blocks this try staged: a try that got on is not a failure like another. And how many bytes that is."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.blocks = 0
        self._bytes = 0
        self._total: int | None = None

    def begin(self, total: int | None, *, found: int = 0) -> None:
        """A source of `total` bytes, of which earlier attempts staged `found`."""
        with self._lock:
            self._bytes, self._total = found, total

    def add(self, size: int) -> None:
        """One more block is safe."""
        with self._lock:
            self.blocks += 1
            self._bytes += size

    @property
    def staged(self) -> Staged | None:
        """What is staged of the source that was asked last; None where none gave anything."""
        with self._lock:
            return Staged(self._bytes, self._total) if self._bytes else None


class InOrderHash:
    """SHA-256 over blocks that arrive in any order; each waits for those before it."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self._next = 0
        self._turn = threading.Condition()
        self._is_off = False

    def update(self, start: int, data: bytes) -> None:
        """The block at `start`: returns when it is hashed, after all before it, or when nothing is hashed any more."""
        with self._turn:
            while self._next != start and not self._is_off:
                self._turn.wait()
            if self._is_off:
                return
        self._hash.update(data)  # outside the lock: it is this block's turn, and no other's
        with self._turn:
            self._next = start + len(data)
            self._turn.notify_all()

    def switch_off(self) -> None:
        """The digest is not asked for; nothing waits for it any more."""
        with self._turn:
            self._is_off = True
            self._turn.notify_all()

    def hexdigest(self) -> str:
        """The digest of all blocks so far."""
        return self._hash.hexdigest()
