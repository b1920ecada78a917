"""What a run is watched for while it goes on: the app's log, the memory and CPU time of the host's workers."""

from __future__ import annotations

import json
import os
import re
import threading
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.stack import Stack

MIB = 1024 * 1024
_LINE = re.compile(rb'^\[(\S+)\] .*?(\{"event":"([\w.]+)".*\})$')
_EVERY = 1.0
_TELL_EVERY = 15.0
_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


class AppLog:
    """The app's lines in the host's log, from where that ended when this was made.

    `recorded`, `closed`: recording → the moment (seconds) its event was written down, and it was done with.
    `resent`: messages of the sweep for what was overdue.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._at = path.stat().st_size
        self.counted: Counter[str] = Counter()
        self.resent = 0
        self.recorded: dict[str, float] = {}
        self.closed: dict[str, float] = {}

    def read(self) -> None:
        """Takes in what came since; half a line is left for the next time."""
        with self._path.open("rb") as log:
            log.seek(self._at)
            lines = log.read()
        lines = lines[: lines.rfind(b"\n") + 1]
        self._at += len(lines)
        for line in lines.splitlines():
            if match := _LINE.match(line):
                self._take(match[1].decode(), match[3].decode(), match[2])

    def _take(self, stamp: str, event: str, fields: bytes) -> None:
        self.counted[event] += 1
        if event == "sweep.done":
            self.resent += json.loads(fields)["sent"]
        kept = {"event.recorded": self.recorded, "recording.closed": self.closed}.get(event)
        if kept is not None:
            kept.setdefault(json.loads(fields)["recording"], datetime.fromisoformat(stamp).timestamp())


@dataclass(frozen=True)
class Sample:
    """One look: recordings rescued so far, resident bytes of each worker."""

    rescued: int
    resident: dict[int, int]


class Watcher:
    """Looks every second, in a thread, while the block lasts; calls `tell` every 15 s.

    `done` is set when `events` recordings are rescued and no event waits; `acknowledged_at`: when none waited any more.
    """

    def __init__(self, stack: Stack, *, events: int, tell: Callable[[Watcher], None]) -> None:
        self._stack = stack
        self._events = events
        self._tell = tell
        self._pids = stack.host.worker_pids()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watcher")
        self._cpu = 0.0
        self.log = AppLog(stack.host_log)
        self.began = 0.0
        self.samples: list[Sample] = []
        self.acknowledged_at: float | None = None
        self.done = threading.Event()

    def __enter__(self) -> Self:
        self.began, self._cpu = time.time(), self._cpu_seconds()
        self.look()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self.look()
        self._cpu = self._cpu_seconds() - self._cpu

    @property
    def seconds(self) -> float:
        """Since the beginning."""
        return time.time() - self.began

    @property
    def cpu(self) -> float:
        """Seconds of CPU of all workers, once the block has ended."""
        return self._cpu

    def look(self) -> None:
        """One look."""
        self.log.read()
        resident = {}
        for index, pid in self._pids.items():
            with suppress(OSError):  # a worker that died: the run's own faults tell what came of that
                resident[index] = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]) * _PAGE
        self.samples.append(Sample(len(self.log.closed), resident))
        if len(self.log.recorded) == self._events and self._stack.eventgrid.pending == 0:
            self.acknowledged_at = self.acknowledged_at or time.time()
            if len(self.log.closed) == self._events:
                self.done.set()

    def _run(self) -> None:
        printed = time.monotonic()
        while not self._stop.wait(_EVERY):
            self.look()
            if time.monotonic() - printed >= _TELL_EVERY:
                printed = time.monotonic()
                self._tell(self)

    def _cpu_seconds(self) -> float:
        total = 0
        for pid in self._pids.values():
            with suppress(OSError):
                # After the name, which may hold anything: user and system time are the 12th and 13th field.
                fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
                total += int(fields[11]) + int(fields[12])
        return total / _TICKS
