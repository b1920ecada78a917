"""Keeps the worker processes of one app running: starts, restarts, reloads and ends them.

The supervisor binds and keeps the listening socket and never loads the app itself, so that a worker may be killed at
any moment: connections wait in the socket's queue until another worker, or the next one, takes them.
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
from local.host.reload import changes
from local.host.runtime import GRACE
from local.host.server import listen

if TYPE_CHECKING:
    from collections.abc import Callable

_ROOT = Path(__file__).resolve().parents[2]
# A worker that dies sooner than this after its start waits longer and longer before it is started again.
_SHORT_LIFE, _FIRST_PAUSE, _LONGEST_PAUSE = 5.0, 0.1, 5.0
# What a worker may take over its grace before it is killed.
_EXTRA = 5.0


@dataclass(frozen=True, kw_only=True)
class SupervisorOptions:
    """What the command line says. `queue_lease` and `grace` in seconds. `stop_on_eof`: end when standard input does."""

    app_dir: Path
    port: int = 7071
    workers: int = 1
    reload: bool = True
    settings_file: str = "local.settings.json"
    queue_lease: float = 600.0
    grace: float = GRACE
    stop_on_eof: bool = False


class _Place:
    """One place among the workers, and the process that holds it now."""

    def __init__(self, index: int) -> None:
        self.index = index
        self.process: asyncio.subprocess.Process | None = None
        self.report: dict[str, Any] | None = None
        self.reloading = False
        self.pause = 0.0

    def signal(self, number: signal.Signals) -> None:
        if self.process is not None and self.process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self.process.send_signal(number)


class Supervisor:
    """Runs `workers` processes on one port until `stop`, SIGINT or SIGTERM. `write` takes the printed lines."""

    def __init__(self, options: SupervisorOptions, *, write: Callable[[str], None] | None = None) -> None:
        self._options = options
        self._write = write or _print
        self._log = HostLog(write=write)
        self._places = [_Place(index) for index in range(options.workers)]
        self._ending = False
        self._announced = False

    async def run(self) -> int:
        """Serves until told to stop; returns the exit code (1: the port is taken)."""
        try:
            listening = listen(self._options.port)
        except OSError as error:
            self._write(f"failed port {self._options.port} is unavailable: {error.strerror}\n")
            return 1
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self.stop)
        if self._options.stop_on_eof:
            loop.add_reader(sys.stdin.fileno(), self._at_input)
        with listening:
            watcher = asyncio.create_task(self._watch()) if self._options.reload else None
            await asyncio.gather(*(self._keep(place, listening) for place in self._places))
            if watcher is not None:
                watcher.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await watcher
        return 0

    def _at_input(self) -> None:
        """The starter's end of the standard input is closed: it asks for the end, or is gone."""
        if not os.read(sys.stdin.fileno(), 4096):
            asyncio.get_running_loop().remove_reader(sys.stdin.fileno())
            self.stop()

    def stop(self) -> None:
        """Ends all workers gracefully; called again, at once."""
        if self._ending:
            self._kill()
            return
        self._ending = True
        for place in self._places:
            place.signal(signal.SIGTERM)
        asyncio.get_running_loop().call_later(self._options.grace + _EXTRA, self._kill)

    def _is_ending(self) -> bool:
        return self._ending

    def _kill(self) -> None:
        for place in self._places:
            place.signal(signal.SIGKILL)

    async def _keep(self, place: _Place, listening: socket.socket) -> None:
        """Holds one place: a process runs in it until the end."""
        while not self._ending:
            begun = time.monotonic()
            code = await self._live(place, listening)
            if self._is_ending():
                return
            if place.reloading:
                place.reloading = False
                continue
            short = time.monotonic() - begun < _SHORT_LIFE
            place.pause = min(max(place.pause * 2, _FIRST_PAUSE), _LONGEST_PAUSE) if short else 0.0
            self._log.error(f"Worker {place.index} ended ({_ended(code)}); started again in {place.pause:.1f} s")
            await asyncio.sleep(place.pause)

    async def _live(self, place: _Place, listening: socket.socket) -> int:
        """One life of a worker: from its start to its exit code."""
        ours, theirs = socket.socketpair()
        with theirs:
            place.process = await asyncio.create_subprocess_exec(
                *self._command(place, listening.fileno(), theirs.fileno()),
                cwd=self._options.app_dir,
                env=_environment(),
                pass_fds=(listening.fileno(), theirs.fileno()),
                stdin=asyncio.subprocess.DEVNULL,
            )
        if self._ending:  # stop() came while the process was being made and could not reach it
            place.signal(signal.SIGTERM)
        reader, writer = await asyncio.open_connection(sock=ours)
        try:
            if line := await _line(reader):
                place.report = json.loads(line)
                self._write(f"worker {place.index} pid {place.process.pid}\n")
                self._announce()
            return await place.process.wait()
        finally:
            writer.close()

    def _command(self, place: _Place, listen_fd: int, control_fd: int) -> list[str]:
        options = self._options
        command = [sys.executable, "-P", "-m", "local.host.worker", "--app-dir", str(options.app_dir)]
        command += ["--settings", options.settings_file, "--index", str(place.index), "--grace", str(options.grace)]
        command += ["--listen-fd", str(listen_fd), "--control-fd", str(control_fd)]
        command += ["--queue-lease", str(options.queue_lease)]
        return command + (["--label", f"w{place.index}"] if options.workers > 1 else [])

    def _announce(self) -> None:
        """Prints the function list and one line for starters to wait for, once all workers have reported."""
        reports = [place.report for place in self._places if place.report is not None]
        if self._announced or len(reports) < len(self._places):
            return
        self._announced = True
        first = reports[0]
        if first["failure"]:
            self._write(f"failed {first['failure']}\n")
            return
        self._write("\nFunctions:\n\n" + "".join(f"        {line}\n\n" for line in first["listing"] or ["none"]))
        for problem in first["problems"]:
            self._log.error(problem)
        self._write(f"ready {first['origin']}\n")

    async def _watch(self) -> None:
        async for names in changes(self._options.app_dir, self._options.settings_file):
            self._log.info(f"Change of {', '.join(names)}: the host restarts")
            self._announced = False
            for place in self._places:
                place.reloading = place.process is not None and place.process.returncode is None
                place.report = None
                place.signal(signal.SIGTERM)


async def _line(reader: asyncio.StreamReader) -> bytes:
    """The worker's report; b"" if it died before it had one."""
    try:
        return await reader.readline()
    except ConnectionError:
        return b""


def _environment() -> dict[str, str]:
    """The worker finds this package by PYTHONPATH, wherever the app's folder is."""
    path = os.pathsep.join(filter(None, (str(_ROOT), os.environ.get("PYTHONPATH"))))
    return {**os.environ, "PYTHONPATH": path}


def _ended(code: int) -> str:
    return f"exit code {code}" if code >= 0 else signal.Signals(-code).name


def _print(line: str) -> None:
    sys.stdout.write(line)
    sys.stdout.flush()
