"""Event Grid in this process: a topic on a separate thread, with a port for publishers."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import TYPE_CHECKING, Self

from aiohttp import web

from local.eventgrid.schema import EventError
from local.eventgrid.topic import Topic
from local.http_server import HttpServer

if TYPE_CHECKING:
    from local.clock import Clock

_PATH = "/api/events"
_API_VERSION = "2018-01-01"
_CONTENT_TYPES = frozenset({"application/json", "application/cloudevents+json", "application/cloudevents-batch+json"})


class EventGrid(Topic):
    """A topic that runs: see `Topic` for what it delivers and how.

    `port`: of the topic endpoint; 0: a free one, kept over `stop` and `start`. `topic_key`: what a publisher over HTTP
    must send in `aeg-sas-key`; None: nothing.

        with EventGrid(clock=clock) as grid:
            grid.subscribe(Subscription("recordings", url))
            grid.publish(event)
    """

    def __init__(
        self, *, clock: Clock | None = None, seed: int = 0, port: int = 0, topic_key: str | None = None
    ) -> None:
        super().__init__(clock=clock, seed=seed)
        self._key = topic_key
        self._server = HttpServer(self._answer, name="Event Grid", port=port, beside=self.running)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> Self:
        """Starts the thread and returns once the port answers. RuntimeError, with its cause, if it does not."""
        self._server.start()
        return self

    def stop(self) -> None:
        """Ends the deliveries, the subscriptions and the thread; does nothing if it does not run."""
        self._server.stop()

    @property
    def origin(self) -> str:
        """Where it answers: `http://127.0.0.1:port`."""
        return self._server.origin

    @property
    def topic_url(self) -> str:
        """The topic endpoint: what `EventGridPublisherClient` takes."""
        return f"{self.origin}{_PATH}"

    async def _answer(self, request: web.BaseRequest) -> web.Response:
        """`POST /api/events`: an array of events, or one CloudEvent. 200 without a body; all are accepted or none."""
        if (request.method, request.path) != ("POST", _PATH):
            return _error(HTTPStatus.NOT_FOUND, f"only POST {_PATH} is emulated")
        if self._key is not None and request.headers.get("aeg-sas-key") != self._key:
            return _error(HTTPStatus.UNAUTHORIZED, "The request authorization key is not valid.")
        if request.content_type not in _CONTENT_TYPES:
            return _error(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"content type {request.content_type} is not supported")
        try:
            if request.query.get("api-version", _API_VERSION) != _API_VERSION:
                raise EventError(f"api-version must be {_API_VERSION}")
            body = json.loads(await request.read())
            events = [body] if request.content_type == "application/cloudevents+json" else body
            if not isinstance(events, list):
                raise EventError("the body must be an array of events")
            self.publish_all(events)
        except web.HTTPRequestEntityTooLarge as error:  # documented: 1 MB, aiohttp's own limit
            return _error(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, error.reason)
        except (ValueError, RecursionError) as error:
            return _error(HTTPStatus.BAD_REQUEST, str(error))
        return web.Response()


def _error(status: HTTPStatus, message: str) -> web.Response:
    code = status.phrase.replace(" ", "")
    return web.json_response({"error": {"code": code, "message": message}}, status=status)
