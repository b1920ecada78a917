"""The REST API: `/calling/recordings`, and `GET /calling/callConnections/{id}` of Call Automation."""

from __future__ import annotations

import asyncio
import json
import re
import uuid
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from aiohttp import web

from local.acs import errors
from local.acs.config import API_VERSIONS
from local.acs.errors import RestError
from local.acs.faults import Target
from local.acs.request import Faults as BodyFaults
from local.acs.request import read_start_request
from local.acs.routing import (
    drop,
    error_answer,
    find_route,
    json_answer,
    read_body,
    route,
    whole_answer,
)

if TYPE_CHECKING:
    from local.acs.auth import Gate
    from local.acs.call_end import CallEnd
    from local.acs.faults import Fault
    from local.acs.model import Recording
    from local.acs.request_log import RequestLog
    from local.acs.routing import Misbehaviour
    from local.acs.service import Resource

# The customer's own storage came with this version (documented).
_EXTERNAL_STORAGE_SINCE = "2024-04-15"


class RestHost:
    """Answers for `*.communication.azure.com`."""

    def __init__(
        self,
        resource: Resource,
        *,
        gate: Gate,
        call_end: CallEnd,
        misbehaviour: Misbehaviour,
        log: RequestLog,
    ) -> None:
        self._resource, self._gate, self._call_end = resource, gate, call_end
        self._misbehaviour, self._log = misbehaviour, log
        one = "/calling/recordings/{id}"
        self._routes = [
            route("POST", "/calling/recordings", self._start),
            route("GET", one, self._get),
            route("DELETE", one, self._stop),
            route("POST", f"{one}:pause", self._pause),
            route("POST", f"{one}:resume", self._resume),
            route("GET", "/calling/callConnections/{connection}", self._connection),
        ]

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        """One request: faults, then authentication, version, operation."""
        path = request.raw_path.partition("?")[0]
        found, values = find_route(self._routes, request.method, path)
        recording_id = unquote(values["id"]) if "id" in values else None
        target = Target(found.handle.__name__.lstrip("_"), recording_id)
        fault = await self._misbehaviour.strike(target)
        if fault is not None and fault.kind == "drop":
            self._log.add(request, target, status=None, fault=fault)
            return await drop(request)
        answer = whole_answer(fault)
        if fault is not None and fault.kind == "401":
            answer = error_answer(RestError((401, "7509"), "Unauthorized: a scripted fault."))
        if answer is None:
            try:
                identity = next((unquote(value) for value in values.values()), None)
                answer = await self._admitted(request, found.handle, identity, fault)
            except RestError as error:
                answer = error_answer(error)
        self._count(recording_id, target.operation)
        self._log.add(request, target, status=answer.status, fault=fault)
        if fault is not None and fault.kind == "late-answer":
            await asyncio.sleep(fault.seconds or 0)
        return await drop(request) if fault is not None and fault.kind == "lost-answer" else answer

    def _count(self, recording_id: str | None, operation: str) -> None:
        if recording_id is not None:
            try:
                counts = self._resource.find(recording_id).requests
            except KeyError:
                return
            counts[operation] = counts.get(operation, 0) + 1

    async def _admitted(
        self, request: web.BaseRequest, handle: Any, identity: str | None, fault: Fault | None
    ) -> web.Response:
        body = await read_body(request)
        refused = self._gate.check(request.headers, method=request.method, target=request.raw_path, body=body)
        if refused is not None:
            error = RestError((401, refused.code), f"Unauthorized: {refused.reason}.")
            error.headers["WWW-Authenticate"] = "HMAC-SHA256, Bearer"
            raise error
        version = _version(request)
        if identity is not None:
            answer: web.Response = await handle(identity)
        else:
            fails = fault is not None and fault.kind == "failed-start"
            answer = await handle(request, body, version, fails=fails)
        answer.headers["X-Microsoft-Skype-Chain-ID"] = str(uuid.uuid4())
        return answer

    async def _start(self, request: web.BaseRequest, body: bytes, version: str, *, fails: bool) -> web.Response:
        if request.content_type != "application/json":
            raise RestError(errors.WRONG_MEDIA_TYPE, "Content-Type must be application/json.")
        repeat_id = _repeat_id(request)
        try:
            start = read_start_request(json.loads(body))
        except BodyFaults as faults:
            details = [f"{name}: {text}" for name, text in faults.found]
            raise RestError(
                errors.INVALID_ARGUMENT, f"Invalid request. {details[0]}.", target=faults.found[0][0], details=details
            ) from faults
        except (ValueError, RecursionError) as error:  # the latter: brackets within brackets, without end
            raise RestError(errors.INVALID_ARGUMENT, "The body is not JSON.", target="body") from error
        if start.container_url and version < _EXTERNAL_STORAGE_SINCE:
            raise RestError(
                errors.INVALID_ARGUMENT,
                f"External storage needs api-version {_EXTERNAL_STORAGE_SINCE} or later.",
                target="externalStorage",
            )
        recording, repeated = self._resource.start(start, body=body, repeat_id=repeat_id, fails=fails)
        if not repeated and not fails:
            self._call_end.spawn(self._call_end.state_changed(recording))
        answer = _state(recording)
        if repeat_id is not None:
            answer.headers["Repeatability-Result"] = "accepted"
        return answer

    async def _get(self, recording_id: str) -> web.Response:
        return _state(self._resource.recording(recording_id))

    async def _stop(self, recording_id: str) -> web.Response:
        recording = self._resource.stop(recording_id)
        self._call_end.ended(recording)
        return web.Response(status=204)

    async def _pause(self, recording_id: str) -> web.Response:
        self._call_end.spawn(self._call_end.state_changed(self._resource.pause(recording_id)))
        return web.Response(status=202)

    async def _resume(self, recording_id: str) -> web.Response:
        self._call_end.spawn(self._call_end.state_changed(self._resource.resume(recording_id)))
        return web.Response(status=202)

    async def _connection(self, call_connection_id: str) -> web.Response:
        call = self._resource.connected(call_connection_id)
        value = {
            "callConnectionId": call.call_connection_id,
            "serverCallId": call.server_call_id,
            "correlationId": call.call_id,
            "callConnectionState": "connecting" if call.state == "connecting" else "connected",
            "targets": [{"rawId": name} for name in call.participants[1:]],
        }
        return json_answer(value)


def _version(request: web.BaseRequest) -> str:
    if others := sorted(set(request.query) - {"api-version"}):
        raise RestError(errors.INVALID_ARGUMENT, "Unknown query parameter.", target=others[0])
    version = request.query.get("api-version")
    if version is None:
        raise RestError(errors.NO_API_VERSION, "The query parameter api-version is needed.")
    preview = re.fullmatch(r"\d{4}-\d{2}-\d{2}(-preview|-beta)", version)
    if version not in API_VERSIONS and not preview:
        raise RestError(errors.UNKNOWN_API_VERSION, f"Unknown api-version. Known: {', '.join(API_VERSIONS)}.")
    return version


def _repeat_id(request: web.BaseRequest) -> str | None:
    repeat_id = request.headers.get("Repeatability-Request-ID")
    first_sent = request.headers.get("Repeatability-First-Sent")
    if (repeat_id is None) != (first_sent is None):
        raise RestError(
            errors.INVALID_ARGUMENT, "Repeatability-Request-ID and -First-Sent come together or not at all."
        )
    if repeat_id is None or first_sent is None:
        return None
    try:
        uuid.UUID(repeat_id)
        datetime.strptime(first_sent, "%a, %d %b %Y %H:%M:%S GMT")  # noqa: DTZ007 - only its form is looked at
    except ValueError as error:
        raise RestError(
            errors.INVALID_ARGUMENT,
            "Repeatability-Request-ID must be a UUID, Repeatability-First-Sent an HTTP date.",
            target="Repeatability-Request-ID",
        ) from error
    return repeat_id


def _state(recording: Recording) -> web.Response:
    value = {
        "recordingId": recording.recording_id,
        "recordingState": recording.service_state,
        "recordingKind": "azureCommunicationServices",
    }
    return json_answer(value)
