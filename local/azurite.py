"""Starts and stops Azurite, the storage emulator, blob and queue, as a child of this process.

    with Azurite() as azurite:
        BlobServiceClient.from_connection_string(azurite.connection_string)

Azurite has its own process group, so that Ctrl-C in a terminal reaches the starting process only, which then stops it.
It ends by itself when that process dies, even by SIGKILL and even while paused.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Self

from local.node import MODULES, find_node

ACCOUNT = "devstoreaccount1"
"""The emulator's well-known account."""

# The account's published key: the same on every machine, so no secret.
ACCOUNT_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="

HOST = "127.0.0.1"

_START_SECONDS = 60.0
_STOP_SECONDS = 10.0
_POLL_SECONDS = 0.02
_LOG_TAIL = 2000

# The starting process holds the other end of Azurite's standard input and never writes to it: the end of the input
# means that the process has ended. (PR_SET_PDEATHSIG would follow the starting *thread*, which may end early.)
# Without `unref` the open input would keep Azurite from ending after SIGTERM.
_EXIT_WITH_PARENT = (
    'data:text/javascript,const i=process.stdin,f=()=>process.exit();i.on("end",f).on("error",f).resume();i.unref()'
)

_LISTENING = re.compile(r"Azurite (Blob|Queue) service is successfully listening at http://[\d.]+:(\d+)")


class AzuriteError(RuntimeError):
    """Azurite is not installed, did not start, or is not in the state that a call needs."""


class Azurite:
    """One Azurite: blob and queue on 127.0.0.1.

    All data are in memory. `blob_port`, `queue_port`: 0: a free port, known once started and the same after `stop` and
    `start`, so that an outage ends at the same address. `folder`: of the log; default: a temporary one until `stop`.
    """

    def __init__(self, *, blob_port: int = 0, queue_port: int = 0, folder: Path | None = None) -> None:
        self.blob_port = blob_port
        self.queue_port = queue_port
        self.account_key = ACCOUNT_KEY
        self._folder = folder
        self._temporary: Path | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._is_paused = False

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def blob_url(self) -> str:
        """The blob service's URL with the account, without a slash at the end."""
        return f"http://{HOST}:{self.blob_port}/{ACCOUNT}"

    @property
    def queue_url(self) -> str:
        """The queue service's URL with the account, without a slash at the end."""
        return f"http://{HOST}:{self.queue_port}/{ACCOUNT}"

    @property
    def connection_string(self) -> str:
        """For the storage SDKs and `AzureWebJobsStorage`."""
        return (
            f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={ACCOUNT_KEY};"
            f"BlobEndpoint={self.blob_url};QueueEndpoint={self.queue_url};"
        )

    @property
    def pid(self) -> int:
        """The id of the running process. AzuriteError if there is none."""
        return self._running().pid

    def start(self) -> Self:
        """Returns once both ports respond. AzuriteError with the end of the log if they do not."""
        if self._process is not None:
            raise AzuriteError("this Azurite is running already")
        script = MODULES / "azurite" / "dist" / "src" / "azurite.js"
        if not script.is_file():
            raise AzuriteError("Azurite is not installed: run `make setup`")
        try:
            log = self._launch(script)
            self._wait_until_listening(log)
        except BaseException:  # Ctrl-C, too: nothing is left behind
            self.stop()
            raise
        return self

    def _launch(self, script: Path) -> Path:
        """Starts the process; returns its log file."""
        folder = self._folder
        if folder is None:
            folder = self._temporary = Path(tempfile.mkdtemp(prefix="azurite-"))
        folder.mkdir(parents=True, exist_ok=True)
        log = folder / "azurite.log"
        node = find_node()
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                node.command("node", "--import", _EXIT_WITH_PARENT, str(script), *self._options()),
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=folder,
                env=node.environment(),
                process_group=0,
            )
        return log

    def stop(self) -> None:
        """Ends the process, if any, at once: its data are in memory."""
        process, self._process = self._process, None
        self._is_paused = False
        if process is not None:
            process.kill()
            process.wait(_STOP_SECONDS)
            if process.stdin is not None:
                process.stdin.close()
        if self._temporary is not None:
            shutil.rmtree(self._temporary, ignore_errors=True)
            self._temporary = None

    def pause(self) -> None:
        """Freezes the process: the system accepts connections, but there is no response. Does nothing if paused."""
        pid = self.pid
        if self._is_paused:
            return  # the system reports a stop only once
        os.kill(pid, signal.SIGSTOP)
        # All its threads are stopped only once the system reports it. From then on the death of the starting process
        # ends Azurite, too: a stopped, orphaned process group gets SIGHUP and SIGCONT.
        os.waitpid(pid, os.WUNTRACED)
        self._is_paused = True

    def resume(self) -> None:
        """Ends a `pause`; waiting requests are processed now."""
        os.kill(self.pid, signal.SIGCONT)
        self._is_paused = False

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise AzuriteError("this Azurite is not running")
        return self._process

    def _options(self) -> list[str]:
        options = ["--silent", "--disableTelemetry", "--skipApiVersionCheck", "--inMemoryPersistence"]
        ports = {"blob": self.blob_port, "queue": self.queue_port, "table": 0}
        for service, port in ports.items():
            options += [f"--{service}Host", HOST, f"--{service}Port", str(port)]
        return options

    def _wait_until_listening(self, log: Path) -> None:
        """Reads the chosen ports from the log, so that no other program can take them first."""
        process = self._running()
        give_up = time.monotonic() + _START_SECONDS
        while True:
            text = log.read_text(errors="replace")
            ports = {service: int(port) for service, port in _LISTENING.findall(text)}
            if len(ports) == len(("Blob", "Queue")):
                break
            if process.poll() is not None:
                raise AzuriteError(f"Azurite ended with exit code {process.returncode}:\n{text[-_LOG_TAIL:]}")
            if time.monotonic() > give_up:
                raise AzuriteError(f"Azurite was not up after {_START_SECONDS:.0f} s:\n{text[-_LOG_TAIL:]}")
            time.sleep(_POLL_SECONDS)
        self.blob_port, self.queue_port = ports["Blob"], ports["Queue"]
        for port in (self.blob_port, self.queue_port):
            socket.create_connection((HOST, port), timeout=_STOP_SECONDS).close()
