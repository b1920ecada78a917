"""Processes that tests start: whether they live, and that none is left."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

ROOT = Path(__file__).resolve().parents[2]


def state_of(pid: int) -> str:
    """The letter that the system has for it (`T`: stopped, `Z`: ended, not yet noticed); empty: no such process."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return ""


def is_alive(pid: int) -> bool:
    """Whether the process lives; one that only waits to be noticed does not."""
    return state_of(pid) not in {"", "Z"}


def gone(pids: Iterable[int], *, count: int) -> bool:
    """Whether none of these, `count` of them, lives: asked of fewer, it would say nothing."""
    asked = set(pids)
    assert len(asked) == count, asked
    return not any(is_alive(pid) for pid in asked)


def end_group(process: subprocess.Popen[str] | subprocess.Popen[bytes]) -> None:
    """Kills what is left of a process with a session of its own, its children with it."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


class Terminal:
    """A running program, and what it has printed."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.lines: list[str] = []

    @property
    def text(self) -> str:
        return "".join(self.lines)

    def printed(self, pattern: str) -> str:
        """The group, or the whole, of the first match in its output, waited for."""

        def match() -> re.Match[str] | None:
            ended = self.process.poll() is not None
            found = re.search(pattern, self.text, re.MULTILINE)
            assert found or not ended, f"ended without {pattern}: {self.text}"
            return found

        found = eventually(match, seconds=60, what=pattern)
        return found[found.lastindex or 0]

    def workers(self) -> list[int]:
        """The process ids of the host's workers, as printed."""
        return [int(pid) for pid in re.findall(r"^worker \d+ pid (\d+)$", self.text, re.MULTILINE)]


@contextmanager
def typed(*command: str, environment: Mapping[str, str] | None = None) -> Iterator[Terminal]:
    """`python -m …` as on a terminal, in a session of its own; killed with its children at the end of the block."""
    process = subprocess.Popen(
        [sys.executable, "-m", *command],
        cwd=ROOT,
        env={**os.environ, **(environment or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    terminal = Terminal(process)
    reader = threading.Thread(target=lambda: terminal.lines.extend(process.stdout or ()), daemon=True)
    reader.start()
    try:
        yield terminal
    finally:
        end_group(process)
        reader.join(10)
        if process.stdout is not None:
            process.stdout.close()
