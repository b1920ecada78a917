"""How fast a recording comes out of ACS into a container, beside what a user would pick instead. `make bench-rescue`.

Everything is a loopback server or a process of this machine. `--quick`: seconds, to see that it runs.
"""

from __future__ import annotations

import argparse
import http.client
import json
import ssl
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from bench import peers
from bench.clients import CONTAINER, MIB, Task
from bench.measure import GIB, AbsentError, Child, Runner, Series, alternate, machine
from bench.report import RESULTS, Goal, publish
from bench.servers import ACCOUNT, Servers
from bench.source import sha256

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.measure import Cost

SAS = "sv=2019-12-12&sr=c&sp=rwdlc&sig=eA%3D%3D"


@dataclass(frozen=True)
class Scenario:
    """One table. `subjects`: name → client and its settings; `slow`: bytes for those that would take minutes."""

    name: str
    title: str
    size: int
    subjects: tuple[tuple[str, dict[str, Any]], ...]
    count: int = 1
    tls: bool = False
    azurite: bool = False
    rate: int = 0
    # Not less: an upload of up to 64 MiB is gathered by the SDK in one piece, in quadratic time, and never ends.
    slow: int = 128 * MIB


def _ours(*checksums: str, whole: str | None = None) -> tuple[tuple[str, dict[str, Any]], ...]:
    said = {"off": "no checksum a block", "crc64": "CRC-64 a block", "md5": "MD5 a block"}
    found = [(f"engine, {said[kind]}", {"client": "engine", "checksum": kind}) for kind in checksums]
    if whole:
        found.append((f"whole rescue, {said[whole]}", {"client": "whole", "checksum": whole}))
    return tuple(found)


RCLONE = ("rclone", {"client": "rclone"})
OBSTORE = ("obstore", {"client": "obstore"})
SDK = ("SDKs' own way", {"client": "sdk"})
RELAY = ("C relay", {"client": "relay"})
SCENARIOS = (
    Scenario(
        "plain",
        "1 GiB, plain HTTP, sink",
        GIB,
        (*_ours("off", "crc64", "md5", whole="crc64"), RCLONE, OBSTORE, RELAY, SDK),
    ),
    Scenario(
        "tls", "1 GiB, TLS, sink", GIB, (*_ours("off", "crc64", "md5", whole="crc64"), RCLONE, OBSTORE, SDK), tls=True
    ),
    Scenario(
        "small",
        "100 files of 1 MiB, plain HTTP, sink",
        MIB,
        (*_ours("off", "crc64", "md5", whole="crc64"), RCLONE, OBSTORE, SDK),
        count=100,
        slow=MIB,
    ),
    Scenario(
        "small-tls",
        "100 files of 1 MiB, TLS, sink",
        MIB,
        (*_ours("off", "crc64", whole="crc64"), RCLONE, OBSTORE, SDK),
        count=100,
        tls=True,
        slow=MIB,
    ),
    Scenario(
        "limited",
        "512 MiB from a source that gives a connection 30 MiB/s, sink",
        512 * MIB,
        (*_ours("crc64", whole="crc64"), RCLONE, OBSTORE),
        rate=30 * MIB,
    ),
    Scenario(
        "azurite",
        "256 MiB into Azurite",
        256 * MIB,
        (*_ours("off", "md5", whole="md5"), RCLONE, OBSTORE, SDK),
        azurite=True,
    ),
)
QUICK = (
    Scenario("plain", "8 MiB, plain HTTP, sink", 8 * MIB, (*_ours("crc64", whole="md5"), RELAY)),
    Scenario("tls", "5 files of 256 KiB, TLS, sink", MIB // 4, _ours("off", whole="crc64"), count=5, tls=True),
)


class _Place:
    """Where a scenario's files go: the sink, or Azurite; and how to see them and drop them there."""

    def __init__(self, *, is_azurite: bool, servers: Servers, stack: ExitStack) -> None:
        self._servers = servers
        self._service: Any = None
        self.storage = servers.storage
        self.sas = f"{servers.sink}/{ACCOUNT}/{CONTAINER}?{SAS}"
        if is_azurite:
            self._start_azurite(stack)

    def _start_azurite(self, stack: ExitStack) -> None:
        from azure.storage.blob import BlobServiceClient, ContainerSasPermissions, generate_container_sas  # noqa: PLC0415

        from local.azurite import ACCOUNT_KEY, Azurite  # noqa: PLC0415

        azurite = stack.enter_context(Azurite())
        self.storage = azurite.connection_string
        self._service = stack.enter_context(BlobServiceClient.from_connection_string(self.storage))
        self._service.create_container(CONTAINER)
        permission = ContainerSasPermissions(read=True, write=True, delete=True, list=True, create=True)
        expiry = datetime.now(UTC) + timedelta(days=1)
        sas = generate_container_sas(ACCOUNT, CONTAINER, account_key=ACCOUNT_KEY, permission=permission, expiry=expiry)
        self.sas = f"{azurite.blob_url}/{CONTAINER}?{sas}"

    def size_of(self, name: str) -> int:
        """Bytes of the committed blob."""
        if self._service is not None:
            return int(self._service.get_blob_client(CONTAINER, name).get_blob_properties().size)
        parts = urlsplit(self._servers.sink)
        make: Callable[..., http.client.HTTPConnection] = http.client.HTTPConnection
        if parts.scheme == "https":
            context = ssl.create_default_context(cafile=str(self._servers.certificate))
            make = partial(http.client.HTTPSConnection, context=context)
        connection = make("127.0.0.1", parts.port, timeout=30)
        try:
            connection.request("HEAD", f"/{ACCOUNT}/{CONTAINER}/{name}")
            return int(connection.getresponse().headers["Content-Length"])
        finally:
            connection.close()

    def empty(self) -> None:
        """Drops all files."""
        if self._service is None:
            self._servers.empty()
            return
        container = self._service.get_container_client(CONTAINER)
        for name in list(container.list_blob_names()):
            container.delete_blob(name)


def measure(scenario: Scenario, *, rounds: int) -> dict[str, Any]:
    """One table's numbers."""
    print(scenario.title, flush=True)
    with ExitStack() as stack:
        servers = stack.enter_context(Servers(tls=scenario.tls, rate=scenario.rate))
        place = _Place(is_azurite=scenario.azurite, servers=servers, stack=stack)
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        subjects: dict[str, tuple[Runner, Callable[[int], Task]]] = {}
        absent: list[Series] = []
        for name, config in scenario.subjects:
            try:
                runner = _runner(config, servers, place, folder, stack)
            except (AbsentError, RuntimeError) as error:
                absent.append(Series(name, 0, absent=str(error).splitlines()[-1]))
                print(f"    {name:28} absent: {error}", flush=True)
                continue
            size = min(scenario.size, scenario.slow) if config["client"] == "sdk" else scenario.size
            subjects[name] = (runner, partial(_task, name, size, scenario.count))
        expected = sha256(scenario.size)

        def after(name: str, task: Task, cost: Cost) -> None:
            if cost.sha256 is not None and cost.sha256 != expected:
                raise RuntimeError(f"{name}: wrong bytes")
            if not name.startswith("whole"):
                _check_sizes(name, task, place)
            place.empty()

        _warm_up(subjects, place)
        series = alternate(subjects, rounds=rounds, after=after)
    return {"name": scenario.name, "title": scenario.title, "subjects": [s.summary() for s in (*series, *absent)]}


def _task(name: str, size: int, count: int, number: int) -> Task:
    slug = "".join(letter for letter in name if letter.isalnum())
    return Task(size, count, f"{slug}x{number}")


def _warm_up(subjects: dict[str, tuple[Runner, Callable[[int], Task]]], place: _Place) -> None:
    """Connections and code of the clients that stay, as in a worker that has been up for a while."""
    for runner, task_of in subjects.values():
        if isinstance(runner, Child):
            task = task_of(999)
            runner.run(Task(min(task.size, 8 * MIB), min(task.count, 8), task.tag))
    place.empty()


def _check_sizes(name: str, task: Task, place: _Place) -> None:
    for number, (_, blob) in enumerate(task.names()):
        full = f"{task.tag}/{number}-{task.size}.wav" if name == "rclone" and task.count > 1 else blob
        found = place.size_of(full)
        if found != task.size:
            raise RuntimeError(f"{name}: {found} bytes of {task.size}")


def _runner(config: dict[str, Any], servers: Servers, place: _Place, folder: Path, stack: ExitStack) -> Runner:
    if config["client"] == "rclone":
        return peers.rclone(servers.source, place.sas, certificate=servers.certificate)
    if config["client"] == "relay":
        return peers.relay(servers.source, servers.sink, folder)
    certificate = str(servers.certificate) if servers.certificate else None
    full = {**config, "source": servers.source, "storage": place.storage, "certificate": certificate}
    return stack.enter_context(Child(full))


def throttled(*, size: int, busy: int) -> dict[str, Any]:
    """How a rescue does at a source that answers 429 to more than `busy` requests at once. Into Azurite, which keeps
    the bytes: a rescue that was resumed reads its blob back.
    """
    print(f"429 above {busy} requests at once", flush=True)
    with Servers(busy=busy, latency=0.01) as servers, ExitStack() as stack:
        place = _Place(is_azurite=True, servers=servers, stack=stack)
        child = stack.enter_context(Child({"client": "patient", "source": servers.source, "storage": place.storage}))
        cost = child.run(Task(size, 1, "throttled"))
        connection = http.client.HTTPConnection("127.0.0.1", urlsplit(servers.source).port or 80, timeout=30)
        connection.request("GET", "/stats")
        stats = json.loads(connection.getresponse().read())
        connection.close()
    if cost.sha256 != sha256(size):
        raise RuntimeError("wrong bytes")
    return {"size": size, "busy": busy, "wall": round(cost.wall, 2), "refused": stats["refused"]}


def memory(*, sizes: tuple[int, ...], at_once: int) -> list[dict[str, Any]]:
    """Peak over idle of a process that was just started, for each size, and for several rescues at once."""
    print("memory", flush=True)
    found = []
    with Servers() as servers:
        config = {"client": "whole", "source": servers.source, "storage": servers.storage}
        for size, count in [*((size, 1) for size in sizes), (sizes[len(sizes) // 2], at_once)]:
            with Child(config) as child:
                # The SDKs' code and connections come with the first small recording: that is the idle worker.
                child.run(Task(100_000, 1, "first"))
                cost = child.run(Task(size, count, "memory", at_once=at_once))
            servers.empty()
            found.append(
                {"bytes": size, "count": count, "idle_mb": cost.idle / 1e6, "over_mb": (cost.peak - cost.idle) / 1e6}
            )
            print(f"    {count} x {size / 1e6:7.0f} MB: {found[-1]['over_mb']:.0f} MB over idle", flush=True)
    return found


def _speed(tables: dict[str, dict[str, Any]], table: str, name: str, field: str = "mb_per_s") -> float | None:
    for subject in tables[table]["subjects"]:
        if subject["name"] == name:
            found: float | None = subject.get(field)
            return found
    return None


def _ratio(
    tables: dict[str, dict[str, Any]], table: str, ours: str, theirs: str, field: str = "mb_per_s"
) -> float | None:
    a, b = _speed(tables, table, ours, field), _speed(tables, table, theirs, field)
    return a / b if a and b else None


def goals(tables: dict[str, dict[str, Any]], memories: list[dict[str, Any]]) -> list[Goal]:
    """The goals of throughput and memory, and what was reached."""
    off, crc, md5 = "engine, no checksum a block", "engine, CRC-64 a block", "engine, MD5 a block"
    sdk = SDK[0]
    azurite = [s for s in tables["azurite"]["subjects"] if s.get("mb_per_s")]
    best = max((s["mb_per_s"] for s in azurite if not s["name"].startswith(("engine", "whole"))), default=0)
    at_azurite = _speed(tables, "azurite", md5)
    single = [m["over_mb"] for m in memories if m["count"] == 1]
    large = single[1:] or single
    return [
        Goal("1 GiB over TLS, checks on, to rclone copyurl", _ratio(tables, "tls", crc, "rclone"), 1.0),
        Goal("1 GiB plain, block checksums off, to rclone copyurl", _ratio(tables, "plain", off, "rclone"), 1.0),
        Goal("1 GiB plain, checks on, to the SDKs' own way", _ratio(tables, "plain", crc, sdk), 25),
        Goal("1 GiB plain, block checksums off, to the C relay", _ratio(tables, "plain", off, "C relay"), 0.7),
        Goal("Azurite, to the fastest other client", at_azurite / best if at_azurite and best else None, 0.95),
        Goal(
            "CPU a GiB plain, off, to rclone's",
            _ratio(tables, "plain", off, "rclone", "cpu_per_gib"),
            1.2,
            is_most=True,
        ),
        Goal(
            "CPU a GiB over TLS, checks on, to rclone's",
            _ratio(tables, "tls", crc, "rclone", "cpu_per_gib"),
            1.2,
            is_most=True,
        ),
        Goal("100 files of 1 MiB, engine, checks on, to rclone copy", _ratio(tables, "small", crc, "rclone"), 1.0),
        Goal("100 files of 1 MiB over TLS, to rclone copy", _ratio(tables, "small-tls", crc, "rclone"), 1.0),
        Goal("a source limited per connection, to rclone copyurl", _ratio(tables, "limited", crc, "rclone"), 8),
        Goal("peak over an idle worker, MB", max(m["over_mb"] for m in memories), 64 * 1.048576, is_most=True),
        Goal("the same from the second size to the largest, most to least", max(large) / min(large), 1.1, is_most=True),
    ]


def main() -> None:
    """The program."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small sizes, one round, nothing published")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", help="tables to measure again, by comma, or `memory`; the others stay as they were")
    chosen = parser.parse_args()
    if chosen.quick:
        for scenario in QUICK:
            measure(scenario, rounds=1)
        memory(sizes=(1_000_000,), at_once=2)
        return
    wanted = chosen.only.split(",") if chosen.only else None
    about = machine()
    kept = json.loads((RESULTS / "rescue.json").read_text()) if wanted else {}
    tables = {table["name"]: table for table in kept.get("tables", [])}
    memories, slowed = kept.get("memory", []), kept.get("throttled")
    if not wanted or "memory" in wanted:
        memories = memory(sizes=(10_000_000, 100_000_000, 1_000_000_000, 4_000_000_000), at_once=6)
        slowed = throttled(size=64 * MIB, busy=4)
    for scenario in SCENARIOS:
        if not wanted or scenario.name in wanted:
            tables[scenario.name] = measure(scenario, rounds=chosen.rounds)
    publish(
        "rescue",
        about=about,
        tables=[tables[scenario.name] for scenario in SCENARIOS],
        goals=goals(tables, memories),
        more={"memory": memories, "throttled": slowed},
    )


if __name__ == "__main__":
    main()
