"""The media store: `/v1/objects/{documentId}/content/video` and `…/acsmetadata`, and DELETE of the object."""

from __future__ import annotations

import uuid
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from aiohttp import web

from local.acs.content import (
    Bytes,
    UnknownRangeForm,
    UnsatisfiableRange,
    hang_up,
    plan_answer,
    read_range,
    send,
    spoil,
)
from local.acs.documents import chunk_metadata
from local.acs.faults import Target
from local.acs.routing import drop, find_route, json_answer, read_body, route, scripted_error, whole_answer

if TYPE_CHECKING:
    from local.acs.auth import Gate
    from local.acs.content import Plan
    from local.acs.faults import Fault
    from local.acs.media import Media
    from local.acs.model import Chunk, Recording
    from local.acs.request_log import RequestLog
    from local.acs.routing import Misbehaviour
    from local.acs.service import Resource


class MediaHost:
    """Answers for `*.asm.skype.com` and its sisters."""

    def __init__(self, resource: Resource, *, gate: Gate, misbehaviour: Misbehaviour, log: RequestLog) -> None:
        self._resource, self._gate = resource, gate
        self._misbehaviour, self._log = misbehaviour, log
        content = "/v1/objects/{id}/content/"
        self._routes = [
            route("GET", f"{content}video", self._media),
            route("HEAD", f"{content}video", self._media),
            route("GET", f"{content}acsmetadata", self._metadata),
            route("HEAD", f"{content}acsmetadata", self._metadata),
            route("DELETE", "/v1/objects/{id}", self._delete),
            route("DELETE", f"{content}deletedata", self._delete),
        ]

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        """One request: faults, then authentication, then the object."""
        found, values = find_route(self._routes, request.method, request.path)
        operation = found.handle.__name__.lstrip("_")
        held = self._resource.document(values["id"])
        target = Target(operation, document_id=values["id"])
        if held is not None:
            recording, chunk = held
            target = Target(operation, recording.recording_id, chunk.index, chunk.document_id)
            chunk.requests[operation] = chunk.requests.get(operation, 0) + 1
        fault = await self._misbehaviour.strike(target)
        if fault is not None and fault.kind == "drop":
            self._log.add(request, target, status=None, fault=fault)
            return await drop(request)
        answer = whole_answer(fault, error=_scripted_problem) or await self._refusal(request, fault)
        if answer is None and (held is None or not self._resource.is_available(*held)):
            answer = problem(404, "NotFound", "The object does not exist, or not any more.")
        if answer is None and held is not None:
            return await found.handle(request, *held, target, fault)
        answer = answer or web.Response(status=500)
        self._log.add(request, target, status=answer.status, fault=fault)
        return answer

    async def _refusal(self, request: web.BaseRequest, fault: Fault | None) -> web.Response | None:
        body = await read_body(request)
        refused = self._gate.check(request.headers, method=request.method, target=request.raw_path, body=body)
        if refused is None and (fault is None or fault.kind != "401"):
            return None
        reason = refused.reason if refused else "a scripted fault"
        return problem(401, "Unauthorized", f"Authorization has been denied for this request: {reason}.")

    async def _media(
        self, request: web.BaseRequest, _: Recording, chunk: Chunk, target: Target, fault: Fault | None
    ) -> web.StreamResponse:
        return await self._send(request, chunk.media, target, fault)

    async def _metadata(
        self, request: web.BaseRequest, recording: Recording, chunk: Chunk, target: Target, fault: Fault | None
    ) -> web.StreamResponse:
        return await self._send(request, Bytes(chunk_metadata(recording, chunk), "application/json"), target, fault)

    async def _send(
        self, request: web.BaseRequest, body: Media | Bytes, target: Target, fault: Fault | None
    ) -> web.StreamResponse:
        try:
            plan = _plan(request, body)
        except UnsatisfiableRange:
            answer = problem(416, "RequestedRangeNotSatisfiable", "The range begins behind the end.")
            answer.headers["Content-Range"] = f"bytes */{body.size}"
        except UnknownRangeForm:
            answer = problem(400, "BadRequest", "The emulator takes one range: bytes=a-b, bytes=a- or bytes=-n.")
        else:
            if fault is not None:
                plan = spoil(plan, fault, body)
            # Noted before it goes out: a client may look at the log as soon as it has the last byte.
            self._log.add(request, target, status=plan.status, fault=fault, sent=plan.length)
            if fault is not None and fault.kind == "lost-answer":
                return await drop(request)
            return await send(request, plan, body, fault=fault)
        self._log.add(request, target, status=answer.status, fault=fault)
        return answer

    async def _delete(
        self, request: web.BaseRequest, _: Recording, chunk: Chunk, target: Target, fault: Fault | None
    ) -> web.StreamResponse:
        chunk.deleted = True
        self._log.add(request, target, status=200, fault=fault)
        if fault is not None and fault.kind == "lost-answer":
            hang_up(request)
        return web.Response(status=200)


def _plan(request: web.BaseRequest, body: Media | Bytes) -> Plan:
    span = read_range(request.headers.get("Range"), body.size)
    if request.headers.get("If-Range", body.etag) != body.etag:
        span = None
    return plan_answer(body, span)


def _scripted_problem(fault: Fault) -> web.Response:
    """The error a fault asks for, in the store's own form; one with a code of the REST API is in that API's."""
    if fault.code is not None:
        return scripted_error(fault)
    status = fault.status or 500
    title = HTTPStatus(status).phrase.replace(" ", "") if status in set(HTTPStatus) else "Error"
    return problem(status, title, fault.message or "A scripted fault.")


def problem(status: int, title: str, message: str) -> web.Response:
    """An error in the media store's own form (seen in the field for 401)."""
    trace = str(uuid.uuid4())
    value: dict[str, Any] = {
        "title": title,
        "status": status,
        "instance": f"/microsoft/ic3/ams///trace-id/{trace}",
        "message": message,
        "traceId": trace,
    }
    return json_answer(value, status=status)
