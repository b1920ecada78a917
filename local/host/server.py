"""`Host`: an app served in this process, on a separate thread. For tests and small tools."""

from __future__ import annotations

import asyncio
import socket
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Self

from local.host.runtime import GRACE, Runtime, RuntimeOptions

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import timedelta
    from pathlib import Path
    from types import TracebackType

_START_SECONDS = 60.0
_EXTRA = 10.0


class Host:
    """Serves one function app in this process: `with Host(folder, settings={…}) as host: host.url`.

    One at a time, because the app uses the process's modules and environment. `lines`: what host and app logged;
    `write` gets each line instead. `grace`: seconds for running functions at the stop. `queue_lease`: see
    `QueueListener`. RuntimeError from `start` if the port, host.json or the settings cannot be used.
    """

    def __init__(
        self,
        app_dir: Path,
        *,
        settings: Mapping[str, str] | None = None,
        settings_file: str = "local.settings.json",
        port: int = 0,
        queue_lease: timedelta | None = None,
        grace: float = GRACE,
        write: Callable[[str], None] | None = None,
    ) -> None:
        self.lines: list[str] = []
        options = RuntimeOptions(
            app_dir=app_dir.resolve(),
            settings=settings or {},
            settings_file=settings_file,
            write=write or self.lines.append,
        )
        self._options = options if queue_lease is None else replace(options, queue_lease=queue_lease)
        self._port = port
        self._grace = grace
        self._thread: threading.Thread | None = None
        self._started = threading.Event()
        self._failure: BaseException | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self.url = ""
        self.listing: list[str] = []
        self.problems: list[str] = []

    def start(self) -> None:
        """Loads the app and returns once it is served."""
        self._started.clear()
        self._thread = threading.Thread(target=self._main, name="local-host", daemon=True)
        self._thread.start()
        if not self._started.wait(_START_SECONDS):
            raise RuntimeError(f"the host did not start within {_START_SECONDS:.0f} s")
        if self._failure is not None:
            self._thread.join()
            raise RuntimeError(f"the host cannot start: {self._failure}")

    def stop(self) -> None:
        """Stops gracefully, after `grace` at most."""
        if self._loop is not None and self._stop is not None and self._thread is not None:
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join(timeout=self._grace + _EXTRA)
            self._loop = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, stack: TracebackType | None
    ) -> None:
        self.stop()

    def _main(self) -> None:
        self._failure = None
        try:
            asyncio.run(self._serve())
        except BaseException as error:  # noqa: BLE001 - raised by start() in its thread
            self._failure = error
        finally:
            self._started.set()

    async def _serve(self) -> None:
        runtime = Runtime(self._options)
        listening = listen(self._port)
        stop = asyncio.Event()
        try:
            await runtime.start(listening)
            self.url = f"http://127.0.0.1:{listening.getsockname()[1]}"
            self.listing, self.problems = runtime.listing, runtime.problems
            self._loop, self._stop = asyncio.get_running_loop(), stop
            self._started.set()
            await stop.wait()
        finally:
            await runtime.stop(grace=self._grace)
            listening.close()


def listen(port: int) -> socket.socket:
    """A socket bound to 127.0.0.1; port 0: a free one. OSError if the port is taken."""
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind(("127.0.0.1", port))
    except OSError:
        bound.close()
        raise
    return bound
