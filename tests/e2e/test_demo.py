"""`python -m local.demo` as a newcomer runs it: to its end, and with Ctrl-C in the middle."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
import uuid
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.processes import end_group
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ROOT = Path(__file__).resolve().parents[2]
_DEMO = [sys.executable, "-m", "local.demo"]
# The demo within a terminal of its own, whose keyboard is this program's standard input.
_IN_TERMINAL = [
    sys.executable,
    "-c",
    f"import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn({_DEMO!r})))",
]
# recording, route, bytes, both checksums, failed tries, seconds
_ROW = re.compile(
    r"^\| (\S+(?: \d/3)?) +\| (\w+) +\| +([\d,]+) \| (\w+) \| (\w+) \| +(\d+) \| +([\d.]+) s \|$", re.MULTILINE
)


class _Running:
    """The demo as a child; all that it starts carries `mark` in its environment."""

    def __init__(self, process: subprocess.Popen[bytes], mark: str, temporary: Path) -> None:
        self.process, self.mark, self.temporary = process, mark, temporary
        self.output = b""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        while piece := os.read(self.process.stdout.fileno(), 65_536):
            self.output += piece

    def text(self) -> str:
        return self.output.decode(errors="replace")

    def ends_with(self, seconds: float) -> int:
        code = self.process.wait(seconds)
        self._reader.join(10)
        return code

    def left(self) -> list[str]:
        """Processes of this demo that still run; none where the system does not tell (no /proc)."""
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                if self.mark.encode() in (folder / "environ").read_bytes():
                    found.append((folder / "cmdline").read_bytes().replace(b"\0", b" ").decode())
            except OSError:
                continue  # it ended while we looked
        return found


@contextmanager
def _running(command: Sequence[str], temporary: Path, **environment: str) -> Iterator[_Running]:
    mark = f"demo-{uuid.uuid4()}"
    inherited = {name: value for name, value in os.environ.items() if name not in ("CI", "NO_COLOR")}
    process = subprocess.Popen(
        list(command),
        cwd=ROOT,
        env={**inherited, "DEMO_TEST_MARK": mark, "TMPDIR": str(temporary), **environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    running = _Running(process, mark, temporary)
    try:
        yield running
    finally:
        end_group(process)
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                stream.close()


def test_the_demo_ends_with_four_whole_recordings(tmp_path: Path) -> None:
    """Exit code 0 in under 90 s, plain lines, a table in which every chunk is the same on both sides."""
    began = time.monotonic()
    with _running(_DEMO, tmp_path, NO_COLOR="1") as demo:
        assert demo.ends_with(90) == 0, demo.text()
    assert time.monotonic() - began < 90
    rows = _ROW.findall(demo.text())
    assert [(row[0], row[1]) for row in rows] == [
        ("exported", "exported"),
        ("outage", "rescued"),
        ("one-of-three 1/3", "exported"),
        ("one-of-three 2/3", "rescued"),
        ("one-of-three 3/3", "exported"),
        ("no-container", "delivered"),
    ]
    assert all(source == container for _, _, _, source, container, _, _ in rows)
    tries = {row[0]: int(row[5]) for row in rows}
    assert tries["outage"] >= 1
    assert tries["no-container"] >= 1
    assert sum(int(row[2].replace(",", "")) for row in rows) == 80_000_000
    assert re.search(r"ACS keeps it for 23:59:\d\d", demo.text())
    assert "\x1b" not in demo.text()
    assert demo.left() == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("sign", "number"),
    [
        ("start on this machine", signal.SIGINT),
        ("POST /api/recordings: 201", signal.SIGTERM),
        ("block by block", signal.SIGINT),
    ],
)
def test_a_stopped_demo_leaves_nothing_behind(tmp_path: Path, sign: str, number: signal.Signals) -> None:
    """While it starts, between two starts, and in the middle of a rescue; a second signal disturbs nothing."""
    with _running(_DEMO, tmp_path) as demo:
        eventually(lambda: sign in demo.text() or demo.process.poll() is not None, seconds=60)
        demo.process.send_signal(number)
        time.sleep(0.05)
        demo.process.send_signal(number)
        assert demo.ends_with(30) == 130, demo.text()
        eventually(lambda: not demo.left(), what="the end of all processes")
    assert "Traceback" not in demo.text()
    assert list(tmp_path.iterdir()) == []


def test_ctrl_c_on_a_terminal_ends_the_live_demo(tmp_path: Path) -> None:
    """The key itself, on a terminal with the live table drawn."""
    with _running(_IN_TERMINAL, tmp_path, TERM="xterm-256color", COLUMNS="120", LINES="40") as demo:
        assert demo.process.stdin is not None
        eventually(lambda: "The calls end" in demo.text() or demo.process.poll() is not None, seconds=60)
        demo.process.stdin.write(b"\x03")
        demo.process.stdin.flush()
        assert demo.ends_with(30) == 130, demo.text()
        eventually(lambda: not demo.left(), what="the end of all processes")
    assert "ACS keeps it" in demo.text()
    assert "\x1b[" in demo.text()
    assert "nothing is left running" in demo.text()
    assert list(tmp_path.iterdir()) == []
