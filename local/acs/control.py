"""The control plane over HTTP, under `/_control/`, without authentication. Its README has an example of each."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from local.acs import errors
from local.acs.config import WELL_KNOWN_KEY
from local.acs.documents import moment
from local.acs.errors import RestError
from local.acs.event_form import form_from_json, form_json
from local.acs.faults import fault_from_json, fault_json
from local.acs.routing import find_route, json_answer, read_body, route
from local.acs.views import call_view, plan_from_json, recording_view

if TYPE_CHECKING:
    from aiohttp import web

    from local.acs.faults import Outage
    from local.acs.plane import ControlPlane

_CALL_FIELDS = {
    "serverCallId": "server_call_id",
    "groupCallId": "group_call_id",
    "roomId": "room_id",
    "callConnectionId": "call_connection_id",
    "state": "state",
}
_IDLE_SECONDS = 60.0


class ControlHost:
    """Answers for every host that is not the service's."""

    def __init__(self, plane: ControlPlane) -> None:
        self._plane, self._resource, self._clock = plane, plane.resource, plane.clock
        base = "/_control"
        # The long pattern, since recordingIds may hold any character of base64.
        one = f"{base}/recordings/(?P<id>[^/]+)"
        self._routes = [
            route("GET", f"{base}/health", self._health),
            route("POST", f"{base}/calls", self._create_call),
            route("GET", f"{base}/calls", self._calls),
            route("POST", f"{base}/calls/{{id}}/state", self._call_state),
            route("POST", f"{base}/calls/{{id}}/end", self._end_call),
            route("POST", f"{base}/calls/{{id}}/recordings", self._record),
            route("GET", f"{base}/recordings", self._recordings),
            route("GET", one, self._recording),
            route("POST", f"{one}/late-export", self._late_export),
            route("POST", f"{one}/publish", self._publish),
            route("GET", f"{base}/faults", self._faults),
            route("POST", f"{base}/faults", self._add_fault),
            route("DELETE", f"{base}/faults", self._remove_faults),
            route("DELETE", f"{base}/faults/{{id}}", self._remove_fault),
            route("GET", f"{base}/outages", self._outages),
            route("POST", f"{base}/outages", self._add_outage),
            route("DELETE", f"{base}/outages", self._end_outages),
            route("GET", f"{base}/clock", self._get_clock),
            route("POST", f"{base}/clock", self._set_clock),
            route("GET", f"{base}/requests", self._requests),
            route("POST", f"{base}/idle", self._idle),
        ]

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        """One request. What cannot be read is a 400, what is not there a 404, in the form of RestErrors."""
        found, values = find_route(self._routes, request.method, request.raw_path.partition("?")[0])
        body = await read_body(request)
        try:
            value = json.loads(body) if body else {}
            if not isinstance(value, dict):
                raise RestError(errors.INVALID_ARGUMENT, "The body must be a JSON object.")
            if "id" in values:
                value["id"] = unquote(values["id"])
            value["query"] = dict(request.query)
            return await found.handle(value)
        except KeyError as error:
            raise RestError(errors.NO_SUCH_RESOURCE, f"There is no {error.args[0]!r}.") from error
        except TimeoutError:
            return json_answer({"idle": False}, status=504)
        except (ValueError, TypeError, AttributeError, OverflowError, RecursionError) as error:
            raise RestError(errors.INVALID_ARGUMENT, str(error)) from error

    async def _health(self, _: dict[str, Any]) -> web.Response:
        config = self._plane.config
        value: dict[str, Any] = {
            "status": "ok",
            "seed": config.seed,
            "resourceHost": config.resource_host,
            "eventForm": form_json(config.event),
            "callStarted": config.call_started,
            "retentionHours": config.retention.total_seconds() / 3600,
        }
        # A configured key is never shown; the published one is no secret.
        if config.access_key == WELL_KNOWN_KEY:
            value["connectionString"] = config.connection_string
        return json_answer(value)

    # Calls and recordings ---------------------------------------------------------------------------------

    async def _create_call(self, value: dict[str, Any]) -> web.Response:
        value.pop("query")
        parts: dict[str, Any] = {}
        plan = plan_from_json(value.pop("plan", {}), form=self._plane.config.event)
        participants = value.pop("participants", None)
        for name, item in value.items():
            if name not in _CALL_FIELDS:
                raise ValueError(f"unknown field {name}")
            parts[_CALL_FIELDS[name]] = item
        if participants is not None:
            parts["participants"] = tuple(str(name) for name in participants)
        return json_answer(call_view(await self._plane.create_call(plan=plan, **parts)), status=201)

    async def _calls(self, _: dict[str, Any]) -> web.Response:
        return json_answer({"calls": [call_view(call) for call in self._resource.calls()]})

    async def _call_state(self, value: dict[str, Any]) -> web.Response:
        return json_answer(call_view(await self._plane.set_call_state(value["id"], str(value.get("state")))))

    async def _record(self, value: dict[str, Any]) -> web.Response:
        """Starts a recording without SDK and signature; the body is the service's, without a locator."""
        call_id = value.pop("id")
        value.pop("query")
        recording = await self._plane.record(call_id, value)
        return json_answer(recording_view(self._resource, recording, sha256=False), status=201)

    async def _end_call(self, value: dict[str, Any]) -> web.Response:
        call_id, wait = value.pop("id"), bool(value.pop("wait", False))
        value.pop("query")
        ended = await self._plane.end_call(call_id, plan=plan_from_json(value, form=self._plane.config.event))
        if wait:
            await asyncio.wait_for(asyncio.gather(*map(self._plane.call_end.finished, ended)), _IDLE_SECONDS)
        call = call_view(self._resource.call(call_id))
        return json_answer(
            call | {"recordings": [recording_view(self._resource, one, sha256=False) for one in ended]},
            status=200 if wait else 202,
        )

    async def _recordings(self, _: dict[str, Any]) -> web.Response:
        views = [recording_view(self._resource, one, sha256=False, events=False) for one in self._resource.recordings()]
        return json_answer({"recordings": views})

    async def _recording(self, value: dict[str, Any]) -> web.Response:
        recording = self._resource.find(value["id"])
        sha256 = value["query"].get("sha256", "true") != "false"
        # Hashing gigabytes takes seconds: not on the loop.
        return json_answer(await asyncio.to_thread(self._plane.truth, recording.recording_id, sha256=sha256))

    async def _late_export(self, value: dict[str, Any]) -> web.Response:
        recording = await self._plane.late_export(
            value["id"], chunks=_indexes(value.get("chunks")), event=bool(value.get("event", False))
        )
        return json_answer(recording_view(self._resource, recording, sha256=False))

    async def _publish(self, value: dict[str, Any]) -> web.Response:
        recording, form = self._resource.ended(value.pop("id")), value.pop("eventForm", None)
        value.pop("query")
        chunks = _indexes(value.pop("chunks", None))
        if value:
            raise ValueError(f"unknown field {min(value)}")
        if form is not None:
            form = form_from_json(form, base=recording.plan.event_form or self._plane.config.event)
        await self._plane.publish(recording.recording_id, chunks=chunks, form=form)
        return json_answer({"events": recording.events})

    # Faults, outages, time --------------------------------------------------------------------------------

    async def _faults(self, _: dict[str, Any]) -> web.Response:
        return json_answer({"faults": self._plane.faults.listing()})

    async def _add_fault(self, value: dict[str, Any]) -> web.Response:
        value.pop("query")
        fault = self._plane.faults.add(fault_from_json(value, now=self._clock.now()))
        return json_answer(fault_json(fault), status=201)

    async def _remove_faults(self, _: dict[str, Any]) -> web.Response:
        return json_answer({"removed": self._plane.faults.remove()})

    async def _remove_fault(self, value: dict[str, Any]) -> web.Response:
        if not self._plane.faults.remove(value["id"]):
            raise KeyError(value["id"])
        return json_answer({"removed": 1})

    async def _outages(self, _: dict[str, Any]) -> web.Response:
        return json_answer({"outages": [_outage_view(outage) for outage in self._plane.outages]})

    async def _add_outage(self, value: dict[str, Any]) -> web.Response:
        retry_after = value.get("retryAfter")
        outage = self._plane.add_outage(
            str(value.get("service", "all")),
            start=self._clock.now() + timedelta(seconds=float(value.get("fromSeconds", 0))),
            duration=timedelta(seconds=float(value["seconds"])) if "seconds" in value else None,
            end=datetime.fromisoformat(value["until"]).astimezone(UTC) if "until" in value else None,
            mode=str(value.get("mode", "503")),
            retry_after=None if retry_after is None else str(retry_after),
        )
        return json_answer(_outage_view(outage), status=201)

    async def _end_outages(self, value: dict[str, Any]) -> web.Response:
        self._plane.end_outages()
        return await self._outages(value)

    async def _get_clock(self, _: dict[str, Any]) -> web.Response:
        return json_answer({"now": moment(self._clock.now()), "scale": self._clock.scale})

    async def _set_clock(self, value: dict[str, Any]) -> web.Response:
        if "scale" in value:
            self._clock.set_scale(float(value["scale"]))
        if "advanceSeconds" in value:
            self._clock.advance(timedelta(seconds=float(value["advanceSeconds"])))
        return await self._get_clock(value)

    async def _requests(self, value: dict[str, Any]) -> web.Response:
        limit = int(value["query"].get("limit", "200"))
        if limit < 0:
            raise ValueError("limit must not be below 0")
        entries = self._plane.requests()
        return json_answer({"requests": entries[max(0, len(entries) - limit) :]})

    async def _idle(self, value: dict[str, Any]) -> web.Response:
        await asyncio.wait_for(self._plane.idle(), float(value.get("timeoutSeconds", _IDLE_SECONDS)))
        return json_answer({"idle": True})


def _indexes(value: Any) -> frozenset[int] | None:
    return None if value is None else frozenset(int(index) for index in value)


def _outage_view(outage: Outage) -> dict[str, Any]:
    return {
        "service": outage.service,
        "start": moment(outage.start),
        "end": moment(outage.end),
        "mode": outage.mode,
        "retryAfter": outage.retry_after,
    }
