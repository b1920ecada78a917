"""Many exports that fail at once, rescued by 1, 2 and 4 host processes; and what a sweep costs beside many finished
recordings. `make bench-storm`. The storm itself is that of `bench.load`, in other sizes.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from bench.clients import settings_of
from bench.load.run import Load, Options
from bench.measure import machine
from bench.report import Goal, write
from bench.servers import Servers
from shared.app import azure_ports, compose
from shared.recording import Chunk, ChunkState, Recording

_SIZES = ((400, 1), (200, 2), (400, 2), (800, 2), (400, 4))


def storm(*, events: int, workers: int) -> dict[str, Any]:
    """One storm: recordings rescued a second, transactions each, memory of the largest process."""
    numbers, faults = Load(Options(events=events, workers=workers, seconds=900), say=lambda _: None).run()
    memory = [value["most"] for name, value in numbers.items() if name.startswith("worker")]
    found = {
        "events": events,
        "workers": workers,
        "seconds": numbers["all rescued after, s"],
        "per_s": numbers["rescued a second"],
        "transactions": numbers["storage transactions a recording"],
        "memory_mib": max(memory, default=0),
        "p99_ms": numbers["POST to answer, ms"]["p99"],
        # A storm this short says nothing of growth: that is what `make load` is for.
        "faults": [fault for fault in faults if "grows" not in fault],
    }
    print(f"    {workers} workers, {events} events: {found['per_s']} a second", flush=True)
    return found


class _Counting:
    """A ledger, and how often it was asked."""

    def __init__(self, ledger: Any) -> None:
        self._ledger = ledger
        self.asked = 0

    def __getattr__(self, name: str) -> Any:
        self.asked += 1
        return getattr(self._ledger, name)


def sweeps(*, finished: tuple[int, ...], unfinished: int) -> list[dict[str, int]]:
    """Ledger requests of one sweep and one listing, beside so many finished recordings."""
    found = []
    for count in finished:
        with Servers(processes=1) as servers:
            settings = settings_of({"storage": servers.storage, "source": servers.source})
            ports = azure_ports(settings)
            now = datetime.now(UTC)
            for number in range(count + unfinished):
                is_open = number < unfinished
                key = f"{number:032x}"
                recording = _recording(key, now=now, is_open=is_open)
                ports.ledger.save(recording, etag=None)
                if is_open:
                    ports.ledger.put_marker(str(recording.marker))
            counting = _Counting(ports.ledger)
            app = compose(settings, replace(ports, ledger=counting))
            app.sweep.run()
            swept, counting.asked = counting.asked, 0
            app.story.unfinished(state=None, limit=None, cursor=None)
            found.append({"finished": count, "unfinished": unfinished, "sweep": swept, "listing": counting.asked})
    return found


def _recording(key: str, *, now: datetime, is_open: bool) -> Recording:
    deadline = now + timedelta(hours=20)
    later = now + timedelta(minutes=2)
    state = ChunkState.PENDING if is_open else ChunkState.RESCUED
    chunk = Chunk(key=key[:16], document_id=key, index=0, state=state, next_try_at=later)
    return Recording(
        key=key,
        container_url="https://bench.blob.core.windows.net/recordings",
        created_at=now,
        deadline=deadline,
        chunks=(chunk,),
        marker=f"open/{deadline:%Y%m%dT%H%M%SZ}-{key}" if is_open else None,
        closed_at=None if is_open else now,
    )


def main() -> None:
    """The program."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="twenty events, nothing published")
    if parser.parse_args().quick:
        print(storm(events=20, workers=1), sweeps(finished=(0, 20), unfinished=5))
        return
    about = machine()
    storms = [storm(events=events, workers=workers) for events, workers in _SIZES]
    listed = sweeps(finished=(0, 1000, 3000), unfinished=20)
    two = [each for each in storms if each["workers"] == 2]
    slower = max(each["transactions"] for each in two) / min(each["transactions"] for each in two)
    goals = [
        Goal("transactions a recording, 800 events to 200 (not faster than linear)", slower, 1.1, is_most=True),
        Goal("requests of a sweep, 3000 finished to none", listed[-1]["sweep"] / listed[0]["sweep"], 1.0, is_most=True),
        Goal("recordings missing, differing or not done", sum(len(each["faults"]) for each in storms), 0, is_most=True),
    ]
    head = "| host processes | events | seconds | rescued a second | transactions each | most MiB | event p99 ms |"
    lines = [head, "|---" * 7 + "|"]
    columns = ("workers", "events", "seconds", "per_s", "transactions", "memory_mib", "p99_ms")
    lines += ["| " + " | ".join(str(each[column]) for column in columns) + " |" for each in storms]
    lines += [
        "",
        "| finished recordings | unfinished | ledger requests of a sweep | of a listing |",
        "|---|---|---|---|",
    ]
    lines += [f"| {s['finished']} | {s['unfinished']} | {s['sweep']} | {s['listing']} |" for s in listed]
    write("storm", about=about, results={"storms": storms, "sweeps": listed}, text="\n".join(lines), goals=goals)


if __name__ == "__main__":
    main()
