"""Keeps the worker processes of one app running: starts, restarts and ends them.

The supervisor binds and keeps the listening socket and never loads the app itself, so that a worker can be killed at
any moment: connections wait in the socket's queue until another worker, or the next one, accepts them.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from local.host.logs import HostLog
from local.host.runtime import GRACE
from local.host.server import listen

if TYPE_CHECKING:
    from collections.abc import Callable

_ROOT = Path(__file__).resolve().parents[2]
# A worker that dies sooner than this after its start is restarted after a growing pause.
_SHORT_LIFE, _FIRST_PAUSE, _LONGEST_PAUSE = 5.0, 0.1, 5.0
# Added to the grace before a worker is killed.
_EXTRA = 5.0


@dataclass(frozen=True, kw_only=True)
class SupervisorOptions:
    """The command line. `queue_lease` and `grace` in seconds. `stop_on_eof`: end when standard input does."""

    app_dir: Path
    port: int = 7071
    workers: int = 1
    settings_file: str = "local.settings.json"
    queue_lease: float = 600.0
    grace: float = GRACE
    stop_on_eof: bool = False


class _Slot:
    """One of the workers: its present process, and the report of the last one that started."""

    def __init__(self, index: int) -> None:
        self.index = index
        self.process: asyncio.subprocess.Process | None = None
        self.report: dict[str, Any] | None = None
        self.pause = 0.0

    def signal(self, number: signal.Signals) -> None:
        if self.process is not None and self.process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self.process.send_signal(number)


class Supervisor:
    """Runs `workers` processes on one port until `stop`, SIGINT or SIGTERM. `write` gets the printed lines."""

    def __init__(self, options: SupervisorOptions, *, write: Callable[[str], None] | None = None) -> None:
        self._options = options
        self._write = write or _print
        self._log = HostLog(write=write)
        self._slots = [_Slot(index) for index in range(options.workers)]
        self._ending = False
        self._is_announced = False
        self._code = 0

    async def run(self) -> int:
        """Serves until stopped. Returns the exit code: 1 if the port is taken, or the app cannot be configured."""
        try:
            listening = listen(self._options.port)
        except OSError as error:
            self._write(f"failed port {self._options.port} is unavailable: {error.strerror}\n")
            return 1
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self.stop)
        if self._options.stop_on_eof:
            loop.add_reader(sys.stdin.fileno(), self._on_input)
        with listening:
            await asyncio.gather(*(self._keep(slot, listening) for slot in self._slots))
        return self._code

    def _on_input(self) -> None:
        """The starter closed the standard input: it wants the end, or is gone."""
        if not os.read(sys.stdin.fileno(), 4096):
            asyncio.get_running_loop().remove_reader(sys.stdin.fileno())
            self.stop()

    def stop(self) -> None:
        """Ends all workers gracefully; a second call kills them."""
        if self._ending:
            self._kill()
            return
        self._ending = True
        for slot in self._slots:
            slot.signal(signal.SIGTERM)
        asyncio.get_running_loop().call_later(self._options.grace + _EXTRA, self._kill)

    def _is_ending(self) -> bool:
        return self._ending

    def _kill(self) -> None:
        for slot in self._slots:
            slot.signal(signal.SIGKILL)

    async def _keep(self, slot: _Slot, listening: socket.socket) -> None:
        """Runs a process in this slot until the end."""
        while not self._ending:
            begun = time.monotonic()
            code = await self._live(slot, listening)
            if self._is_ending():
                return
            is_short = time.monotonic() - begun < _SHORT_LIFE
            slot.pause = min(max(slot.pause * 2, _FIRST_PAUSE), _LONGEST_PAUSE) if is_short else 0.0
            self._log.error(f"Worker {slot.index} ended ({_ended(code)}); started again in {slot.pause:.1f} s")
            await asyncio.sleep(slot.pause)

    async def _live(self, slot: _Slot, listening: socket.socket) -> int:
        """One life of a worker; returns its exit code."""
        ours, theirs = socket.socketpair()
        with theirs:
            slot.process = await asyncio.create_subprocess_exec(
                *self._command(slot, listening.fileno(), theirs.fileno()),
                cwd=self._options.app_dir,
                env=_environment(),
                pass_fds=(listening.fileno(), theirs.fileno()),
                stdin=asyncio.subprocess.DEVNULL,
            )
        if self._ending:  # stop() was called before the process existed
            slot.signal(signal.SIGTERM)
        reader, writer = await asyncio.open_connection(sock=ours)
        try:
            if line := await _line(reader):
                slot.report = json.loads(line)
                self._write(f"worker {slot.index} pid {slot.process.pid}\n")
                self._announce(slot.report)
            return await slot.process.wait()
        finally:
            writer.close()

    def _command(self, slot: _Slot, listen_fd: int, control_fd: int) -> list[str]:
        options = self._options
        command = [sys.executable, "-P", "-m", "local.host.worker", "--app-dir", str(options.app_dir)]
        command += ["--settings", options.settings_file, "--index", str(slot.index), "--grace", str(options.grace)]
        command += ["--listen-fd", str(listen_fd), "--control-fd", str(control_fd)]
        command += ["--queue-lease", str(options.queue_lease)]
        return command + (["--label", f"w{slot.index}"] if options.workers > 1 else [])

    def _announce(self, report: Any) -> None:
        """Prints the function list and a line for starters to wait for, once all workers have started."""
        if self._is_announced:
            return
        if "failure" in report:
            self._is_announced = True
            self._code = 1
            self._write(f"failed {report['failure']}\n")
            self.stop()
        elif all(slot.report for slot in self._slots):
            self._is_announced = True
            self._write("\nFunctions:\n\n" + "".join(f"        {line}\n\n" for line in report["listing"] or ["none"]))
            for problem in report["problems"]:
                self._log.error(problem)
            self._write(f"ready {report['origin']}\n")


async def _line(reader: asyncio.StreamReader) -> bytes:
    """The worker's report; b"" if it died before it sent one."""
    try:
        return await reader.readline()
    except ConnectionError:
        return b""


def _environment() -> dict[str, str]:
    """Lets the worker find this package by PYTHONPATH, wherever the app's folder is."""
    path = os.pathsep.join(filter(None, (str(_ROOT), os.environ.get("PYTHONPATH"))))
    return {**os.environ, "PYTHONPATH": path}


def _ended(code: int) -> str:
    return f"exit code {code}" if code >= 0 else signal.Signals(-code).name


def _print(line: str) -> None:
    sys.stdout.write(line)
    sys.stdout.flush()
