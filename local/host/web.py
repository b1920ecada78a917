"""The host's URLs: HTTP functions under the route prefix, the Event Grid webhook, `/admin` and the home page."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

from aiohttp import web

from local.host import convert
from local.host.eventgrid import EventGridWebhook
from local.host.model import EVENT_GRID, HTTP, QUEUE, TIMER, Function
from local.host.routes import Route, RouteError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import azure.functions as func

    from local.host.config import HostConfig
    from local.host.invoke import Invoker
    from local.host.logs import HostLog

# As the real host's default for HTTP bodies (extensions.http has no smaller one): 100 MB.
_LARGEST_BODY = 100 * 1024 * 1024
_CALLED = "This function was programmatically called via the host APIs."


class WebFront:
    """The HTTP side of one app. `refused`: functions that did not start, by name; routes that are wrong are added."""

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
        """The aiohttp application that serves it all."""
        app = web.Application(client_max_size=_LARGEST_BODY)
        app.router.add_route("*", "/{path:.*}", self._serve)
        return app

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        parts = request.rel_url.raw_path.lstrip("/").split("/")
        lowered = [part.lower() for part in parts]
        try:
            if lowered[0] == "admin":
                return await self._admin(request, lowered[1:], parts)
            if lowered[:3] == ["runtime", "webhooks", "eventgrid"] and len(parts) == len(lowered[:3]):
                return await self._events.handle(request)
            if lowered == [""] and request.method in {"GET", "HEAD"}:
                return web.Response(text="Your function app is up and running (local host)\n")
            return await self._function(request, parts)
        except (ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
            # A body that the real host's extension cannot parse either: an unhandled exception there, 500 here.
            self._log.error(f"An unhandled exception has occurred while executing the request: {error!r}")
            return web.Response(status=500)

    async def _function(self, request: web.Request, parts: list[str]) -> web.Response:
        lead, rest = parts[: len(self._prefix)], parts[len(self._prefix) :]
        if [part.lower() for part in lead] != [part.lower() for part in self._prefix]:
            return web.Response(status=404)
        if rest and rest[-1] == "":
            rest = rest[:-1]  # a trailing slash matches too
        for route, methods, function in self._routes:
            found = route.match(rest)
            if found is not None and (not methods or request.method in methods):
                return await self._call(function, request, found)
        return web.Response(status=404)  # a wrong method too, as in the real host

    async def _call(self, function: Function, request: web.Request, route: Mapping[str, str]) -> web.Response:
        # The real host hands no body over when the request does not say its length.
        body = await request.read() if (request.content_length or 0) > 0 else b""
        value = convert.http_value(
            method=request.method,
            url=str(request.url),
            headers=_joined(request.headers, lower=True),
            query={name: text for name, text in _joined(request.query).items() if text},
            route=route,
            body=body,
        )
        outcome = await self._invoker.invoke(function, value, reason=_CALLED)
        if outcome.error is not None:
            return web.Response(status=500)
        return _answer(outcome.value)

    async def _admin(self, request: web.Request, path: list[str], parts: list[str]) -> web.Response:
        if path in (["host", "ping"], ["host", "status"]) and request.method in {"GET", "POST"}:
            return web.json_response({"state": "Running"} if path[1] == "status" else {})
        if path[:1] != ["functions"]:
            return web.Response(status=404)
        if len(path) == 1 and request.method == "GET":
            return web.json_response([self._described(name) for name in sorted({*self._functions, *self._refused})])
        by_name = {name.lower(): function for name, function in self._functions.items()}
        function = by_name.get(path[1]) if len(parts) == len(["admin", "functions", "name"]) else None
        if function is None or request.method not in {"GET", "POST"}:
            return web.Response(status=404)
        if request.method == "GET":
            return web.json_response(self._described(function.name))
        return await self._trigger(function, request)

    def _described(self, name: str) -> dict[str, Any]:
        function = self._functions.get(name)
        bindings = [] if function is None else [dict(function.trigger)]
        return {"name": name, "config": {"bindings": bindings}, "error": self._refused.get(name)}

    async def _trigger(self, function: Function, request: web.Request) -> web.Response:
        """`POST /admin/functions/NAME {"input": …}`: runs the function once, without waiting for its end."""
        try:
            given = json.loads(await request.text() or "{}")
        except ValueError:
            return web.Response(status=400)
        if not isinstance(given, dict):
            return web.Response(status=400)
        value = _manual_value(function, given.get("input"))
        task = asyncio.create_task(self._invoker.invoke(function, value, reason=_CALLED))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return web.Response(status=202)


def _manual_value(function: Function, given: Any) -> Any:
    text = given if isinstance(given, str) else json.dumps(given if given is not None else "")
    if function.kind == QUEUE:
        return convert.queue_value(function, text.encode(), {})
    if function.kind == TIMER:
        return convert.timer_value(function, {"IsPastDue": False})
    if function.kind == EVENT_GRID:
        return convert.event_value(function, json.loads(text))
    return convert.http_value(method="POST", url="", headers={}, query={}, route={}, body=text.encode())


def _joined(items: Any, *, lower: bool = False) -> dict[str, str]:
    """Several values of one name become one, joined by commas, as .NET does it."""
    joined: dict[str, str] = {}
    for name, text in items.items():
        key = name.lower() if lower else name
        joined[key] = f"{joined[key]},{text}" if key in joined else text
    return joined


def _answer(result: func.HttpResponse | str) -> web.Response:
    if isinstance(result, str):
        return web.Response(text=result)
    answer = web.Response(status=result.status_code, body=result.get_body())
    for name, text in result.headers.items():
        if name.lower() == "set-cookie":
            answer.headers.add(name, text)
        else:
            answer.headers[name] = text  # of several values the last one stays, as in the worker
    if "Content-Type" not in result.headers:
        charset = f"; charset={result.charset}" if result.mimetype.startswith("text/") else ""
        answer.headers["Content-Type"] = result.mimetype + charset
    return answer
