"""The services and the app together, for the demo, the end-to-end tests and chaos.

with Stack(workers=2) as stack:
    stack.acs …; stack.host_url …; stack.kill_worker()
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Self

from local.host import Host
from local.services import CONTAINER, ROOT, Services

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from local.acs import AcsConfig, AcsEmulator
    from local.azurite import Azurite
    from local.clock import Clock
    from local.eventgrid import EventGrid

_READY_SECONDS = 60.0
_STOP_SECONDS = 20.0
_LOOK_AGAIN = 0.02
_WORKER = re.compile(r"^worker (\d+) pid (\d+)$", re.MULTILINE)
_VERDICT = re.compile(r"^(ready|failed) (.*)$", re.MULTILINE)
_TAIL = 4000
# No proxy for the services.
_DIRECT = {"NO_PROXY": "127.0.0.1,localhost", "no_proxy": "127.0.0.1,localhost"}


class StackError(RuntimeError):
    """The host did not start, or is not in the state that a call needs; the message ends with the tail of its log."""


class HostProcess:
    """`python -m local.host` as a child of this process; it ends with this process, even if that is killed.

    `environment` is added to this process's own. `log`: the file for its output. `url` is known once started, and the
    same after `stop` and `start`; `environment` may be changed in between.
    """

    def __init__(
        self, app_dir: Path, *, environment: Mapping[str, str], log: Path, workers: int = 1, queue_lease: float = 600.0
    ) -> None:
        self._app_dir = app_dir
        self.environment = dict(environment)
        self.log = log
        self._workers = workers
        self._queue_lease = queue_lease
        self._port = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._begin = 0

    @property
    def url(self) -> str:
        """`http://127.0.0.1:port`."""
        return f"http://127.0.0.1:{self._port}"

    def start(self, *, timeout: float = _READY_SECONDS) -> None:
        """Returns once all workers serve. StackError if they do not within `timeout` seconds."""
        command = [sys.executable, "-m", "local.host", "--app-dir", str(self._app_dir), "--port", str(self._port)]
        command += ["--workers", str(self._workers), "--stop-on-eof", "--settings", ""]
        command += ["--queue-lease", str(self._queue_lease)]
        with self.log.open("ab") as output:
            self._begin = output.tell()
            self._process = subprocess.Popen(
                command,
                cwd=ROOT,
                env={**os.environ, **_DIRECT, **self.environment, "PYTHONUNBUFFERED": "1"},
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C reaches this process only, which then stops it
            )
        until = time.monotonic() + timeout
        while not (verdict := _VERDICT.search(self.text())):
            if self._process.poll() is not None or time.monotonic() > until:
                self.stop()
                raise StackError(f"the host did not start:\n{self.text()[-_TAIL:]}")
            time.sleep(_LOOK_AGAIN)
        if verdict[1] == "failed":
            self.stop()
            raise StackError(f"the host cannot start: {verdict[2]}")
        self._port = int(verdict[2].rsplit(":", 1)[1])

    def stop(self) -> None:
        """Stops it gracefully, or kills it after 20 s; does nothing if it does not run."""
        process, self._process = self._process, None
        if process is None:
            return
        if process.stdin is not None:
            process.stdin.close()  # the request to end
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def text(self) -> str:
        """The output since the last start."""
        with self.log.open("rb") as log:
            log.seek(self._begin)
            return log.read().decode(errors="replace")

    def worker_pids(self) -> dict[int, int]:
        """The process id of each worker, by its number, as last reported."""
        return {int(index): int(pid) for index, pid in _WORKER.findall(self.text())}


class _InProcess:
    """The host in this process, with the interface of `HostProcess`."""

    def __init__(self, app_dir: Path, *, environment: Mapping[str, str], log: Path, queue_lease: float) -> None:
        self._app_dir = app_dir
        self.environment = dict(environment)
        self.log = log
        self._queue_lease = timedelta(seconds=queue_lease)
        self._port = 0
        self._host: Host | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        host = Host(
            self._app_dir,
            settings=self.environment,
            settings_file="",
            port=self._port,
            queue_lease=self._queue_lease,
            write=self._write,
        )
        try:
            host.start()
        except RuntimeError as error:
            raise StackError(str(error)) from error
        self._host, self._port = host, int(host.url.rsplit(":", 1)[1])

    def stop(self) -> None:
        host, self._host = self._host, None
        if host is not None:
            host.stop()

    def text(self) -> str:
        return self.log.read_text(encoding="utf-8")

    def worker_pids(self) -> dict[int, int]:
        return {}

    def _write(self, line: str) -> None:
        with self.log.open("a", encoding="utf-8") as log:
            log.write(line)


class Stack:
    """The services and the app, which all stop when the block ends.

    `workers`: processes of the host; 0: it runs in this process. `app_dir`: the function app's folder. `settings`: over
    those for the services. `queue_lease`: seconds after which a killed worker's queue messages are visible again (in
    Azure: 600). `log_dir`: kept after the end; default: a temporary folder. Attributes: `services`, `host_log` (a
    file), `settings` (all settings of the host).
    """

    def __init__(
        self,
        *,
        workers: int = 1,
        app_dir: Path = ROOT,
        settings: Mapping[str, str] | None = None,
        clock: Clock | None = None,
        acs_config: AcsConfig | None = None,
        containers: Sequence[str] = (CONTAINER,),
        queue_lease: float = 600.0,
        log_dir: Path | None = None,
        seed: int = 0,
    ) -> None:
        self.services = Services(clock=clock, acs_config=acs_config, containers=containers, seed=seed)
        self.settings: dict[str, str] = {}
        self._more_settings = dict(settings or {})
        self._app_dir = app_dir
        self._workers = workers
        self._queue_lease = queue_lease
        self._log_dir = log_dir
        self._running = ExitStack()
        self._host: HostProcess | _InProcess | None = None
        self._killed: set[int] = set()

    def __enter__(self) -> Self:
        with ExitStack() as started:
            started.enter_context(self.services)
            folder = self._log_dir or Path(started.enter_context(tempfile.TemporaryDirectory(prefix="stack-")))
            folder.mkdir(parents=True, exist_ok=True)
            self.settings = {**self.services.settings, **self._more_settings}
            self._host = self._make_host(folder / "host.log")
            started.callback(self._host.stop)
            self._host.start()
            self.services.subscribe(self.host_url)
            self._running = started.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._running.close()

    def _make_host(self, log: Path) -> HostProcess | _InProcess:
        if not self._workers:
            return _InProcess(self._app_dir, environment=self.settings, log=log, queue_lease=self._queue_lease)
        return HostProcess(
            self._app_dir,
            environment=self.settings,
            log=log,
            workers=self._workers,
            queue_lease=self._queue_lease,
        )

    @property
    def host(self) -> HostProcess | _InProcess:
        """The host process; `StackError` before the start."""
        if self._host is None:
            raise StackError("this stack was not started")
        return self._host

    @property
    def host_url(self) -> str:
        """The app's URL; the same after `restart_host`."""
        return self.host.url

    @property
    def host_log(self) -> Path:
        """The file with the output of host and app."""
        return self.host.log

    @property
    def azurite(self) -> Azurite:
        """The storage emulator."""
        return self.services.azurite

    @property
    def acs(self) -> AcsEmulator:
        """The ACS emulator."""
        return self.services.acs

    @property
    def eventgrid(self) -> EventGrid:
        """Event Grid."""
        return self.services.eventgrid

    @property
    def clock(self) -> Clock:
        """The clock of the services; the app runs in real time."""
        return self.services.clock

    def restart_host(self) -> None:
        """Stops the host gracefully and starts it on the same port, with the present `settings`."""
        self.host.stop()
        self.host.environment = self.settings
        self.host.start()

    def kill_worker(self, index: int = 0) -> int:
        """Kills one worker process as a crash would (SIGKILL); the host restarts it. Returns the killed process's id.

        If the worker was just killed, waits for its restart first. StackError if that takes too long, or if there is
        no worker (`workers=0`).
        """
        if not self._workers:
            raise StackError("the host runs in this process: there is no worker to kill")
        until = time.monotonic() + _READY_SECONDS
        while (pid := self.host.worker_pids().get(index)) is None or pid in self._killed:
            if time.monotonic() > until:
                raise StackError(f"worker {index} was not restarted:\n{self.host.text()[-_TAIL:]}")
            time.sleep(_LOOK_AGAIN)
        os.kill(pid, signal.SIGKILL)
        self._killed.add(pid)
        return pid
