"""One app running on one event loop: HTTP, queue listeners and timers, from start to graceful stop."""

from __future__ import annotations

import logging
import os
import traceback
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from aiohttp import web

from local.host.config import ConfigError, HostConfig, read_host_json, read_settings
from local.host.connections import MissingConnectionError, connection_string
from local.host.invoke import Invoker
from local.host.loader import IndexingError, Loaded, load
from local.host.logs import HostLog
from local.host.model import QUEUE, TIMER, Function
from local.host.process import AppModules, Environment
from local.host.queues import LEASE, QueueListener
from local.host.timers import TimerListener
from local.host.web import WebFront

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Mapping
    from datetime import timedelta
    from pathlib import Path

GRACE = 5.0
_BACKLOG = 1024


@dataclass(frozen=True, kw_only=True)
class RuntimeOptions:
    """How to run an app.

    `settings`: environment variables for the app, over the present ones, which win over the settings file. `timers`:
    whether this process runs the timers (one of several does). `queue_lease`: see `QueueListener`.
    """

    app_dir: Path
    settings_file: str = "local.settings.json"
    settings: Mapping[str, str] = field(default_factory=dict)
    timers: bool = True
    queue_lease: timedelta = LEASE
    label: str = ""
    write: Callable[[str], None] | None = None
    on_timeout: Callable[[], None] | None = None


class Runtime:
    """Runs one function app. `listing`: its functions with their URLs; `problems`: what was refused, and why."""

    def __init__(self, options: RuntimeOptions) -> None:
        self._options = options
        self.origin = ""
        self.listing: list[str] = []
        self.problems: list[str] = []
        self._log = HostLog(write=options.write, label=options.label)
        self._invoker: Invoker | None = None
        self._queues: list[QueueListener] = []
        self._timers: list[TimerListener] = []
        self._runner: web.AppRunner | None = None
        self._modules = AppModules(options.app_dir)
        self._environment = Environment()
        self._root_level = logging.getLogger().level

    async def start(self, listening: socket.socket) -> None:
        """Loads the app and serves it on `listening`. ConfigError if host.json or the settings cannot be used.

        An app that cannot be indexed is served without functions, as by the real host.
        """
        self.origin = f"http://127.0.0.1:{listening.getsockname()[1]}"
        application = self._load(self._configure())
        self._runner = web.AppRunner(application, access_log=None, handle_signals=False, shutdown_timeout=2.0)
        await self._runner.setup()
        await web.SockSite(self._runner, listening, backlog=_BACKLOG).start()
        for queue in self._queues:
            queue.start()
        for timer in self._timers:
            timer.start()

    def _configure(self) -> HostConfig:
        config = read_host_json(self._options.app_dir)
        values = read_settings(self._options.app_dir / self._options.settings_file)
        wanted = {"AZURE_FUNCTIONS_ENVIRONMENT": "Development", **values}
        self._environment.set({name: value for name, value in wanted.items() if name not in os.environ})
        self._environment.set(self._options.settings)
        self._log = HostLog(levels=config.log_levels, write=self._options.write, label=self._options.label)
        if (runtime := os.environ.get("FUNCTIONS_WORKER_RUNTIME", "python")) != "python":
            raise ConfigError([f"FUNCTIONS_WORKER_RUNTIME is {runtime!r}: this host serves python apps only"])
        root = logging.getLogger()
        root.addHandler(self._log.handler)
        root.setLevel(logging.DEBUG if os.environ.get("PYTHON_ENABLE_DEBUG_LOGGING") == "1" else logging.INFO)
        return config

    def _load(self, config: HostConfig) -> web.Application:
        loaded = Loaded()
        self._modules.enter()
        try:
            loaded = load(self._options.app_dir)
        except IndexingError as error:
            self._report(f"No function is indexed, every URL is 404: {error}")
            if error.__cause__ is not None:
                self._log.error("".join(traceback.format_exception(error.__cause__)).rstrip())
        invoker = self._invoker = Invoker(
            app_dir=self._options.app_dir,
            log=self._log,
            timeout=config.function_timeout,
            on_timeout=self._options.on_timeout,
        )
        for function in loaded.functions:
            try:
                self._listen(function, config, invoker)
            except (MissingConnectionError, ValueError) as error:
                loaded.refused[function.name] = str(error)
        front = WebFront(loaded.functions, config=config, invoker=invoker, log=self._log, refused=loaded.refused)
        for name in loaded.disabled:
            self._log.warning(f"{name} is disabled by a setting: not started")
        for name, why in loaded.refused.items():
            self._report(f"The '{name}' function is in error: {why}")
        self.listing = front.listing(self.origin)
        return front.application()

    def _report(self, problem: str) -> None:
        self.problems.append(problem)
        self._log.error(problem)

    def _listen(self, function: Function, config: HostConfig, invoker: Invoker) -> None:
        if function.kind == QUEUE:
            listener = QueueListener(
                function,
                connection_string=connection_string(str(function.trigger.get("connection") or "")),
                config=config,
                invoker=invoker,
                log=self._log,
                lease=self._options.queue_lease,
            )
            self._queues.append(listener)
        elif function.kind == TIMER:
            timer = TimerListener(function, invoker=invoker)
            if self._options.timers:
                self._timers.append(timer)

    async def stop(self, *, grace: float = GRACE) -> None:
        """Accepts nothing new, waits `grace` seconds at most for what runs, returns the rest to its queue."""
        for listener in self._queues:
            await listener.stop_polling()
        for timer in self._timers:
            await timer.stop()
        if self._runner is not None:
            for site in list(self._runner.sites):
                await site.stop()
        if self._invoker is not None:
            await self._invoker.drain(grace)
        for listener in self._queues:
            await listener.close()
        if self._runner is not None:
            await self._runner.cleanup()
        if self._invoker is not None:
            self._invoker.close()
        self._modules.leave()
        logging.getLogger().removeHandler(self._log.handler)
        logging.getLogger().setLevel(self._root_level)
        self._environment.restore()
