"""Processes that tests start: whether they live, and that none is left."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterable


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
