"""The Event Grid webhook: `/runtime/webhooks/EventGrid?functionName=NAME`, with the responses of the real extension.

Source: `HttpRequestProcessor` and `EventGridExtensionConfigProvider` of the extension. The function's name is
case-sensitive, the query's key is not. Apart from OPTIONS (the CloudEvents handshake) the method does not matter: the
header `aeg-event-type` decides, and a request without it (any GET) is a 400. Each event of the array goes to the
function, in parallel: 202 if all succeeded, 500 if one failed (Event Grid then delivers the whole array again).
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

_PUBLIC_CLOUD = "eventgrid.azure.net"
# The origins that the extension allows by name: those of Azure's clouds.
_ORIGINS = {
    _PUBLIC_CLOUD,
    "eventgrid.azure.us",
    "eventgrid.azure.eaglex.ic.gov",
    "eventgrid.azure.microsoft.scloud",
    "eventgrid.azure.cn",
}


class EventGridWebhook:
    """Serves the webhook for all Event Grid functions of the app."""

    def __init__(self, functions: Mapping[str, Function], *, invoker: Invoker, log: HostLog) -> None:
        self._functions = {name: function for name, function in functions.items() if function.kind == EVENT_GRID}
        self._invoker = invoker
        self._log = log

    async def handle(self, request: web.Request) -> web.Response:
        """Answers one request to the webhook. ValueError and the like for a body that cannot be parsed (500)."""
        # .NET compares a query's keys without case, and joins repeated values with commas.
        name = ",".join(text for key, text in request.query.items() if key.lower() == "functionname")
        function = self._functions.get(name)
        if function is None:
            names = ", ".join(sorted(self._functions))
            self._log.info(f"cannot find function: '{name}', available function names: [{names}]")
            return web.Response(status=404, text=f"cannot find function: '{name}'")
        if request.method == "OPTIONS":
            origin = request.headers.get("WebHook-Request-Origin", "")
            allowed = origin if origin in _ORIGINS else _PUBLIC_CLOUD
            return web.Response(headers={"WebHook-Allowed-Origin": allowed})
        kind = request.headers.get("aeg-event-type", "").lower()
        if kind == "subscriptionvalidation":
            self._log.info(f"perform handshake with eventGrid for function: {function.name}")
            # JSON, but with the content type of plain text.
            return web.Response(text=json.dumps({"validationResponse": _code(json.loads(await request.text()))}))
        if kind == "notification":
            return await self._deliver(function, json.loads(await request.text()))
        return web.Response(status=202 if kind == "unsubscribe" else 400)

    async def _deliver(self, function: Function, content: Any) -> web.Response:
        if not isinstance(content, (list, dict)):
            raise TypeError(f"an event or an array of events was expected, not {type(content).__name__}")
        events = content if isinstance(content, list) else [content]
        reason = f"EventGrid trigger fired at {datetime.now(UTC).isoformat()}"
        outcomes = await asyncio.gather(
            *(self._invoker.invoke(function, event_value(event), reason=reason) for event in events)
        )
        if all(outcome.succeeded for outcome in outcomes):
            return web.Response(status=202)
        return web.Response(status=500, text=f"Exception while executing function: Functions.{function.name}")


def _code(content: Any) -> str:
    if isinstance(content, list):
        return str(content[0]["data"]["validationCode"])
    data = content["data"]  # of a CloudEvent: a string of JSON
    return str((json.loads(data) if isinstance(data, str) else data)["validationCode"])
