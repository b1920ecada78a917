"""The emulator: a thread with an event loop and one port, and its control plane for other threads."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any, Self, TypeVar

from aiohttp import web

from local.acs.auth import Gate
from local.acs.config import AcsConfig
from local.acs.control import ControlHost
from local.acs.media_host import MediaHost
from local.acs.plane import ControlPlane
from local.acs.rest import RestHost
from local.acs.routing import Misbehaviour, Router
from local.clock import Clock

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from local.acs.event_form import EventForm
    from local.acs.model import Call, EndPlan, Recording

_T = TypeVar("_T")
_START_SECONDS = 20.0


class AcsEmulator:
    """An emulated ACS resource for call recording. Use it as a context manager, or `start` and `stop` it.

    `publish(event)`: called from a thread with each event (Event Grid's schema).
    All methods may be called from any thread but the emulator's own.
    """

    def __init__(
        self,
        config: AcsConfig | None = None,
        *,
        clock: Clock | None = None,
        publish: Callable[[dict[str, Any]], object] | None = None,
    ) -> None:
        self.config = config or AcsConfig()
        self.clock = clock or Clock()
        self.plane = ControlPlane(self.config, clock=self.clock, publish=publish)
        self.resource, self.faults, self.outages = self.plane.resource, self.plane.faults, self.plane.outages
        # What needs no loop is the plane's own.
        self.requests, self.truth = self.plane.requests, self.plane.truth
        self.add_fault, self.clear_faults = self.plane.add_fault, self.plane.clear_faults
        self.add_outage, self.end_outages = self.plane.add_outage, self.plane.end_outages
        self._loop = asyncio.new_event_loop()
        self._thread: threading.Thread | None = None
        self._runner: web.ServerRunner | None = None
        self._port = 0

    # Life -------------------------------------------------------------------------------------------------

    def start(self) -> Self:
        """Opens the port. OSError: it is taken."""
        self._thread = threading.Thread(target=self._loop.run_forever, name="acs-emulator", daemon=True)
        self._thread.start()
        try:
            self._run(self._open(), timeout=_START_SECONDS)
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Closes the port and ends what is under way, for good. Harmless when stopped."""
        if self._thread is None:
            return
        thread, self._thread = self._thread, None
        try:
            self._run(self._close(), timeout=_START_SECONDS)
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            thread.join(_START_SECONDS)
        self._loop.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def origin(self) -> str:
        """Where it listens: `http://127.0.0.1:PORT`."""
        return f"http://{self.config.host}:{self._port}"

    @property
    def connection_string(self) -> str:
        """For the SDKs, together with a transport that sends to `origin` (`local.acs.transport`)."""
        return self.config.connection_string

    async def _open(self) -> None:
        config, plane = self.config, self.plane
        common: dict[str, Any] = {
            "gate": Gate(config.resource_host, config.access_key, config.clock_skew),
            "misbehaviour": Misbehaviour(plane),
            "log": plane.log,
        }
        router = Router(
            {
                "rest": RestHost(plane.resource, call_end=plane.call_end, **common),
                "media": MediaHost(plane.resource, **common),
                "control": ControlHost(plane),
            }
        )
        server = web.Server(router, access_log=None)
        self._runner = web.ServerRunner(server, handle_signals=False, shutdown_timeout=1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, config.host, config.port, backlog=1024)
        await site.start()
        self._port = self._runner.addresses[0][1]

    async def _close(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
        await self.plane.close()

    def _run(self, work: Coroutine[Any, Any, _T], *, timeout: float | None) -> _T:
        if not self._loop.is_running():
            work.close()
            raise RuntimeError("the emulator is not started")
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result(timeout)
        except TimeoutError:
            future.cancel()
            raise

    # The control plane, for other threads ------------------------------------------------------------------

    def create_call(self, **parts: Any) -> Call:
        """A call; see `Resource.create_call` for `parts`."""
        return self._run(self.plane.create_call(**parts), timeout=_START_SECONDS)

    def end_call(self, call_id: str, *, plan: EndPlan | None = None) -> list[Recording]:
        """Ends a call; export and event of its recording follow in the background (`wait_idle`)."""
        return self._run(self.plane.end_call(call_id, plan=plan), timeout=_START_SECONDS)

    def late_export(
        self, recording_id: str, *, chunks: frozenset[int] | None = None, event: bool = False, timeout: float = 60
    ) -> Recording:
        """See `ControlPlane.late_export`; waits until the export is there. TimeoutError (real seconds)."""
        return self._run(self.plane.late_export(recording_id, chunks=chunks, event=event), timeout=timeout)

    def publish_again(
        self,
        recording_id: str,
        *,
        chunks: frozenset[int] | None = None,
        form: EventForm | None = None,
        timeout: float = 30,
    ) -> None:
        """See `ControlPlane.publish`. TimeoutError (real seconds)."""
        self._run(self.plane.publish(recording_id, chunks=chunks, form=form), timeout=timeout)

    def wait_idle(self, timeout: float = 60) -> None:
        """Waits until no export, event or callback is under way. TimeoutError (real seconds)."""
        self._run(self.plane.idle(), timeout=timeout)
