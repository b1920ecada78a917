"""From Event Grid's POST to the 202, by the local host: this app's function against one that does nothing.
`make bench-events`.
"""

from __future__ import annotations

import argparse
import http.client
import json
import shutil
import statistics
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from azure.storage.blob import BlobServiceClient

from bench.clients import failed_export
from bench.measure import ROOT, machine
from bench.report import Goal, write
from local.services import EVENT_FUNCTION, Services
from local.stack import HostProcess

if TYPE_CHECKING:
    from collections.abc import Callable

_NO_OP = '''
import azure.functions as func

app = func.FunctionApp()


@app.function_name("nothing")
@app.event_grid_trigger(arg_name="event")
def nothing(event: str) -> None:
    """Does nothing."""
'''


class _Poster:
    """One kept connection to a host's webhook."""

    def __init__(self, origin: str, function: str) -> None:
        self._connection = http.client.HTTPConnection(urlsplit(origin).netloc, timeout=30)
        self._path = f"/runtime/webhooks/EventGrid?functionName={function}"

    def post(self, number: int) -> float:
        """Seconds until the 202."""
        event = failed_export(
            "https://eu-api.asm.skype.com/v1/objects/x/content/video", f"{time.time_ns()}{number}.wav"
        )
        body = json.dumps([event]).encode()
        headers = {"aeg-event-type": "Notification", "content-type": "application/json"}
        begun = time.perf_counter()
        self._connection.request("POST", self._path, body, headers)
        answer = self._connection.getresponse()
        answer.read()
        if answer.status != 202:
            raise RuntimeError(f"the webhook answered {answer.status}")
        return time.perf_counter() - begun


def _summary(seconds: list[float]) -> dict[str, float]:
    ordered = sorted(seconds)
    return {
        "p50_ms": round(statistics.median(ordered) * 1e3, 2),
        "p99_ms": round(ordered[int(len(ordered) * 0.99)] * 1e3, 2),
        "longest_ms": round(ordered[-1] * 1e3, 2),
    }


def _round_trips(services: Services, *, count: int) -> list[float]:
    """Seconds of a small upload to Azurite by the SDK."""
    taken = []
    with BlobServiceClient.from_connection_string(services.azurite.connection_string) as service:
        container = service.get_container_client("recordings")
        for number in range(count):
            begun = time.perf_counter()
            container.upload_blob(f"trip-{number}", b"{}")
            taken.append(time.perf_counter() - begun)
    return taken


def _throughput(make: Callable[[], _Poster], *, events: int, at_once: int) -> float:
    posters = [make() for _ in range(at_once)]

    def run(number: int) -> None:
        for each in range(events // at_once):
            posters[number].post(number * events + each)

    begun = time.perf_counter()
    with ThreadPoolExecutor(at_once) as pool:
        list(pool.map(run, range(at_once)))
    return events // at_once * at_once / (time.perf_counter() - begun)


def measure(*, events: int, rounds: int) -> dict[str, Any]:
    """Both functions by turns, the storage's round trip beside them."""
    with Services() as services, tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        empty = folder / "empty"
        empty.mkdir()
        (empty / "function_app.py").write_text(_NO_OP)
        shutil.copy(ROOT / "host.json", empty / "host.json")
        # A try of the rescue would share the process and be measured, too: they are put off.
        environment = {
            **services.settings,
            "AzureWebJobs.rescue_chunk.Disabled": "true",
            "AzureWebJobs.background_work.Disabled": "true",
        }
        hosts = {
            "no-op": (HostProcess(empty, environment=environment, log=folder / "empty.log"), "nothing"),
            "event": (HostProcess(ROOT, environment=environment, log=folder / "app.log"), EVENT_FUNCTION),
        }
        taken: dict[str, list[float]] = {**{name: [] for name in hosts}, "storage": []}
        try:
            for host, _ in hosts.values():
                host.start()
            posters = {name: _Poster(host.url, function) for name, (host, function) in hosts.items()}
            for poster in posters.values():
                poster.post(0)
            for _ in range(rounds):
                for kind, poster in posters.items():
                    taken[kind] += [poster.post(number) for number in range(events)]
                taken["storage"] += _round_trips(services, count=events) if not taken["storage"] else []
            host, function = hosts["event"]
            rate = _throughput(lambda: _Poster(host.url, function), events=events * 2, at_once=8)
        finally:
            for host, _ in hosts.values():
                host.stop()
    return {**{name: _summary(values) for name, values in taken.items()}, "events_per_s": round(rate, 1)}


def main() -> None:
    """The program."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few events, nothing published")
    quick = parser.parse_args().quick
    about = machine()
    found = measure(events=10 if quick else 100, rounds=1 if quick else 5)
    if quick:
        print(found)
        return
    bound = found["no-op"]["p99_ms"] + 3 * found["storage"]["p99_ms"]
    goals = [
        Goal(
            f"p99 of an event, ms (no-op {found['no-op']['p99_ms']} + 3 round trips)",
            found["event"]["p99_ms"],
            bound,
            is_most=True,
        )
    ]
    names = {"no-op": "a function that does nothing", "event": "this app", "storage": "one upload to Azurite"}
    lines = ["| | p50 ms | p99 ms | longest ms |", "|---|---|---|---|"]
    lines += [
        f"| {said} | {found[n]['p50_ms']} | {found[n]['p99_ms']} | {found[n]['longest_ms']} |"
        for n, said in names.items()
    ]
    lines += ["", f"Eight senders at once, one host process: {found['events_per_s']:.0f} events a second."]
    write("events", about=about, results=found, text="\n".join(lines), goals=goals)


if __name__ == "__main__":
    main()
