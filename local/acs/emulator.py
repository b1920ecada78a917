"""The emulator itself: a thread with an event loop and one port; its methods are the control plane in process."""

from __future__ import annotations

import asyncio
import logging
import threading
from typing import TYPE_CHECKING, Any, Self, TypeVar

from aiohttp import web

from local.acs.auth import Gate
from local.acs.config import AcsConfig
from local.acs.control import ControlHost
from local.acs.dispatch import Dispatcher, Misbehaviour, RequestLog
from local.acs.export import Exporter
from local.acs.faults import Fault, Faults, Outage
from local.acs.finish import Finisher
from local.acs.mediahost import MediaHost
from local.acs.rest import RestHost
from local.acs.service import Resource
from local.acs.views import recording_view
from local.clock import Clock

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from datetime import datetime, timedelta

    from local.acs.event_form import EventForm
    from local.acs.model import Call, EndPlan, Recording

_LOG = logging.getLogger("local.acs")
_T = TypeVar("_T")
_START_SECONDS = 20.0


class AcsEmulator:
    """An emulated ACS resource for call recording. Use it as a context manager, or `start` and `stop` it.

    `publish(event)`: called from a thread with each finished recording's event (Event Grid's schema).
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
        self.resource = Resource(self.config, clock=self.clock)
        self.faults = Faults()
        self.outages: list[Outage] = []
        self._publish = publish or _discard
        self._log = RequestLog(self.resource)
        self._loop = asyncio.new_event_loop()
        self._thread: threading.Thread | None = None
        self._runner: web.ServerRunner | None = None
        self._finisher: Finisher | None = None
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
        config = self.config
        gate = Gate(config.resource_host, config.access_key, config.clock_skew)
        self._finisher = Finisher(
            self.resource,
            exporter=Exporter(config.storage_connection_string, document_id_in_names=config.document_id_in_names),
            faults=self.faults,
            outages=self.outages,
            publish=self._publish,
        )
        misbehaviour = Misbehaviour(self.resource, faults=self.faults, outages=self.outages)
        common: dict[str, Any] = {"gate": gate, "misbehaviour": misbehaviour, "log": self._log}
        dispatcher = Dispatcher(
            {
                "rest": RestHost(self.resource, finisher=self._finisher, **common),
                "media": MediaHost(self.resource, **common),
                "control": ControlHost(self, finisher=self._finisher),
            }
        )
        server = web.Server(dispatcher, access_log=None)
        self._runner = web.ServerRunner(server, handle_signals=False, shutdown_timeout=1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, config.host, config.port, backlog=1024)
        await site.start()
        self._port = self._runner.addresses[0][1]

    async def _close(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
        if self._finisher is not None:
            await self._finisher.close()

    def _run(self, work: Coroutine[Any, Any, _T], *, timeout: float | None) -> _T:
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result(timeout)
        except TimeoutError:
            future.cancel()
            raise

    # Control ----------------------------------------------------------------------------------------------

    def create_call(self, **parts: Any) -> Call:
        """A call; see `Resource.create_call` for `parts`."""
        return self._run(self.create_call_async(**parts), timeout=_START_SECONDS)

    async def create_call_async(self, **parts: Any) -> Call:
        """The same, for the emulator's own loop."""
        call = self.resource.create_call(**parts)
        if call.state == "established":
            self._at_work().begun(call)
        return call

    async def set_call_state(self, call_id: str, state: str) -> Call:
        """Moves a call between connecting and established; for the emulator's own loop."""
        call = self.resource.set_call_state(call_id, state)
        if call.state == "established":
            self._at_work().begun(call)
        return call

    def end_call(self, call_id: str, *, plan: EndPlan | None = None) -> list[Recording]:
        """Ends a call; export and event of its recording follow in the background (`wait_idle`)."""
        return self._run(self.end_call_async(call_id, plan=plan), timeout=_START_SECONDS)

    async def end_call_async(self, call_id: str, *, plan: EndPlan | None = None) -> list[Recording]:
        """The same, for the emulator's own loop."""
        ended = self.resource.end_call(call_id, plan=plan)
        for recording in ended:
            self._at_work().ended(recording)
        return ended

    def late_export(
        self, recording_id: str, *, chunks: frozenset[int] | None = None, event: bool = False, timeout: float = 60
    ) -> Recording:
        """The export by ACS that comes after all (default: of all failed chunks); waits until it is there."""
        recording = self.resource.find(recording_id)
        self._run(self._at_work().late_export(recording, chunks=chunks, event=event), timeout=timeout)
        return recording

    def publish_again(
        self,
        recording_id: str,
        *,
        chunks: frozenset[int] | None = None,
        form: EventForm | None = None,
        timeout: float = 30,
    ) -> None:
        """Publishes a further event of an ended recording, with a new id; of these `chunks` only, in this `form`.

        ValueError: the recording has not ended.
        """
        work = self._at_work().publish(self.resource.ended(recording_id), chunks=chunks, form=form)
        self._run(work, timeout=timeout)

    def wait_idle(self, timeout: float = 60) -> None:
        """Waits until all exports, events and callbacks under way are done. TimeoutError (real seconds)."""
        self._run(self._at_work().idle(), timeout=timeout)

    def add_fault(self, fault: Fault | None = None, **parts: Any) -> Fault:
        """Puts a fault in force: a `Fault`, or its fields."""
        return self.faults.add(fault or Fault(**parts))

    def clear_faults(self) -> None:
        """Ends all faults and outages."""
        self.faults.remove()
        self.outages.clear()

    def add_outage(
        self,
        service: str,
        *,
        duration: timedelta,
        start: datetime | None = None,
        mode: str = "503",
        retry_after: str | None = None,
    ) -> Outage:
        """A service that fails from `start` (default: now) for `duration` of clock time."""
        begin = start or self.clock.now()
        outage = Outage(service, begin, begin + duration, mode, retry_after)
        self.outages.append(outage)
        return outage

    def end_outages(self) -> None:
        """Ends the outages in force now; planned ones stay."""
        now = self.clock.now()
        self.outages[:] = [outage for outage in self.outages if outage.start > now]

    def requests(self) -> list[dict[str, Any]]:
        """The last requests to REST and media, oldest first."""
        return self._log.entries()

    def truth(self, recording_id: str, *, sha256: bool = True) -> dict[str, Any]:
        """All there is to know of a recording, as the control plane tells it. KeyError: there is none."""
        return recording_view(self.resource, self.resource.find(recording_id), sha256=sha256)

    def _at_work(self) -> Finisher:
        if self._finisher is None:
            raise RuntimeError("the emulator is not started")
        return self._finisher


def _discard(event: dict[str, Any]) -> None:
    _LOG.debug("acs.event.unheard id=%s", event["id"])
