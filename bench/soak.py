"""Rescues without end, a part of them refused by their source: memory, descriptors and threads stay flat.
`.venv/bin/python -m bench.soak --minutes 30`. The app in this process, over the bench's source and sink.
`--requests 100000` in place of it: so many small requests over the transport, by TLS.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import statistics
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from bench.clients import MIB, Task, Whole
from bench.measure import machine
from bench.procfs import cpu_seconds, rss
from bench.report import Goal, write
from bench.servers import Servers

_SIZES = (300_000, 3 * MIB, 20 * MIB)
_AT_ONCE = 4
# The source answers 429 to more requests at once than this.
_BUSY = 3
# What was measured in the first part of a run is warming up.
_WARM = 0.2


class Queue:
    """Messages that wait for their moment."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: list[tuple[float, Any]] = []

    def send(self, message: Any, *, delay: timedelta, **_: Any) -> None:
        """See the port."""
        with self._lock:
            self._held.append((time.monotonic() + delay.total_seconds(), message))

    def drain_poison(self, *, limit: int) -> list[Any]:  # noqa: ARG002 - the port's
        """See the port."""
        return []

    def due(self) -> list[Any]:
        """Takes the messages whose moment has come."""
        now = time.monotonic()
        with self._lock:
            found = [message for at, message in self._held if at <= now]
            self._held = [held for held in self._held if held[0] > now]
        return found

    def __len__(self) -> int:
        return len(self._held)


class _Attempts(logging.Handler):
    """Counts the app's lines that tell of a failed attempt and of a closed recording."""

    def __init__(self) -> None:
        super().__init__()
        self.failed = self.closed = 0

    def emit(self, record: logging.LogRecord) -> None:
        """See `logging`."""
        line = record.getMessage()
        self.failed += '"fetch.failed"' in line
        self.closed += '"recording.closed"' in line


class Soak(Whole):
    """The whole app, with a queue that keeps its delays."""

    def __init__(self, config: dict[str, Any]) -> None:
        super().__init__(config)
        self.waiting = Queue()
        queue: Any = self.waiting
        self._compose(queue)

    def round(self, number: int) -> int:
        """Brings a few recordings of every size to their end; how many."""
        for size in _SIZES:
            self.prepare(Task(size, _AT_ONCE, f"r{number}-{size}"))
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            while len(self.waiting):
                list(pool.map(lambda one: self._app.worker.handle(one, message_id="soak"), self.waiting.due()))
                time.sleep(0.05)
        return _AT_ONCE * len(_SIZES)


def sample() -> dict[str, int]:
    """This process, now."""
    return {
        "rss": rss(),
        "descriptors": sum(1 for _ in Path("/proc/self/fd").iterdir()),
        "threads": threading.active_count(),
    }


def soak(*, seconds: float) -> dict[str, Any]:
    """What the process held from round to round, and what it did."""
    counted = _Attempts()
    logging.getLogger().addHandler(counted)
    logging.getLogger().setLevel(logging.INFO)
    with Servers(busy=_BUSY, latency=0.005) as servers:
        app = Soak({"storage": servers.storage, "source": servers.source})
        began, number, brought, samples = time.monotonic(), 0, 0, [sample()]
        used = cpu_seconds()
        while time.monotonic() - began < seconds:
            brought += app.round(number)
            number += 1
            servers.empty()
            samples.append(sample() | {"at": round(time.monotonic() - began)})
            if number % 20 == 0:
                print(f"    {samples[-1]}, {brought} recordings", flush=True)
    return {
        "seconds": round(time.monotonic() - began),
        "recordings": brought,
        "closed": counted.closed,
        "failed_attempts": counted.failed,
        "gigabytes": round(brought / len(_SIZES) * sum(_SIZES) / 1e9, 1),
        "cpu_seconds": round(cpu_seconds() - used, 1),
        "samples": samples[:: max(1, len(samples) // 200)],
        **_flatness(samples),
    }


def requests(*, count: int) -> dict[str, Any]:
    """What the process held while both SDKs made `count` requests over TLS, half of them GETs, half Put Blocks.

    Of every tenth GET the answer is left unread, which costs its connection.
    """
    with Servers(tls=True) as servers, ThreadPoolExecutor(8) as pool:
        os.environ["REQUESTS_CA_BUNDLE"] = str(servers.certificate)
        app = Whole({"storage": servers.storage, "source": servers.source})
        target = app.ports.containers.destination(app.settings.default_container)
        location, block = app.location(f"/v1/objects/many/{MIB}/content/video"), bytes(16_384)

        def both(number: int) -> None:
            with app.ports.media.open(location, start=0, length=len(block)) as answer:
                if number % 10 and sum(map(len, answer.pieces)) != len(block):
                    raise RuntimeError("another length")
            target.stage("many", "0" * 41, block)

        began, used, samples = time.monotonic(), cpu_seconds(), []
        for batch in range(50):
            list(pool.map(both, range(count // 100)))
            servers.empty()
            samples.append(sample() | {"at": round(time.monotonic() - began)})
            if batch % 10 == 9:
                print(f"    {samples[-1]}, {(batch + 1) * count // 50} requests", flush=True)
    cost = {"seconds": round(time.monotonic() - began), "cpu_seconds": round(cpu_seconds() - used, 1)}
    return {"requests": count, **cost, "samples": samples, **_flatness(samples)}


def _flatness(samples: list[dict[str, int]]) -> dict[str, Any]:
    """Medians of the second and of the last fifth."""
    fifth = max(1, int(len(samples) * _WARM))
    early, late = samples[fifth : 2 * fifth] or samples, samples[-fifth:]
    return {
        f"{when}_{what}": round(statistics.median(one[what] for one in part))
        for what in ("rss", "descriptors", "threads")
        for when, part in (("early", early), ("late", late))
    }


def _goals(found: dict[str, Any]) -> list[Goal]:
    return [
        Goal("memory, last fifth of the run to the second", found["late_rss"] / found["early_rss"], 1.15, is_most=True),
        Goal("descriptors more at the end", found["late_descriptors"] - found["early_descriptors"], 2, is_most=True),
        Goal("threads more at the end", found["late_threads"] - found["early_threads"], 2, is_most=True),
    ]


def _transport(about: dict[str, Any], found: dict[str, Any]) -> None:
    text = (
        f"{found['requests']} requests over TLS in {found['seconds']} s, {found['cpu_seconds']} s of CPU: resident "
        f"{found['early_rss'] / 1e6:.1f} MB in the second fifth and {found['late_rss'] / 1e6:.1f} MB in the last, "
        f"descriptors {found['early_descriptors']} and {found['late_descriptors']}, "
        f"threads {found['early_threads']} and {found['late_threads']}."
    )
    write("transport", about=about, results=found, text=text, goals=_goals(found))


def main() -> None:
    """The program."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--quick", action="store_true", help="a few seconds, nothing published")
    parser.add_argument("--requests", type=int, help="so many requests over the transport, and no rescues")
    chosen = parser.parse_args()
    about, at = machine(), datetime.now(UTC).strftime("%H:%M UTC")
    if chosen.requests:
        _transport(about, requests(count=chosen.requests))
        return
    found = soak(seconds=3 if chosen.quick else chosen.minutes * 60)
    print(json.dumps({name: value for name, value in found.items() if name != "samples"}))
    if found["closed"] < found["recordings"]:
        raise SystemExit(f"{found['recordings']} recordings, and {found['closed']} closed")
    if chosen.quick:
        return
    text = (
        f"From {at}, {found['seconds'] / 60:.1f} minutes: {found['recordings']} recordings, {found['gigabytes']} GB, "
        f"{found['failed_attempts']} attempts refused by the source and made again; all closed. Resident memory "
        f"{found['early_rss'] / 1e6:.0f} MB in the second fifth of the run and {found['late_rss'] / 1e6:.0f} MB in the "
        f"last; descriptors {found['early_descriptors']} and {found['late_descriptors']}, threads "
        f"{found['early_threads']} and {found['late_threads']}."
    )
    write("soak", about=about, results=found, text=text, goals=_goals(found))


if __name__ == "__main__":
    main()
