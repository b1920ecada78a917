"""The host's URLs: HTTP functions under the route prefix, the Event Grid webhook, and `/admin`."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import azure.functions as func
from aiohttp import web

from local.host import convert
from local.host.eventgrid import EventGridWebhook
from local.host.model import EVENT_GRID, HTTP, TIMER, Function
from local.host.routes import Route, RouteError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from local.host.config import HostConfig
    from local.host.invoke import Invoker
    from local.host.logs import HostLog

# The real host's default limit of HTTP bodies.
_LARGEST_BODY = 100 * 1024 * 1024
_REASON = "This function was programmatically called via the host APIs."


class WebFront:
    """The HTTP side of one app. `refused`: the reason by function; functions with an unsupported route are added."""

    def __init__(
        self,
        functions: Sequence[Function],
        *,
        config: HostConfig,
        invoker: Invoker,
        log: HostLog,
        refused: dict[str, str],
    ) -> None:
        self._functions = {function.name: function for function in functions}
        self._prefix = [part for part in config.route_prefix.split("/") if part]
        self._invoker = invoker
        self._log = log
        self._refused = refused
        self._events = EventGridWebhook(self._functions, invoker=invoker, log=log)
        self._tasks: set[asyncio.Task[Any]] = set()
        self._routes: list[tuple[Route, frozenset[str], Function]] = []
        for function in functions:
            if function.kind == HTTP:
                self._add_route(function)
        self._routes.sort(key=lambda entry: entry[0].precedence)

    def _add_route(self, function: Function) -> None:
        try:
            route = Route(str(function.trigger.get("route", function.name)))
        except RouteError as error:
            self._refused[function.name] = str(error)
            return
        methods = frozenset(method.upper() for method in function.trigger.get("methods") or ())
        self._routes.append((route, methods, function))

    def listing(self, origin: str) -> list[str]:
        """The function list as func prints it at start."""
        lines = []
        for function in self._functions.values():
            if function.name in self._refused:
                continue
            if function.kind == HTTP:
                methods = ",".join(method.upper() for method in function.trigger.get("methods") or ())
                path = "/".join([*self._prefix, str(function.trigger.get("route", function.name)).strip("/")])
                lines.append(f"{function.name}: [{methods or 'ANY'}] {origin}/{path}")
            elif function.kind == EVENT_GRID:
                hook = f"{origin}/runtime/webhooks/EventGrid?functionName={function.name}"
                lines.append(f"{function.name}: {function.kind} {hook}")
            else:
                about = function.trigger.get("queueName") or function.trigger.get("schedule")
                lines.append(f"{function.name}: {function.kind} {about}")
        return lines

    def application(self) -> web.Application:
        """The aiohttp application that serves all URLs."""
        app = web.Application(client_max_size=_LARGEST_BODY)
        app.router.add_route("*", "/{path:.*}", self._serve)
        return app

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        parts = request.rel_url.raw_path.lstrip("/").split("/")
        lowered = [part.lower() for part in parts]
        try:
            if lowered[0] == "admin":
                return self._admin(request, lowered[1:])
            if lowered == ["runtime", "webhooks", "eventgrid"]:
                return await self._events.handle(request)
            if lowered == [""] and request.method in {"GET", "HEAD"}:
                return web.Response(text="Your function app is up and running (local host)\n")
            return await self._function(request, parts)
        except (ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
            # A body that the real extension cannot parse either: an unhandled exception there, and 500.
            self._log.error(f"An unhandled exception has occurred while executing the request: {error!r}")
            return web.Response(status=500)

    async def _function(self, request: web.Request, parts: list[str]) -> web.Response:
        prefix, rest = parts[: len(self._prefix)], parts[len(self._prefix) :]
        if [part.lower() for part in prefix] == [part.lower() for part in self._prefix]:
            for route, methods, function in self._routes:
                found = route.match(rest)
                if found is not None and (not methods or request.method in methods):
                    return await self._call(function, request, found)
        return web.Response(status=404)  # for a wrong method too, as in the real host

    async def _call(self, function: Function, request: web.Request, route: Mapping[str, str]) -> web.Response:
        # The real host passes no body on if the request does not state its length.
        body = await request.read() if (request.content_length or 0) > 0 else b""
        value = func.HttpRequest(
            request.method,
            str(request.url),
            headers=_joined(request.headers, lower=True),
            params={name: text for name, text in _joined(request.query).items() if text},
            route_params=route,
            body=body,
        )
        outcome = await self._invoker.invoke(function, value, reason=_REASON)
        return web.Response(status=500) if outcome.error is not None else _response(outcome.value)

    def _admin(self, request: web.Request, path: list[str]) -> web.Response:
        """`POST /admin/functions/NAME` runs a timer once, without waiting for its end."""
        by_name = {name.lower(): function for name, function in self._functions.items()}
        function = by_name.get(path[1]) if path[:1] == ["functions"] and len(path) == 2 else None
        if function is None or request.method != "POST":
            return web.Response(status=404)
        if function.kind != TIMER:
            return web.Response(status=501, text=f"this host runs timers manually, not a {function.kind}")
        value = convert.timer_value({"IsPastDue": False})
        task = asyncio.create_task(self._invoker.invoke(function, value, reason=_REASON))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return web.Response(status=202)


def _joined(items: Any, *, lower: bool = False) -> dict[str, str]:
    """Repeated values of one name, joined by commas as in .NET."""
    joined: dict[str, str] = {}
    for name, text in items.items():
        key = name.lower() if lower else name
        joined[key] = f"{joined[key]},{text}" if key in joined else text
    return joined


def _response(result: func.HttpResponse | str) -> web.Response:
    if isinstance(result, str):
        return web.Response(text=result)
    response = web.Response(status=result.status_code, body=result.get_body())
    for name, text in result.headers.items():
        response.headers[name] = text  # the last of repeated values, as in the worker
    if "Content-Type" not in result.headers:
        charset = f"; charset={result.charset}" if result.mimetype.startswith("text/") else ""
        response.headers["Content-Type"] = result.mimetype + charset
    return response
