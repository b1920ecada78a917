"""How fast a recording comes out of ACS into a container, beside what a user would pick instead. `make bench-rescue`.

Everything is a loopback server or a process of this machine. `--quick`: seconds, to see that it runs. Each table is
saved and published as soon as it is measured. The exit code tells only that it ran; the verdict is the last line.
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
from bench.goals import goals
from bench.measure import GIB, AbsentError, Child, Runner, Series, alternate
from bench.report import Results, goals_table, memory_table, plot, speed_table, throttled_line
from bench.servers import ACCOUNT, Servers
from bench.source import sha256

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.measure import Cost
    from bench.report import Goal
    from local.azurite import Azurite

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


OURS: tuple[tuple[str, dict[str, Any]], ...] = (("engine", {"client": "engine"}), ("whole rescue", {"client": "whole"}))
# The engine where nothing is computed over the bytes, as nothing is by rclone: not a setting of the app.
BARE = ("engine, its digests taken out", {"client": "engine", "digests": False})
# Debian's computes nothing over what it moves; the new one an MD5 a block, which the service verifies.
RCLONE = ("rclone of Debian", {"client": "rclone", "of": "Debian"})
NEW_RCLONE = ("rclone of PyPI", {"client": "rclone", "of": "PyPI"})
# What our rows give, asked of rclone: the copy, and the SHA-256 of the whole.
RCLONE_HASHED = ("rclone of Debian, then hashsum sha256", {"client": "rclone-hashed", "of": "Debian"})
OBSTORE = ("obstore", {"client": "obstore"})
SDK = ("SDKs' own way", {"client": "sdk"})
AZCOPY = ("curl | azcopy", {"client": "azcopy"})
# What no program that gives the same guarantee passes by much; and the same without the guarantee.
LIMIT = ("C limit, SHA-256 in order", {"client": "limit", "digest": "sha256"})
BARE_LIMIT = ("C limit, nothing computed", {"client": "limit", "digest": "none"})
SCENARIOS: tuple[Scenario, ...] = (
    Scenario(
        "plain",
        "1 GiB, plain HTTP, sink",
        GIB,
        (*OURS, LIMIT, BARE, BARE_LIMIT, RCLONE, NEW_RCLONE, RCLONE_HASHED, OBSTORE, AZCOPY, SDK),
    ),
    Scenario(
        "tls",
        "1 GiB, TLS, sink",
        GIB,
        (*OURS, LIMIT, BARE, BARE_LIMIT, RCLONE, NEW_RCLONE, RCLONE_HASHED, OBSTORE, AZCOPY, SDK),
        tls=True,
    ),
    Scenario(
        "small",
        "100 files of 1 MiB, plain HTTP, sink",
        MIB,
        (*OURS, RCLONE, NEW_RCLONE, OBSTORE, SDK),
        count=100,
        slow=MIB,
    ),
    Scenario(
        "small-tls",
        "100 files of 1 MiB, TLS, sink",
        MIB,
        (*OURS, RCLONE, NEW_RCLONE, OBSTORE, SDK),
        count=100,
        tls=True,
        slow=MIB,
    ),
    Scenario(
        "limited",
        "512 MiB from a source that gives a connection 30 MiB/s, sink",
        512 * MIB,
        (*OURS, RCLONE, NEW_RCLONE, OBSTORE),
        rate=30 * MIB,
    ),
    Scenario(
        "azurite",
        "256 MiB into Azurite",
        256 * MIB,
        (*OURS, RCLONE, NEW_RCLONE, OBSTORE, SDK),
        azurite=True,
    ),
)
QUICK = (
    Scenario("plain", "8 MiB, plain HTTP, sink", 8 * MIB, (*OURS, LIMIT)),
    Scenario("tls", "5 files of 256 KiB, TLS, sink", MIB // 4, OURS, count=5, tls=True),
)


class _Place:
    """Where a scenario's files go: the sink, or Azurite; and how to see them and drop them there."""

    def __init__(self, *, is_azurite: bool, servers: Servers, stack: ExitStack) -> None:
        self._servers = servers
        self._azurite: Azurite | None = None
        self._service: Any = None
        self.storage = servers.storage
        self.sas = f"{servers.sink}/{ACCOUNT}/{CONTAINER}?{SAS}"
        if is_azurite:
            self._start_azurite(stack)

    def _start_azurite(self, stack: ExitStack) -> None:
        from azure.storage.blob import BlobServiceClient, ContainerSasPermissions, generate_container_sas

        from local.azurite import ACCOUNT_KEY, Azurite

        self._azurite = azurite = stack.enter_context(Azurite())
        self.storage = azurite.connection_string
        self._service = stack.enter_context(BlobServiceClient.from_connection_string(self.storage))
        self._begin()
        permission = ContainerSasPermissions(read=True, write=True, delete=True, list=True, create=True)
        expiry = datetime.now(UTC) + timedelta(days=1)
        sas = generate_container_sas(ACCOUNT, CONTAINER, account_key=ACCOUNT_KEY, permission=permission, expiry=expiry)
        self.sas = f"{azurite.blob_url}/{CONTAINER}?{sas}"

    def _begin(self) -> None:
        """Makes the container; a few megabytes, so that no client meets an Azurite whose code is not compiled yet."""
        container = self._service.create_container(CONTAINER)
        for _ in range(4):
            container.upload_blob("warm", bytes(8 * MIB), overwrite=True)
        container.delete_blob("warm")

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
        """Drops all files. Azurite begins anew: it grows slower with all that it ever held."""
        if self._azurite is None:
            self._servers.empty()
            return
        self._azurite.stop()
        self._azurite.start()
        self._begin()


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
                print(f"    {name:34} absent: {error}", flush=True)
                continue
            is_slow = config["client"] == "sdk" or (scenario.rate and config["client"] == "rclone")
            size = min(scenario.size, scenario.slow) if is_slow else scenario.size
            subjects[name] = (runner, partial(_task, name, size, scenario.count))
        expected = sha256(scenario.size)

        def after(name: str, task: Task, cost: Cost) -> None:
            if cost.sha256 is not None and cost.sha256 != expected:
                raise RuntimeError(f"{name}: wrong bytes")
            if not name.startswith("whole"):
                _check_sizes(name, task, place)
            place.empty()

        _warm_up(subjects, place)
        # Azurite is begun anew after every file: half a minute a round.
        series = alternate(subjects, rounds=min(rounds, 3) if scenario.azurite else rounds, after=after)
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
        full = f"{task.tag}/{number}-{task.size}.wav" if name.startswith("rclone") and task.count > 1 else blob
        found = place.size_of(full)
        if found != task.size:
            raise RuntimeError(f"{name}: {found} bytes of {task.size}")


def _runner(config: dict[str, Any], servers: Servers, place: _Place, folder: Path, stack: ExitStack) -> Runner:
    if config["client"] == "rclone":
        return peers.rclone(servers.source, place.sas, certificate=servers.certificate, of=config["of"])
    if config["client"] == "rclone-hashed":
        return peers.rclone_then_hash(servers.source, place.sas, certificate=servers.certificate, of=config["of"])
    if config["client"] == "azcopy":
        return peers.azcopy(servers.source, place.sas, certificate=servers.certificate)
    if config["client"] == "limit":
        return peers.limit(
            servers.source, servers.sink, folder, certificate=servers.certificate, digest=config["digest"]
        )
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


def _tables(results: Results) -> dict[str, dict[str, Any]]:
    found = {scenario.name: results.found(scenario.name) for scenario in SCENARIOS}
    return {name: table for name, table in found.items() if table}


def publish(results: Results, *, picture: str | None) -> list[Goal]:
    """Writes what is measured so far; the goals as they stand."""
    tables = _tables(results)
    parts = [speed_table(table, when=results.when(name)) for name, table in tables.items()]
    memories, slowed = results.found("memory"), results.found("throttled")
    if memories:
        parts.append(memory_table(memories, when=results.when("memory")))
    if slowed:
        parts.append(throttled_line(slowed, when=results.when("throttled")))
    if picture:
        parts.append(picture)
    reached = goals(tables, memories or [])
    results.publish("\n\n".join(parts), reached)
    return reached


def _quick() -> None:
    for scenario in QUICK:
        measure(scenario, rounds=1)
    memory(sizes=(1_000_000,), at_once=2)


def main() -> None:
    """The program."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small sizes, one round, nothing published")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", help="parts to measure (again), by comma; the others stay as they are")
    chosen = parser.parse_args()
    if chosen.quick:
        _quick()
        return
    every: dict[str, Callable[[], Any]] = {
        **{scenario.name: partial(measure, scenario, rounds=chosen.rounds) for scenario in SCENARIOS},
        "memory": partial(memory, sizes=(10_000_000, 100_000_000, 1_000_000_000, 4_000_000_000), at_once=6),
        "throttled": partial(throttled, size=64 * MIB, busy=4),
    }
    wanted = chosen.only.split(",") if chosen.only else list(every)
    if not set(wanted) <= set(every):
        parser.error(f"--only takes {', '.join(every)}")
    results = Results.kept("rescue")
    for name in wanted:
        results.measure(name, every[name])
        publish(results, picture=None)
    # The picture last: matplotlib is not to be in the process that the servers are forked from.
    print(goals_table(publish(results, picture=plot("rescue", list(_tables(results).values())))))


if __name__ == "__main__":
    main()
