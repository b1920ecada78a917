"""`Host`: an app served in this process, on a separate thread. For tests and small tools."""

from __future__ import annotations

import socket
from dataclasses import replace
from typing import TYPE_CHECKING

from local.host.runtime import GRACE, Runtime, RuntimeOptions
from local.http_server import LoopThread

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Mapping
    from datetime import timedelta
    from pathlib import Path

_START_SECONDS = 60.0
_EXTRA = 10.0


class Host(LoopThread):
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
        super().__init__("the host", start_seconds=_START_SECONDS, stop_seconds=grace + _EXTRA)
        self.lines: list[str] = []
        options = RuntimeOptions(
            app_dir=app_dir.resolve(),
            settings=settings or {},
            settings_file=settings_file,
            write=write or self.lines.append,
        )
        self._options = options if queue_lease is None else replace(options, queue_lease=queue_lease)
        self._port, self._grace = port, grace
        self.url = ""
        self.listing: list[str] = []
        self.problems: list[str] = []

    async def _serve(self, stop: asyncio.Event) -> None:
        runtime = Runtime(self._options)
        listening = listen(self._port)
        try:
            await runtime.start(listening)
            self.url = f"http://127.0.0.1:{listening.getsockname()[1]}"
            self.listing, self.problems = runtime.listing, runtime.problems
            self._ready()
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
