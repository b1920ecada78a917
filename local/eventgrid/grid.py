"""Event Grid in this process: a topic on a thread of its own, with a port for publishers and the control plane."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Self

from local.eventgrid.server import serve
from local.eventgrid.topic import Topic

if TYPE_CHECKING:
    from local.clock import Clock

_START_SECONDS = 10.0
_STOP_SECONDS = 10.0


class EventGrid(Topic):
    """A topic that runs: see `Topic` for what it delivers and how.

    `port`: of the topic endpoint and the control plane; 0: a free one, kept over `stop` and `start`.
    `topic_key`: the topic's `key`.

        with EventGrid(clock=clock) as grid:
            grid.subscribe(Subscription("recordings", url))
            grid.publish(event)
    """

    def __init__(
        self,
        *,
        clock: Clock | None = None,
        seed: int = 0,
        port: int = 0,
        topic_key: str | None = None,
        history: int = 100_000,
    ) -> None:
        super().__init__(clock=clock, seed=seed, key=topic_key, history=history)
        self._port = port
        self._thread: threading.Thread | None = None
        self._is_up = threading.Event()
        self._stop: tuple[asyncio.AbstractEventLoop, asyncio.Event] | None = None
        self._failure: BaseException | None = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> Self:
        """Starts the thread and returns once the port answers. RuntimeError, with its cause, if it does not."""
        if self._thread is not None:
            raise RuntimeError("this Event Grid is running already")
        self._is_up.clear()
        self._thread = threading.Thread(target=self._run, name="eventgrid", daemon=True)
        self._thread.start()
        is_up = self._is_up.wait(_START_SECONDS)
        failure = self._failure
        if failure is not None or not is_up:
            self.stop()
            raise RuntimeError("Event Grid did not start") from failure
        return self

    def stop(self) -> None:
        """Ends the deliveries, the subscriptions and the thread; does nothing if it does not run."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        if self._stop is not None:
            loop, stop = self._stop
            with suppress(RuntimeError):  # the loop has ended already, by a failure
                loop.call_soon_threadsafe(stop.set)
        thread.join(_STOP_SECONDS)

    @property
    def origin(self) -> str:
        """Where it answers: `http://127.0.0.1:port`."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def topic_url(self) -> str:
        """The topic endpoint: what `EventGridPublisherClient` takes."""
        return f"{self.origin}/api/events"

    def _run(self) -> None:
        self._failure = None
        try:
            asyncio.run(self._main())
        except BaseException as error:  # noqa: BLE001 - handed to the starting thread, which raises it
            self._failure = error
        finally:
            self._is_up.set()

    async def _main(self) -> None:
        stop = asyncio.Event()
        self._stop = asyncio.get_running_loop(), stop
        async with self.running(), serve(self, port=self._port) as port:
            self._port = port
            self._validates_at(self.origin)
            self._is_up.set()
            await stop.wait()
