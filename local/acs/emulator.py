"""The emulator: a server on a separate thread, and its control plane for other threads."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Self

from local.acs.auth import Gate
from local.acs.config import AcsConfig
from local.acs.control import ControlHost
from local.acs.media_host import MediaHost
from local.acs.plane import ControlPlane
from local.acs.rest import RestHost
from local.acs.routing import Misbehaviour, Router
from local.clock import Clock
from local.http_server import HttpServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from local.acs.event_form import EventForm
    from local.acs.model import Call, EndPlan, Recording


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
        self._server = HttpServer(
            self._router(), name="the ACS emulator", host=self.config.host, port=self.config.port, beside=self._at_work
        )

    # Life -------------------------------------------------------------------------------------------------

    def start(self) -> Self:
        """Opens the port. RuntimeError: it is taken."""
        self._server.start()
        return self

    def stop(self) -> None:
        """Closes the port and ends what is under way, for good. Harmless when stopped."""
        self._server.stop()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def origin(self) -> str:
        """Where it listens: `http://127.0.0.1:PORT`."""
        return self._server.origin

    @property
    def connection_string(self) -> str:
        """For the SDKs, together with a transport that sends to `origin` (`local.acs.transport`)."""
        return self.config.connection_string

    def _router(self) -> Router:
        config, plane = self.config, self.plane
        common: dict[str, Any] = {
            "gate": Gate(config.resource_host, config.access_key),
            "misbehaviour": Misbehaviour(plane),
            "log": plane.log,
        }
        return Router(
            {
                "rest": RestHost(plane.resource, call_end=plane.call_end, **common),
                "media": MediaHost(plane.resource, **common),
                "control": ControlHost(plane),
            }
        )

    @asynccontextmanager
    async def _at_work(self) -> AsyncIterator[None]:
        try:
            yield
        finally:
            await self.plane.close()

    # The control plane, for other threads ------------------------------------------------------------------

    def create_call(self, **parts: Any) -> Call:
        """A call; see `Resource.create_call` for `parts`."""
        return self._server.call(self.plane.create_call(**parts))

    def end_call(self, call_id: str, *, plan: EndPlan | None = None) -> list[Recording]:
        """Ends a call; export and event of its recording follow in the background (`wait_idle`)."""
        return self._server.call(self.plane.end_call(call_id, plan=plan))

    def late_export(
        self, recording_id: str, *, chunks: frozenset[int] | None = None, event: bool = False, timeout: float = 60
    ) -> Recording:
        """See `ControlPlane.late_export`; waits until the export is there. TimeoutError (real seconds)."""
        return self._server.call(self.plane.late_export(recording_id, chunks=chunks, event=event), timeout=timeout)

    def publish_again(
        self,
        recording_id: str,
        *,
        chunks: frozenset[int] | None = None,
        form: EventForm | None = None,
        timeout: float = 30,
    ) -> None:
        """See `ControlPlane.publish`. TimeoutError (real seconds)."""
        self._server.call(self.plane.publish(recording_id, chunks=chunks, form=form), timeout=timeout)

    def wait_idle(self, timeout: float = 60) -> None:
        """Waits until no export, event or callback is under way. TimeoutError (real seconds)."""
        self._server.call(self.plane.idle(), timeout=timeout)
