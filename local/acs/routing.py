"""One port, three virtual hosts by the Host header, and what is common to all answers of the service.

`*.communication.azure.com` is the REST API, `*.asm.skype.com` and its two sisters the media store, any other
host the control plane.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from aiohttp import web

from local.acs import errors
from local.acs.config import MEDIA_SUFFIXES, REST_SUFFIX
from local.acs.content import HTML_PAGE, hang_up
from local.acs.errors import RestError, error_body

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from local.acs.faults import Fault, Target
    from local.acs.plane import ControlPlane

_LOG = logging.getLogger("local.acs")


@dataclass(frozen=True)
class Route:
    """`method path` and its handler; `path` is a regular expression with named groups."""

    method: str
    path: re.Pattern[str]
    handle: Callable[..., Awaitable[web.StreamResponse]]


def route(method: str, path: str, handle: Callable[..., Awaitable[web.StreamResponse]]) -> Route:
    """A route; `{name}` in `path` takes one segment without a colon."""
    return Route(method, re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/:]+)", path)), handle)


def find_route(routes: list[Route], method: str, path: str) -> tuple[Route, dict[str, str]]:
    """The route of a request and the path's values. Raises RestError 404 or 405."""
    found = [(one, match) for one in routes if (match := one.path.fullmatch(path))]
    for one, match in found:
        if one.method == method:
            return one, match.groupdict()
    if found:
        error = RestError(errors.NO_SUCH_METHOD, f"{method} is not for this path")
        error.headers["Allow"] = ", ".join(sorted({one.method for one, _ in found}))
        raise error
    raise RestError(errors.NO_SUCH_RESOURCE, "the emulator has nothing at this path; its README says what it has")


def json_answer(value: Any, *, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    """A JSON answer."""
    return web.Response(
        body=json.dumps(value).encode(),
        status=status,
        headers=headers,
        content_type="application/json",
        charset="utf-8",
    )


async def read_body(request: web.BaseRequest) -> bytes:
    """The whole body. Raises RestError: it is over a MiB, the server's own limit."""
    try:
        return await request.read()
    except web.HTTPRequestEntityTooLarge as error:
        raise RestError(errors.TOO_LARGE, "The body is over 1 MiB.") from error


def error_answer(error: RestError) -> web.Response:
    """The service's answer for a RestError."""
    body = error_body(error.code, error.message, target=error.target, details=error.details)
    return json_answer(body, status=error.status, headers=error.headers)


def virtual_host(request: web.BaseRequest) -> str:
    """rest, media or control."""
    host = request.host.rsplit(":", 1)[0].lower()
    if host.endswith(REST_SUFFIX):
        return "rest"
    return "media" if host.endswith(MEDIA_SUFFIXES) else "control"


class Misbehaviour:
    """Faults and outages, as they strike whole answers."""

    def __init__(self, plane: ControlPlane) -> None:
        self._plane = plane

    async def strike(self, target: Target) -> Fault | None:
        """The outage or fault that strikes this request."""
        plane, now = self._plane, self._plane.clock.now()
        for outage in list(plane.outages):
            if outage.strikes(target.operation, now):
                return outage.as_fault(target.operation)
        fault = plane.faults.strike(target, now)
        if fault is not None and fault.kind == "stall" and not fault.bytes:
            await asyncio.sleep(fault.seconds or 0)
        return fault


def scripted_error(fault: Fault) -> web.Response:
    """The error that a fault asks for, in the REST API's form."""
    code = fault.code or ("8529" if fault.kind == "throttle" else str(fault.status))
    return json_answer(error_body(code, fault.message or "A scripted fault."), status=fault.status or 500)


def whole_answer(
    fault: Fault | None, *, error: Callable[[Fault], web.Response] = scripted_error
) -> web.Response | None:
    """The answer a fault puts in place of the right one; None: it does not replace it. `error` makes the host's own."""
    if fault is None:
        return None
    if fault.kind in {"html400", "html200"}:
        status = int(fault.kind[4:])
        return web.Response(body=HTML_PAGE, status=status, content_type="text/html", charset="utf-8")
    if fault.kind == "redirect":
        return web.Response(status=302, headers={"Location": fault.url or ""})
    if fault.kind == "throttle":
        fault = replace(fault, status=429, retry_after=fault.retry_after or "1")
    elif fault.kind != "status":
        return None
    if fault.body is not None:
        answer = web.Response(body=fault.body.encode(), status=fault.status or 500, content_type="text/plain")
    else:
        answer = error(fault)
    answer.headers.update(fault.headers)
    if fault.retry_after is not None:
        answer.headers["Retry-After"] = fault.retry_after
    return answer


class Router:
    """Sends each request to its virtual host and turns RestErrors into answers."""

    def __init__(self, hosts: dict[str, Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]]) -> None:
        self._hosts = hosts

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        """One request."""
        try:
            return await self._hosts[virtual_host(request)](request)
        except RestError as error:
            return error_answer(error)
        except ConnectionError:
            # The client left, or a fault closed the connection: nothing can be sent.
            return web.Response(status=499)


async def drop(request: web.BaseRequest) -> web.StreamResponse:
    """Closes the connection without an answer."""
    hang_up(request)
    raise ConnectionResetError
