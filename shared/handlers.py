"""What each function does with what its trigger decoded. Here the tree of errors ends: HTTP errors become answers
(`http.py`, which has the operator's routes, too), all others go to the host, which delivers again.
"""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from shared.api.body import read_json
from shared.api.causes import causes
from shared.api.principal import caller
from shared.api.query import parse_query
from shared.api.responses import Response, json_response
from shared.api.statistics import parse_days
from shared.app import the_app
from shared.http import parameters, responding
from shared.logs import describe, log
from shared.start.request import check_idempotency_key
from shared.telemetry.port import NO_TELEMETRY
from shared.worker.message import decode_message

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from shared.app import App

# As many as host.json lets run at once (batchSize + newBatchThreshold) of each queue. Threads of their own: those that
# Functions runs HTTP and Event Grid functions in can be as few as five; the work on recordings must not fill them. And
# the background's apart from the rescues': no digest takes a rescue's thread.
_AT_ONCE = 6
_rescues = ThreadPoolExecutor(max_workers=2 * _AT_ONCE, thread_name_prefix="rescue")
_background = ThreadPoolExecutor(max_workers=_AT_ONCE, thread_name_prefix="background")


def start_recording(body: bytes, headers: Mapping[str, str]) -> Response:
    """`POST /api/recordings`."""
    by = caller(headers)

    def act(app: App) -> Response:
        key = check_idempotency_key(headers.get("idempotency-key"))
        started = app.start.start(read_json(body, headers), idempotency_key=key, by=by)
        sent = {"Location": f"/api/recordings/{started.answer['key']}"}
        if started.is_replay:
            sent["Idempotent-Replayed"] = "true"
        return json_response(started.answer, status=201, headers=sent)

    return responding(act)


def get_recording(identity: str) -> Response:
    """`GET /api/recordings/{recordingId}`."""
    return responding(lambda app: json_response(app.views.one(identity)))


def replay_recording(identity: str, headers: Mapping[str, str]) -> Response:
    """`POST /api/recordings/{recordingId}/replay`: 202 where something was set going, 200 where nothing was to do."""

    def act(app: App) -> Response:
        result = app.replay.replay(identity, by=caller(headers))
        body = app.views.one(identity) | {"replay": result.described()}
        return json_response(body, status=202 if result.is_going else 200)

    return responding(act)


def list_recordings(url: str) -> Response:
    """`GET /api/recordings`. From the URL, for a host's mapping of parameters holds each name once.

    The host routes `/recordings/` here, too: a recording whose id is empty.
    """
    if urlsplit(url).path.endswith("/"):
        return responding(lambda app: json_response(app.views.one("")))
    return responding(lambda app: json_response(app.listing.page(parse_query(parameters(url)))))


def get_causes(url: str) -> Response:
    """`GET /api/causes`."""
    return responding(lambda app: json_response(causes(app.store, parameters(url))))


def get_statistics(url: str) -> Response:
    """`GET /api/statistics`."""
    return responding(lambda app: json_response(app.statistics.over(parse_days(parameters(url)))))


def recording_file_status_updated(event: str) -> None:
    """One delivery of Event Grid. An error goes to the host: 500, and Event Grid delivers again."""
    _reporting(lambda app: app.intake.handle(event))


def sweep() -> None:
    """The timer."""
    _reporting(lambda app: app.sweep.run())
    _reporting(lambda app: app.audit.run())


@contextmanager
def traced(name: str, context: Any, *, sent_from: str | None = None) -> Iterator[None]:
    """A span around one invocation. `context`: the worker's, which has the host's own span; `sent_from`: the message's.

    A message belongs to the trace that it was sent from, and is linked with its invocation.
    """
    try:
        telemetry = the_app().telemetry
    except Exception:  # noqa: BLE001 - what is wrong with the settings is for the function itself to say
        telemetry = NO_TELEMETRY
    hosts = getattr(getattr(context, "trace_context", None), "trace_parent", None) or None
    about = {"faas.invocation_id": str(getattr(context, "invocation_id", ""))}
    with telemetry.span(name, about, parent=sent_from or hosts, link=hosts if sent_from else None):
        yield


def _reporting(action: Callable[[App], None]) -> None:
    try:
        action(the_app())
    except Exception as error:
        # Only the last exception crosses to the host, its cause does not: it is logged here.
        log("function.failed", level=logging.ERROR, error=describe(error))
        raise


async def work(body: bytes, *, message_id: str, is_background: bool = False, context: Any = None) -> None:
    """One queue message, in a thread of our own; its log lines belong to this invocation all the same."""
    item = decode_message(body)
    if item is None:
        log("work.foreign", level=logging.ERROR, size=len(body))
        return
    storage = getattr(context, "thread_local_storage", None)
    invocation = getattr(context, "invocation_id", None)

    def run() -> None:
        if storage is not None:
            # The way the worker documents for logging from one's own threads.
            storage.invocation_id = invocation
        name = "background_work" if is_background else "rescue_chunk"
        with traced(name, context, sent_from=item.trace):
            _reporting(lambda app: app.worker.handle(item, message_id=message_id))

    await asyncio.get_running_loop().run_in_executor(_background if is_background else _rescues, run)
