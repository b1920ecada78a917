"""The HTTP side: the topic endpoint, the manual handshake, and the control plane under `/_control/`."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from aiohttp import web

from local.eventgrid.access import may_publish
from local.eventgrid.schema import EventError
from local.eventgrid.subscription import DeadLetter, Subscription
from local.eventgrid.webhook import HandshakeError

if TYPE_CHECKING:
    from local.eventgrid.topic import Topic

_HOST = "127.0.0.1"
_MOST_BYTES = 1024 * 1024  # documented: 1 MB an event and a request
_API_VERSION = "2018-01-01"
_SHUTDOWN_SECONDS = 1.0

_CONTENT_TYPES = frozenset({"application/json", "application/cloudevents+json", "application/cloudevents-batch+json"})

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def serve(topic: Topic, *, port: int) -> AsyncIterator[int]:
    """Serves `topic` on 127.0.0.1 while the block runs; yields the port, a free one if `port` is 0."""
    app = web.Application(client_max_size=_MOST_BYTES, middlewares=[_as_json_errors])
    publishing, control = _Publishing(topic), _Control(topic)
    app.router.add_post("/api/events", publishing.publish)
    app.router.add_get("/eventsubscriptions/{name}/validate", publishing.validate)
    app.router.add_post("/eventsubscriptions/{name}/validate", publishing.validate)
    app.router.add_get("/_control/health", control.health)
    app.router.add_get("/_control/subscriptions", control.list_subscriptions)
    app.router.add_post("/_control/subscriptions", control.subscribe)
    app.router.add_delete("/_control/subscriptions/{name}", control.unsubscribe)
    app.router.add_get("/_control/deliveries", control.list_deliveries)
    app.router.add_post("/_control/deliveries/{id}/redeliver", control.redeliver)
    app.router.add_get("/_control/clock", control.show_clock)
    app.router.add_post("/_control/clock", control.set_clock)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=_SHUTDOWN_SECONDS)
    await runner.setup()
    try:
        site = web.TCPSite(runner, _HOST, port)
        await site.start()
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


@web.middleware
async def _as_json_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turns errors into JSON of the service's form."""
    try:
        return await handler(request)
    except web.HTTPException as error:
        return _error(HTTPStatus(error.status), error.reason)
    except (EventError, json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        return _error(HTTPStatus.BAD_REQUEST, str(error))


def _error(status: HTTPStatus, message: str) -> web.Response:
    code = status.phrase.replace(" ", "")
    return web.json_response({"error": {"code": code, "message": message}}, status=status)


# The fields of a subscription that are passed on unchanged, and the types of all.
_FIELDS = {
    "name": "name",
    "endpoint": "endpoint",
    "schema": "schema",
    "endpointType": "endpoint_type",
    "maxAttempts": "max_attempts",
    "batchSize": "batch_size",
    "timeoutSeconds": "timeout",
    "handshakeWaitSeconds": "handshake_wait",
    "duplicateProbability": "duplicate_probability",
    "delayAfter": "delay_after",
}
_KINDS: dict[str, type | tuple[type, ...]] = {
    **dict.fromkeys(("name", "endpoint", "schema", "endpointType"), str),
    **dict.fromkeys(("maxAttempts", "batchSize", "delayAfter"), int),
    **dict.fromkeys(
        ("timeoutSeconds", "handshakeWaitSeconds", "duplicateProbability", "ttlMinutes", "reorderSeconds"), (int, float)
    ),
    "eventTypes": list,
    "deadLetter": dict,
}


class _Publishing:
    """What publishers and validating endpoints see."""

    def __init__(self, topic: Topic) -> None:
        self._topic = topic

    async def publish(self, request: web.Request) -> web.Response:
        """`POST /api/events`: an array of events, or one CloudEvent. 200 without a body; all are accepted or none."""
        # A publisher's signature expires in real time.
        if not may_publish(request.headers, topic_key=self._topic.key, now=datetime.now(UTC)):
            return _error(HTTPStatus.UNAUTHORIZED, "The request authorization key is not valid.")
        if request.query.get("api-version", _API_VERSION) != _API_VERSION:
            return _error(HTTPStatus.BAD_REQUEST, f"api-version must be {_API_VERSION}")
        if request.content_type not in _CONTENT_TYPES:
            return _error(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"content type {request.content_type} is not supported")
        body = await request.json()
        events = [body] if request.content_type == "application/cloudevents+json" else body
        if not isinstance(events, list):
            return _error(HTTPStatus.BAD_REQUEST, "the body must be an array of events")
        self._topic.publish_all(events)
        return web.Response()

    async def validate(self, request: web.Request) -> web.Response:
        """`/eventsubscriptions/{name}/validate?id=code`: the manual handshake."""
        if self._topic.agree(request.query.get("id", "")):
            return web.Response(text="Webhook successfully validated as a subscription endpoint.")
        return _error(HTTPStatus.NOT_FOUND, "no pending handshake has this code")


class _Control:
    """For tests and scripts; needs no key."""

    def __init__(self, topic: Topic) -> None:
        self._topic = topic

    async def health(self, _: web.Request) -> web.Response:
        return web.json_response({"status": "ok", "pending": self._topic.pending})

    async def list_subscriptions(self, _: web.Request) -> web.Response:
        return web.json_response([_described(each) for each in self._topic.subscriptions])

    async def subscribe(self, request: web.Request) -> web.Response:
        """Body: see `_subscription`. 201 after the handshake, 409 if it failed."""
        try:
            subscription = _subscription(await request.json())
        except (TypeError, ValueError, OverflowError) as error:
            return _error(HTTPStatus.BAD_REQUEST, str(error))
        try:
            await self._topic.add(subscription)
        except HandshakeError as error:
            return _error(HTTPStatus.CONFLICT, str(error))
        return web.json_response(_described(subscription), status=HTTPStatus.CREATED)

    async def unsubscribe(self, request: web.Request) -> web.Response:
        if await self._topic.remove(request.match_info["name"]):
            return web.Response(status=HTTPStatus.NO_CONTENT)
        return _error(HTTPStatus.NOT_FOUND, "no such subscription")

    async def list_deliveries(self, request: web.Request) -> web.Response:
        """Filtered by `?state=` and `?eventId=`."""
        state, event_id = request.query.get("state"), request.query.get("eventId")
        found = [
            delivery.as_json()
            for delivery in self._topic.deliveries
            if state in {None, delivery.state} and event_id in {None, delivery.event_id}
        ]
        return web.json_response(found)

    async def redeliver(self, request: web.Request) -> web.Response:
        made = self._topic.redeliver(request.match_info["id"])
        if not made:
            return _error(HTTPStatus.NOT_FOUND, "no such delivery or event")
        return web.json_response({"deliveries": made}, status=HTTPStatus.ACCEPTED)

    async def show_clock(self, _: web.Request) -> web.Response:
        clock = self._topic.clock
        due = self._topic.next_due()
        return web.json_response(
            {"now": clock.now().isoformat(), "scale": clock.scale, "nextDue": due and due.isoformat()}
        )

    async def set_clock(self, request: web.Request) -> web.Response:
        """Body: `scale` (0: stepped) and `advanceSeconds`, either or both."""
        body = await request.json()
        if not isinstance(body, dict):
            return _error(HTTPStatus.BAD_REQUEST, "the body must be an object")
        try:
            if "scale" in body:
                self._topic.clock.set_scale(float(body["scale"]))
            if "advanceSeconds" in body:
                self._topic.clock.advance(timedelta(seconds=float(body["advanceSeconds"])))
        except (TypeError, ValueError, OverflowError) as error:
            return _error(HTTPStatus.BAD_REQUEST, str(error))
        return await self.show_clock(request)


def _subscription(body: Any) -> Subscription:
    """A subscription from the control plane's JSON. ValueError or TypeError with what is wrong."""
    if not isinstance(body, dict):
        raise TypeError("the body must be an object")
    if unknown := body.keys() - _KINDS.keys():
        raise ValueError(f"unknown fields: {', '.join(sorted(unknown))}")
    for name, value in body.items():
        if value is not None and (not isinstance(value, _KINDS[name]) or isinstance(value, bool)):
            raise TypeError(f"{name} is of the wrong type")
    fields: dict[str, Any] = {name: body[key] for key, name in _FIELDS.items() if body.get(key) is not None}
    if body.get("eventTypes") is not None:
        fields["event_types"] = tuple(_text(each, "eventTypes") for each in body["eventTypes"])
    if body.get("ttlMinutes") is not None:
        fields["ttl"] = timedelta(minutes=body["ttlMinutes"])
    if body.get("reorderSeconds") is not None:
        fields["reorder_window"] = timedelta(seconds=body["reorderSeconds"])
    if (place := body.get("deadLetter")) is not None:
        fields["dead_letter"] = DeadLetter(
            _text(place.get("connectionString"), "connectionString"), _text(place.get("container"), "container")
        )
    return Subscription(**fields)


def _text(value: Any, name: str) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a string")
    return value


def _described(subscription: Subscription) -> dict[str, Any]:
    """A subscription as JSON, without the key of the dead-letter account."""
    dead_letter = subscription.dead_letter
    return {
        "name": subscription.name,
        "endpoint": subscription.endpoint,
        "eventTypes": subscription.event_types,
        "schema": subscription.schema,
        "endpointType": subscription.endpoint_type,
        "ttlMinutes": subscription.ttl.total_seconds() / 60,
        "maxAttempts": subscription.max_attempts,
        "batchSize": subscription.batch_size,
        "deadLetterContainer": dead_letter.container if dead_letter else None,
    }
