"""The emulator's state, and what can be done to it from outside the service: no HTTP server, no thread.

`control.py` offers this over HTTP, `emulator.py` to other threads. The `async` methods run on the emulator's loop, for
exports, events and callbacks follow from them in the background; the others may be called from any thread.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from local.acs.call_end import CallEnd
from local.acs.export import Exporter
from local.acs.faults import Fault, Faults, Outage
from local.acs.request import read_start_request
from local.acs.request_log import RequestLog
from local.acs.service import Resource
from local.acs.views import recording_view

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime, timedelta

    from local.acs.config import AcsConfig
    from local.acs.event_form import EventForm
    from local.acs.model import Call, EndPlan, Recording
    from local.clock import Clock

_LOG = logging.getLogger("local.acs")


class ControlPlane:
    """Calls, recordings, faults, outages, time and events of one emulator.

    `publish(event)`: called from a thread with each event (Event Grid's schema).
    """

    def __init__(
        self, config: AcsConfig, *, clock: Clock, publish: Callable[[dict[str, Any]], object] | None = None
    ) -> None:
        self.config, self.clock = config, clock
        self.resource = Resource(config, clock=clock)
        self.faults = Faults()
        self.outages: list[Outage] = []
        self.log = RequestLog(clock)
        self.call_end = CallEnd(
            self.resource,
            exporter=Exporter(config.storage_connection_string),
            faults=self.faults,
            outages=self.outages,
            publish=publish or _discard,
        )

    async def close(self) -> None:
        """Cancels what is under way."""
        await self.call_end.close()

    # Calls and recordings ---------------------------------------------------------------------------------

    async def create_call(self, **parts: Any) -> Call:
        """A call; see `Resource.create_call` for `parts`. Its event follows when it is established."""
        return self._begun(self.resource.create_call(**parts))

    async def set_call_state(self, call_id: str, state: str) -> Call:
        """Moves a call between connecting and established. KeyError, ValueError."""
        return self._begun(self.resource.set_call_state(call_id, state))

    def _begun(self, call: Call) -> Call:
        if call.state == "established":
            self.call_end.begun(call)
        return call

    async def record(self, call_id: str, body: dict[str, Any]) -> Recording:
        """Starts a recording of a call; `body` is that of a start request, without a locator."""
        call = self.resource.call(call_id)
        start = read_start_request(body | {"callConnectionId": call.call_connection_id})
        recording, _ = self.resource.start(start, body=b"", repeat_id=None)
        self.call_end.spawn(self.call_end.state_changed(recording))
        return recording

    async def end_call(self, call_id: str, *, plan: EndPlan | None = None) -> list[Recording]:
        """Ends a call; export and event of its recording follow. KeyError, ValueError."""
        ended = self.resource.end_call(call_id, plan=plan)
        for recording in ended:
            self.call_end.ended(recording)
        return ended

    async def late_export(
        self, recording_id: str, *, chunks: frozenset[int] | None = None, event: bool = False
    ) -> Recording:
        """ACS's export after all, of the failed chunks or of `chunks`; `event`: with an event that names it.

        KeyError; ValueError: the recording has not ended.
        """
        recording = self.resource.ended(recording_id)
        await self.call_end.late_export(recording, chunks=chunks, event=event)
        return recording

    async def publish(
        self, recording_id: str, *, chunks: frozenset[int] | None = None, form: EventForm | None = None
    ) -> Recording:
        """Publishes a further event, with a new id, of all chunks or of `chunks`, in `form` or the recording's own.

        KeyError; ValueError: the recording has not ended.
        """
        recording = self.resource.ended(recording_id)
        await self.call_end.publish(recording, chunks=chunks, form=form)
        return recording

    async def idle(self) -> None:
        """Returns when no export, event or callback is under way."""
        await self.call_end.idle()

    def truth(self, recording_id: str, *, sha256: bool = True) -> dict[str, Any]:
        """All that the emulator knows of a recording. KeyError: there is none."""
        return recording_view(self.resource, self.resource.find(recording_id), sha256=sha256)

    def requests(self) -> list[dict[str, Any]]:
        """The last requests to REST and media, oldest first."""
        return self.log.entries()

    # Faults and outages -----------------------------------------------------------------------------------

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
        duration: timedelta | None = None,
        start: datetime | None = None,
        end: datetime | None = None,
        mode: str = "503",
        retry_after: str | None = None,
    ) -> Outage:
        """A service that fails from `start` (default: now) to `end`, or for `duration`. ValueError."""
        begin = start or self.clock.now()
        if end is None and duration is None:
            raise ValueError("an outage needs its length or its end")
        outage = Outage(service, begin, end or begin + (duration or begin - begin), mode, retry_after)
        self.outages.append(outage)
        return outage

    def end_outages(self) -> None:
        """Ends the outages in force now; planned ones stay."""
        now = self.clock.now()
        self.outages[:] = [outage for outage in self.outages if outage.start > now]


def _discard(event: dict[str, Any]) -> None:
    _LOG.debug("acs.event.discarded id=%s", event["id"])
