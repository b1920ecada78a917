"""Running what is compared: a Python client in a child that stays, or a command from start to end."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import threading
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from bench.clients import Task

ROOT = Path(__file__).resolve().parent.parent
GIB = 1024**3
DEBIAN_RCLONE = Path("/usr/bin/rclone")
# Seconds that any one run may take.
_LONGEST = 120.0
_SHA256 = re.compile(rb"[0-9a-f]{64}\b")


class AbsentError(Exception):
    """A peer that this machine does not have."""


@dataclass(frozen=True)
class Cost:
    """One run: seconds of wall and CPU of the client's process, resident bytes before it and at its peak."""

    wall: float
    cpu: float
    idle: int
    peak: int
    sha256: str | None = None


class Runner(Protocol):
    """Something that can be run again and again."""

    def run(self, task: Task) -> Cost:
        """One run; raises when it fails."""
        ...


@contextlib.contextmanager
def _limit(process: subprocess.Popen[Any]) -> Iterator[None]:
    """Kills a run that does not end."""
    timer = threading.Timer(_LONGEST, process.kill)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


class Child:
    """A client of `bench.clients` in a process of its own; ends with the block."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bench.clients", json.dumps(config)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE if not os.environ.get("BENCH_TALK") else None,
            text=True,
        )
        self._line()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    @property
    def pid(self) -> int:
        """The child's process id."""
        return self._process.pid

    def _line(self) -> str:
        if self._process.stdout is None:
            raise RuntimeError("the child has no output")
        for line in self._process.stdout:
            if line.startswith(("ready", '{"wall"')):
                return line
        said = self._process.stderr.read()[-2000:] if self._process.stderr else ""
        raise RuntimeError(f"a client ended: {said}")

    def run(self, task: Task) -> Cost:
        """See `Runner`."""
        if self._process.stdin is None:
            raise RuntimeError("the child has no input")
        self._process.stdin.write(json.dumps(asdict(task)) + "\n")
        self._process.stdin.flush()
        with _limit(self._process):
            return Cost(**json.loads(self._line()))


class Command:
    """A program; `argv` makes its arguments. `startup`: seconds that the program takes to do nothing, not counted.

    If it prints a SHA-256 first, that is what it found.
    """

    def __init__(self, argv: Callable[[Task], Sequence[str]], *, startup: float = 0.0) -> None:
        self._argv = argv
        self._startup = startup

    def run(self, task: Task) -> Cost:
        """See `Runner`."""
        begun = time.perf_counter()
        with subprocess.Popen(self._argv(task), stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            with _limit(process):
                _, status, used = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            wall = time.perf_counter() - begun - self._startup
            said = process.stderr.read() if process.stderr else b""
            found = _SHA256.match(process.stdout.read() if process.stdout else b"")
        if process.returncode:
            raise RuntimeError(f"{self._argv(task)[0]} ended with {process.returncode}: {said.decode()[-1500:]}")
        digest = found[0].decode() if found else None
        return Cost(wall, used.ru_utime + used.ru_stime, 0, used.ru_maxrss * 1024, digest)


class Steps:
    """Several runners one after the other, as one: the seconds of all, the highest peak."""

    def __init__(self, *runners: Runner) -> None:
        self._runners = runners

    def run(self, task: Task) -> Cost:
        """See `Runner`."""
        costs = [runner.run(task) for runner in self._runners]
        digest = next((cost.sha256 for cost in costs if cost.sha256), None)
        wall, cpu = sum(cost.wall for cost in costs), sum(cost.cpu for cost in costs)
        return Cost(wall, cpu, max(cost.idle for cost in costs), max(cost.peak for cost in costs), digest)


def startup_seconds(argv: Sequence[str]) -> float:
    """How long a program takes to say its version, the median of some."""
    taken = []
    for _ in range(5):
        begun = time.perf_counter()
        subprocess.run(argv, check=True, capture_output=True, timeout=30)
        taken.append(time.perf_counter() - begun)
    return statistics.median(taken)


@dataclass
class Series:
    """All runs of one subject in one scenario."""

    name: str
    size: int
    costs: list[Cost] = field(default_factory=list)
    absent: str | None = None

    def summary(self) -> dict[str, Any]:
        """Medians: MB/s (10^6), CPU-seconds a GiB, peak MB, and the range of the MB/s."""
        if not self.costs:
            return {"name": self.name, "absent": self.absent}
        speeds = [self.size / 1e6 / cost.wall for cost in self.costs]
        return {
            "name": self.name,
            "mb_per_s": round(statistics.median(speeds), 1),
            "slowest": round(min(speeds), 1),
            "fastest": round(max(speeds), 1),
            "cpu_per_gib": round(statistics.median(c.cpu / self.size * GIB for c in self.costs), 2),
            "peak_mb": round(max(c.peak for c in self.costs) / 1e6),
            "bytes": self.size,
            "rounds": [
                {"mb_per_s": round(speed, 1), "cpu_per_gib": round(cost.cpu / self.size * GIB, 3)}
                for speed, cost in zip(speeds, self.costs, strict=True)
            ],
        }


def alternate(
    subjects: Mapping[str, tuple[Runner, Callable[[int], Task]]],
    *,
    rounds: int,
    after: Callable[[str, Task, Cost], None],
) -> list[Series]:
    """Every subject once a round, in turn, so that a noisy moment meets them all alike."""
    series = {name: Series(name, 0) for name in subjects}
    for number in range(rounds):
        for name, (runner, task_of) in subjects.items():
            task = task_of(number)
            cost = runner.run(task)
            after(name, task, cost)
            series[name].size = task.size * task.count
            series[name].costs.append(cost)
            print(f"    {name:34} {task.size * task.count / 1e6 / cost.wall:8.0f} MB/s", flush=True)
    return list(series.values())


def rclone_program(of: str) -> str:
    """The rclone of PyPI (`bench/requirements.txt`), which is new, or of Debian; AbsentError where it is not there."""
    if of == "Debian" and not DEBIAN_RCLONE.exists() and os.geteuid() == 0 and shutil.which("apt-get"):
        subprocess.run(["apt-get", "install", "-qq", "-y", "rclone"], check=False, capture_output=True, timeout=300)
    program = DEBIAN_RCLONE if of == "Debian" else Path(sys.executable).with_name("rclone")
    if not program.exists():
        raise AbsentError(f"no rclone of {of}")
    return str(program)


def _rclone_version(of: str) -> str:
    with contextlib.suppress(AbsentError):
        ran = subprocess.run([rclone_program(of), "version"], capture_output=True, text=True, check=False)
        return ran.stdout.splitlines()[0].removeprefix("rclone ")
    return "absent"


def machine() -> dict[str, Any]:
    """What the numbers were measured on."""
    cpu = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    return {
        "cpu": cpu[0].partition(":")[2].strip() if cpu else "unknown",
        "cores": os.cpu_count(),
        "python": sys.version.split()[0],
        "rclone_of_PyPI": _rclone_version("PyPI"),
        "rclone_of_Debian": _rclone_version("Debian"),
        "load_before": round(os.getloadavg()[0], 2),
    }
