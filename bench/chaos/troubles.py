"""What goes wrong with processes, storage and services while the recordings are on their way."""

from __future__ import annotations

import os
import random
import signal
import threading
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from local.acs import Fault

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.chaos.cutter import CuttableAzurite
    from bench.chaos.scenario import Options
    from local.stack import Stack

# One answer of Azurite in so many is lost on its way.
_LOSS = 1 / 150
# Longer than the time that the app's clients wait for the ledger and the queue.
_LONG_FREEZE = 12.0
# Shorter runs have no deployment and no long freeze: recovering from them takes longer than such a run.
_LONG_RUN = 48.0


class Troubles:
    """Runs until `stop`; `counted` says how often what was done. `seed` draws kinds and pauses."""

    def __init__(self, stack: Stack, azurite: CuttableAzurite, options: Options) -> None:
        self.counted: Counter[str] = Counter()
        self._stack = stack
        self._azurite = azurite
        self._options = options
        self._stop = threading.Event()
        self._killed: set[int] = set()
        works = (self._kill, self._freeze, self._cut, self._outages, self._deploy)
        self._threads = [
            threading.Thread(target=work, args=(random.Random(options.seed * 31 + number),), name=work.__name__)
            for number, work in enumerate(works)
        ]

    def start(self) -> None:
        """Begins."""
        self._azurite.cutter.loss = _LOSS
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Ends all troubles; storage answers again when this returns."""
        self._stop.set()
        for thread in self._threads:
            thread.join()
        cutter = self._azurite.cutter
        cutter.loss = 0.0
        self._stack.acs.end_outages()
        self.counted["storage connections cut"] = cutter.cut_connections
        self.counted["storage answers lost"] = cutter.lost_answers

    def _every(self, low: float, high: float, rng: random.Random, act: Callable[[], None]) -> None:
        while not self._stop.wait(rng.uniform(low, high)):
            act()

    def _kill(self, rng: random.Random) -> None:
        def one() -> None:
            alive = [pid for pid in self._stack.host.worker_pids().values() if pid not in self._killed]
            pid = rng.choice(sorted(alive)) if alive else None
            if pid is None or not _is_worker(pid):
                return
            self._killed.add(pid)
            os.kill(pid, signal.SIGKILL)
            self.counted["workers killed"] += 1

        self._every(3, 7, rng, one)

    def _freeze(self, rng: random.Random) -> None:
        until_long = self._options.trouble / 2

        def one() -> None:
            nonlocal until_long
            is_long = 0 < until_long <= 10 and self._options.trouble > _LONG_RUN
            until_long -= 10
            self._azurite.pause()
            self._stop.wait(_LONG_FREEZE if is_long else rng.uniform(0.3, 3))
            self._azurite.resume()
            self.counted["storage frozen"] += 1

        self._every(6, 12, rng, one)

    def _cut(self, rng: random.Random) -> None:
        self._every(0.5, 2, rng, lambda: self._azurite.cutter.cut(rng.randint(1, 3)))

    def _deploy(self, rng: random.Random) -> None:
        """A deployment: once, half-way, the host ends gracefully and starts again; meanwhile nobody answers."""
        if self._options.trouble < _LONG_RUN or self._stop.wait(self._options.trouble * rng.uniform(0.4, 0.6)):
            return
        self._stack.restart_host()
        self.counted["host restarted"] += 1

    def _outages(self, rng: random.Random) -> None:
        """In turn: the media host answers 503, then not at all, then allows few requests; exports fail meanwhile."""
        acs = self._stack.acs
        turn = 0

        def one() -> None:
            nonlocal turn
            seconds = timedelta(seconds=rng.uniform(2, 5))
            if turn % 3 == 0:
                acs.add_outage("media", duration=seconds, mode="503", retry_after="2")
            elif turn % 3 == 1:
                acs.add_outage("media", duration=seconds, mode="drop")
                acs.add_outage("export", duration=seconds)
            else:
                end = acs.clock.now() + seconds
                acs.add_fault(Fault("throttle", operation="media", rate=10, retry_after="1", end=end))
            self.counted[("media down (503)", "media and exports down", "media throttled")[turn % 3]] += 1
            turn += 1

        self._every(6, 10, rng, one)


def _is_worker(pid: int) -> bool:
    """Whether the process of that id still is a worker of ours, and not another that got its number."""
    try:
        return b"local.host" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
