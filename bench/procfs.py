"""What a process costs, as Linux counts it."""

from __future__ import annotations

import os
import re
import resource
from contextlib import suppress
from pathlib import Path


def cpu_seconds() -> float:
    """User and system time of this process and its threads so far."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _status(field: str, pid: int | None) -> int:
    text = Path(f"/proc/{pid or os.getpid()}/status").read_text()
    found = re.search(rf"^{field}:\s+(\d+) kB", text, re.MULTILINE)
    return int(found[1]) * 1024 if found else 0


def rss(pid: int | None = None) -> int:
    """Resident bytes now."""
    return _status("VmRSS", pid)


def peak_rss(pid: int | None = None) -> int:
    """The most resident bytes since the start, or since `forget_peak`."""
    return _status("VmHWM", pid)


def forget_peak(pid: int | None = None) -> None:
    """Sets the peak back to what is resident now, where the kernel lets us."""
    with suppress(OSError):
        Path(f"/proc/{pid or os.getpid()}/clear_refs").write_text("5")
