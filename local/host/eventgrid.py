"""The Event Grid webhook: `/runtime/webhooks/EventGrid?functionName=NAME`, as the extension of the real host answers.

Handshakes of both schemas, each event of the array to the function (side by side), 202 when all went well, 500 when
one failed (Event Grid then delivers the whole array again), 404 for a function that is not there.
"""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from aiohttp import web

from local.host.convert import event_value
from local.host.model import EVENT_GRID, Function

if TYPE_CHECKING:
    from collections.abc import Mapping

    from local.host.invoke import Invoker
    from local.host.logs import HostLog


class EventGridWebhook:
    """Serves the webhook for all Event Grid functions of the app."""

    def __init__(self, functions: Mapping[str, Function], *, invoker: Invoker, log: HostLog) -> None:
        self._functions = {
            name.lower(): function for name, function in functions.items() if function.kind == EVENT_GRID
        }
        self._invoker = invoker
        self._log = log

    async def handle(self, request: web.Request) -> web.Response:
        """Answers one request to the webhook."""
        name = request.query.get("functionName", "")
        function = self._functions.get(name.lower())
        if function is None:
            names = ", ".join(sorted(found.name for found in self._functions.values()))
            self._log.info(f"cannot find function: '{name}', available function names: [{names}]")
            return web.Response(status=404, text=f"cannot find function: '{name}'")
        if request.method == "OPTIONS":
            return _abuse_check(request)
        if request.method != "POST":
            return web.Response(status=404)
        kind = request.headers.get("aeg-event-type", "").lower()
        if kind == "subscriptionvalidation":
            self._log.info(f"perform handshake with eventGrid for function: {function.name}")
            return web.json_response({"validationResponse": _validation_code(json.loads(await request.text()))})
        if kind == "notification":
            return await self._deliver(function, json.loads(await request.text()))
        return web.Response(status=202 if kind == "unsubscribe" else 400)

    async def _deliver(self, function: Function, content: Any) -> web.Response:
        if not isinstance(content, (list, dict)):
            raise TypeError(f"an event or an array of events was expected, not {type(content).__name__}")
        events = content if isinstance(content, list) else [content]
        reason = f"EventGrid trigger fired at {datetime.now(UTC).isoformat()}"
        outcomes = await asyncio.gather(
            *(self._invoker.invoke(function, event_value(function, event), reason=reason) for event in events)
        )
        for outcome in outcomes:
            if outcome.error is not None:
                return web.Response(status=500, text=f"Exception while executing function: Functions.{function.name}")
        return web.Response(status=202)


def _abuse_check(request: web.Request) -> web.Response:
    """The CloudEvents handshake: https://github.com/cloudevents/spec, HTTP webhook, "abuse protection"."""
    origin = request.headers.get("WebHook-Request-Origin")
    if origin is None:
        return web.Response(status=400)
    return web.Response(status=200, headers={"WebHook-Allowed-Origin": origin, "WebHook-Allowed-Rate": "*"})


def _validation_code(content: Any) -> str:
    event = content[0] if isinstance(content, list) else content
    data = event["data"]
    # The CloudEvents form of the validation event brings its data as a string of JSON.
    return str((json.loads(data) if isinstance(data, str) else data)["validationCode"])
