"""Many exports that fail at once, rescued by 1, 2 and 4 host processes: pace, order, cost, memory; whether any cost
grows faster than the storm; and what a listing and a sweep cost beside a million finished recordings.
`make bench-storm`. The storm itself is that of `bench.load`, in other sizes.
"""

from __future__ import annotations

import argparse
import json
import urllib.request
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from azure.storage.blob import BlobServiceClient

from bench.clients import settings_of
from bench.load.run import Load, Options
from bench.report import Goal, Results, goals_table
from bench.servers import Servers
from shared.api.query import parse_query
from shared.app import azure_ports, compose
from shared.domain.naming import recording_key
from shared.domain.recording import Chunk, ChunkState, Recording
from shared.ports import OpenEntry

if TYPE_CHECKING:
    from collections.abc import Callable

_WORKERS = (1, 2, 4)
_FINISHED = (0, 1_000, 1_000_000)
_UNFINISHED = 600
# A kind of request that is seldomer than this a recording is not one of its steps.
_SELDOM = 0.1


def storm(*, events: int, workers: int) -> dict[str, Any]:
    """One storm: recordings rescued a second, order, requests and CPU of each, memory of the largest process."""
    numbers, faults = Load(Options(events=events, workers=workers, seconds=900), say=lambda _: None).run()
    memory = [value["most"] for name, value in numbers.items() if name.startswith("worker") and "MiB" in name]
    kinds = numbers["of which"]
    found = {
        "events": events,
        "workers": workers,
        "seconds": numbers["all rescued after, s"],
        "per_s": numbers["rescued a second"],
        "transactions": numbers["storage transactions a recording"],
        "kinds": kinds,
        "queue": round(sum(count for kind, count in kinds.items() if kind.startswith("queue")), 2),
        "cpu_ms": numbers["worker CPU a recording, ms"],
        "memory_mib": max(memory, default=0),
        "p99_ms": numbers["POST to answer, ms"]["p99"],
        "rank": numbers["order: urgent"]["median rank"],
        "wait": numbers["order: urgent"]["median wait, s"],
        "wait_others": numbers["order: others"]["median wait, s"],
        # A storm this short says nothing of growth: that is what `make load` is for.
        "faults": [fault for fault in faults if "grows" not in fault],
    }
    print(f"    {workers} workers, {events} events: {found['per_s']} a second", flush=True)
    return found


# --- a listing beside many finished recordings


def listings(*, finished: tuple[int, ...], unfinished: int) -> list[dict[str, Any]]:
    """Storage requests of a listing and of a sweep by the app's own adapters, as the sink's server counts them.

    `everything`: those of a client that lists all documents, to show that the finished ones are there.
    """
    found = []
    with Servers(processes=1) as servers, BlobServiceClient.from_connection_string(servers.storage) as blobs:
        settings = settings_of({"storage": servers.storage, "source": servers.source})
        ports = azure_ports(settings)
        for number in range(unfinished):
            recording = _unfinished(number)
            entry = OpenEntry(recording.key, recording.chunks[0].next_attempt_at, recording.at_risk_from, "saving")
            ports.ledger.create(recording, entry=entry)
        app = compose(settings, ports)
        app.sweep.run()  # the first one writes that there was one
        ledger = blobs.get_container_client(settings.ledger_container)
        for count in finished:
            _control(servers, f"finished/{count}", method="PUT")
            row = {
                "listing": _asked(servers, lambda: app.listing.page(parse_query([]))),
                "sweep": _asked(servers, app.sweep.run),
                "everything": _asked(servers, lambda: sum(1 for _ in ledger.list_blob_names())),
            }
            found.append({"finished": count, "unfinished": unfinished, **row})
            print(f"    {count} finished: {row}", flush=True)
    return found


def _unfinished(number: int) -> Recording:
    """One whose next attempt is still to come, so that a sweep has nothing to do but to look."""
    now = datetime.now(UTC)
    key, end = recording_key(f"unfinished {number}"), now + timedelta(hours=20)
    later = now + timedelta(hours=1)
    chunk = Chunk(
        key=key[:16],
        document_id=key,
        index=0,
        state=ChunkState.PENDING,
        at_risk_from=end,
        abandon_after=end + timedelta(hours=1),
        reported_at=now,
        next_attempt_at=later,
    )
    return Recording(
        key=key,
        container_url="https://bench.blob.core.windows.net/recordings",
        created_at=now,
        chunks=(chunk,),
    )


def _control(servers: Servers, path: str, *, method: str) -> dict[str, int]:
    request = urllib.request.Request(f"{servers.sink}/{path}", method=method)  # noqa: S310 - the bench's own server
    with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 - a server of the bench
        found: dict[str, int] = json.load(answer)
        return found


def _asked(servers: Servers, action: Callable[[], object]) -> dict[str, int]:
    """The requests that `action` made, by kind."""
    before = _control(servers, "requests", method="GET")
    action()
    after = _control(servers, "requests", method="GET")
    return {kind: after[kind] - count for kind, count in before.items() if after[kind] > count}


# --- the report


def growth(storms: list[dict[str, Any]]) -> dict[str, list[float]]:
    """Requests a recording by kind, the smallest storm first; kinds that are no step of a recording are left out."""
    kinds = sorted({kind for each in storms for kind, count in each["kinds"].items() if count >= _SELDOM})
    return {kind: [each["kinds"].get(kind, 0.0) for each in storms] for kind in kinds}


def goals(by_size: list[dict[str, Any]], storms: list[dict[str, Any]], listed: list[dict[str, Any]]) -> list[Goal]:
    """`by_size`: storms of the same workers, the smallest first; `storms`: all."""
    totals = [each["transactions"] for each in by_size]
    steps = growth(by_size).values() if len(by_size) > 1 else []
    ranks = [each["rank"] for each in storms if each["rank"] is not None]
    sums = {name: [sum(row[name].values()) for row in listed] for name in ("listing", "sweep")}
    return [
        Goal("requests a recording, N/4 to N, most to least", _most_to_least(totals), 1.1, is_most=True),
        Goal(
            "the step whose requests grow most, N to N/4",
            max((step[-1] / max(step[0], _SELDOM) for step in steps), default=None),
            1.1,
            is_most=True,
        ),
        Goal("median rank of those with 2 h left (0.5: no preference)", max(ranks, default=None), 0.33, is_most=True),
        Goal("requests of a listing, 1 000 000 finished to none", _most_to_least(sums["listing"]), 1, is_most=True),
        Goal("requests of a sweep, 1 000 000 finished to none", _most_to_least(sums["sweep"]), 1, is_most=True),
        Goal(
            "recordings missing, differing or not done",
            sum(len(each["faults"]) for each in storms) if storms else None,
            0,
            is_most=True,
        ),
    ]


def _most_to_least(values: list[float]) -> float | None:
    return max(values) / min(values) if len(values) > 1 else None


def _rows(columns: dict[str, str], found: list[dict[str, Any]]) -> list[str]:
    lines = [f"| {' | '.join(columns.values())} |", "|---" * len(columns) + "|"]
    return lines + ["| " + " | ".join(str(each[column]) for column in columns) + " |" for each in found]


def _storms_table(storms: list[dict[str, Any]]) -> list[str]:
    columns = {
        "workers": "host processes",
        "events": "recordings",
        "seconds": "seconds",
        "per_s": "rescued a second",
        "transactions": "requests each",
        "queue": "of them queue",
        "cpu_ms": "CPU ms each",
        "memory_mib": "most MiB",
        "p99_ms": "event p99 ms",
        "rank": "urgent: rank",
        "wait": "urgent: wait s",
        "wait_others": "others: wait s",
        "when": "measured",
    }
    return _rows(columns, storms)


def _listings_table(listed: list[dict[str, Any]]) -> list[str]:
    def counts(asked: dict[str, int]) -> str:
        return ", ".join(f"{count} {kind}" for kind, count in asked.items())

    columns = {
        "finished": "finished recordings",
        "unfinished": "unfinished",
        "listing": "requests of `GET /api/recordings`",
        "sweep": "of a sweep",
        "everything": "of listing every document",
    }
    names = ("listing", "sweep", "everything")
    return _rows(columns, [{**row, **{name: counts(row[name]) for name in names}} for row in listed])


def publish(results: Results, names: dict[str, tuple[int, int]]) -> list[Goal]:
    """Writes what is measured so far. `names`: part → recordings and workers of a storm."""
    there = {name: found for name in names if (found := results.found(name))}
    by_size = sorted((each for each in there.values() if each["workers"] == 2), key=lambda each: each["events"])
    listed = results.found("listings") or []
    lines = _storms_table([{**each, "when": results.when(name)} for name, each in there.items()])
    if len(by_size) > 1:
        heads = {str(place): f"{each['events']} recordings" for place, each in enumerate(by_size)}
        steps = [
            {"kind": kind, **{str(i): count for i, count in enumerate(of)}} for kind, of in growth(by_size).items()
        ]
        lines += ["", *_rows({"kind": "requests a recording, 2 host processes", **heads}, steps)]
    if listed:
        lines += ["", *_listings_table(listed), "", f"(The listings: {results.when('listings')}.)"]
    reached = goals(by_size, list(there.values()), listed)
    results.publish("\n".join(lines), reached)
    return reached


def main() -> None:
    """The program."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="twenty recordings, nothing published")
    parser.add_argument("--events", type=int, default=600, help="N: recordings of the largest storms")
    chosen = parser.parse_args()
    if chosen.quick:
        print(storm(events=20, workers=1))
        listings(finished=(0, 20_000), unfinished=5)
        return
    sizes = [(chosen.events // 4, 2), (chosen.events // 2, 2), *((chosen.events, workers) for workers in _WORKERS)]
    names = {f"{events} on {workers}": (events, workers) for events, workers in sizes}
    results = Results("storm")
    results.measure("listings", partial(listings, finished=_FINISHED, unfinished=_UNFINISHED))
    for name, (events, workers) in names.items():
        results.measure(name, partial(storm, events=events, workers=workers))
        publish(results, names)
    print(goals_table(publish(results, names)))


if __name__ == "__main__":
    main()
