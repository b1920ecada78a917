"""Servers on their own thread and event loop, for use from other threads: any (`LoopThread`), and aiohttp's."""

from __future__ import annotations

import asyncio
import threading
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import TYPE_CHECKING, Any, Self, TypeVar

from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

_T = TypeVar("_T")
_SECONDS = 20.0
_BACKLOG = 1024
_SHUTDOWN_SECONDS = 1.0


class LoopThread:
    """Runs `_serve`, which calls `_ready` once it serves, and returns soon after `stop` is set. May be started again.

    `stop_seconds`: how long `stop` waits for the end.
    """

    def __init__(self, name: str, *, start_seconds: float = _SECONDS, stop_seconds: float = _SECONDS) -> None:
        self._name, self._start_seconds, self._stop_seconds = name, start_seconds, stop_seconds
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._is_up, self._stop = threading.Event(), asyncio.Event()
        self._failure: BaseException | None = None

    def start(self) -> Self:
        """Returns once it serves. RuntimeError, with its cause, if it cannot."""
        if self._thread is not None:
            raise RuntimeError(f"{self._name} is running already")
        self._is_up.clear()
        self._failure, self._stop = None, asyncio.Event()
        self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
        self._thread.start()
        if not self._is_up.wait(self._start_seconds) or self._loop is None:
            self.stop()
            raise RuntimeError(f"{self._name} did not start: {self._failure!r}") from self._failure
        return self

    def stop(self) -> None:
        """Ends what it serves and the thread; does nothing if it does not run."""
        thread, self._thread = self._thread, None
        loop, self._loop = self._loop, None
        if loop is not None:
            loop.call_soon_threadsafe(self._stop.set)
        if thread is not None:
            thread.join(self._stop_seconds)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def call(self, work: Coroutine[Any, Any, _T], *, timeout: float = _SECONDS) -> _T:
        """The result of `work` on the server's loop, for other threads. TimeoutError after `timeout` real seconds."""
        if self._loop is None:
            work.close()
            raise RuntimeError(f"{self._name} is not running")
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result(timeout)
        except TimeoutError:
            future.cancel()
            raise

    async def _serve(self, stop: asyncio.Event) -> None:
        raise NotImplementedError

    def _ready(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._is_up.set()

    def _run(self) -> None:
        # Not asyncio.run: at its end it waits for every thread that the loop has used, also for one that hangs.
        loop = asyncio.new_event_loop()
        try:
            loop.run_until_complete(self._serve(self._stop))
        except BaseException as error:  # noqa: BLE001 - raised by `start` in its thread
            self._failure = error
        finally:
            self._is_up.set()
            for task in asyncio.all_tasks(loop):
                task.cancel()
                loop.run_until_complete(asyncio.wait({task}))
            loop.close()


class HttpServer(LoopThread):
    """Answers requests by `handle`, which runs on the server's loop; a body over 1 MiB is aiohttp's 413.

    `port` 0: a free one, kept over `stop` and `start`. `beside`: entered on the loop before the port opens, left after
    it closed.
    """

    def __init__(
        self,
        handle: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]],
        *,
        name: str,
        host: str = "127.0.0.1",
        port: int = 0,
        beside: Callable[[], AbstractAsyncContextManager[Any]] = nullcontext,
    ) -> None:
        super().__init__(name)
        self._handle, self._beside = handle, beside
        self._host, self._port = host, port

    @property
    def origin(self) -> str:
        """Where it listens: `http://host:port`."""
        return f"http://{self._host}:{self._port}"

    async def _serve(self, stop: asyncio.Event) -> None:
        async with self._beside():
            server = web.Server(self._handle, access_log=None)
            runner = web.ServerRunner(server, handle_signals=False, shutdown_timeout=_SHUTDOWN_SECONDS)
            await runner.setup()
            try:
                await web.TCPSite(runner, self._host, self._port, backlog=_BACKLOG).start()
                self._port = runner.addresses[0][1]
                self._ready()
                await stop.wait()
            finally:
                await runner.cleanup()
