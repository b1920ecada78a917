"""Event Grid as an HTTP client: the handshake with an endpoint, and the delivery of events.

Headers and bodies are as documented; what was seen in users' traces is marked "field".
"""

from __future__ import annotations

import asyncio
import json
import socket
import time
import uuid
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import aiohttp

from local.eventgrid.schedule import Outcome, outcome_of
from local.eventgrid.schema import CLOUD_EVENTS, EVENT_GRID, Event, encoded

if TYPE_CHECKING:
    from local.clock import Clock
    from local.eventgrid.subscription import Subscription

SENDER = "eventgrid.azure.net"
"""The service's origin in a CloudEvents handshake."""

_VALIDATION_TYPE = "Microsoft.EventGrid.SubscriptionValidationEvent"
_RETRY_SECONDS = 0.2
_MOST_RESPONSE_BYTES = 64 * 1024


class HandshakeError(RuntimeError):
    """The endpoint was not up in time, or did not agree to receive events."""


@dataclass(frozen=True)
class Response:
    """Result of an attempt; `status` None: there was no response."""

    outcome: Outcome
    status: int | None = None


@dataclass(frozen=True)
class _Handshake:
    """A pending handshake: its code and URL, when (monotonic seconds) it fails, and whether the URL was visited."""

    code: str
    url: str
    give_up: float
    visited: asyncio.Event


class Webhook:
    """Requests over one HTTP session, which its owner opens and closes.

    `origin`: where the validation URLs point (`http://host:port`), set once the port is known.
    """

    def __init__(self, session: aiohttp.ClientSession, *, clock: Clock, topic: str) -> None:
        self._session = session
        self._clock = clock
        self._topic = topic
        self.origin = ""
        self._handshakes: dict[str, _Handshake] = {}

    def agree(self, code: str) -> bool:
        """Completes a handshake whose validation URL was visited; False for an unknown code."""
        handshake = self._handshakes.get(code)
        if handshake is None:
            return False
        handshake.visited.set()
        return True

    async def handshake(self, subscription: Subscription) -> None:
        """Returns once the endpoint has agreed. HandshakeError if it has not after `handshake_wait` seconds.

        Until then the handshake is repeated while the endpoint is not up or responds with an error.
        """
        code = str(uuid.uuid4())
        handshake = self._handshakes[code] = _Handshake(
            code=code,
            url=f"{self.origin}/eventsubscriptions/{subscription.name}/validate?id={code}",
            give_up=time.monotonic() + subscription.handshake_wait,
            visited=asyncio.Event(),
        )
        validate = self._validate_by_options if subscription.schema == CLOUD_EVENTS else self._validate_by_event
        try:
            while True:
                try:
                    problem = await validate(subscription, handshake)
                except (aiohttp.ClientError, TimeoutError, OSError) as error:
                    problem = str(error) or type(error).__name__
                if not problem:
                    return
                if time.monotonic() >= handshake.give_up:
                    raise HandshakeError(f"subscription {subscription.name}: {problem}")
                await asyncio.sleep(_RETRY_SECONDS)
        finally:
            del self._handshakes[code]

    async def notify(
        self, subscription: Subscription, *, events: list[Event], delivery_id: str, earlier_attempts: int
    ) -> Response:
        """Delivers `events` in one request. Failures of the endpoint are returned, not raised."""
        is_batch = subscription.batch_size > 1
        headers = _headers(subscription, "Notification") | {
            "aeg-delivery-count": str(earlier_attempts),
            "aeg-output-event-id": delivery_id,
        }
        body: Any = events
        if subscription.schema == EVENT_GRID:
            headers["Content-Type"] = "application/json; charset=utf-8"
            headers["aeg-data-version"] = str(events[0].get("dataVersion", ""))
            headers["aeg-metadata-version"] = str(events[0].get("metadataVersion", "1"))
        else:
            kind = "cloudevents-batch" if is_batch else "cloudevents"
            headers["Content-Type"] = f"application/{kind}+json; charset=utf-8"
            headers["aeg-metadata-version"] = "1.0"
            headers["Origin"] = SENDER
            body = events if is_batch else events[0]
        return await self._post(subscription, encoded(body), headers)

    async def _post(self, subscription: Subscription, body: bytes, headers: dict[str, str]) -> Response:
        try:
            async with self._session.post(
                subscription.endpoint,
                data=body,
                headers=headers,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=subscription.timeout),
            ) as response:
                return Response(outcome_of(response.status), response.status)
        except TimeoutError:
            return Response(Outcome.TIMED_OUT)
        except aiohttp.ClientConnectorDNSError:
            return Response(Outcome.RESOLUTION_ERROR)
        except (aiohttp.ClientError, OSError) as error:
            is_lookup = isinstance(getattr(error, "os_error", None), socket.gaierror)
            return Response(Outcome.RESOLUTION_ERROR if is_lookup else Outcome.SOCKET_ERROR)

    async def _validate_by_event(self, subscription: Subscription, handshake: _Handshake) -> str:
        """The synchronous handshake. Returns what is wrong, or "" if the code was echoed.

        After a 200 without the code the validation URL may still be visited.
        """
        event = {
            "id": str(uuid.uuid4()),
            "topic": self._topic,
            "subject": "",
            "data": {"validationCode": handshake.code, "validationUrl": handshake.url},
            "eventType": _VALIDATION_TYPE,
            "eventTime": self._clock.now().isoformat(),
            "metadataVersion": "1",
            "dataVersion": "1",
        }
        headers = _headers(subscription, "SubscriptionValidation") | {
            "Content-Type": "application/json; charset=utf-8",
            "aeg-delivery-count": "0",
            "aeg-data-version": "1",
            "aeg-metadata-version": "1",
        }
        async with self._session.post(
            subscription.endpoint,
            data=encoded([event]),
            headers=headers,
            allow_redirects=False,
            timeout=aiohttp.ClientTimeout(total=subscription.timeout),
        ) as response:
            text = await response.content.read(_MOST_RESPONSE_BYTES)
            # A 202 is not an agreement (documented).
            if response.status != HTTPStatus.OK:
                return f"the endpoint responded {response.status} to the validation event"
        return "" if _echo(text) == handshake.code else await _visited(handshake)

    async def _validate_by_options(self, subscription: Subscription, handshake: _Handshake) -> str:
        """The CloudEvents handshake. Returns what is wrong, or "" if the endpoint allows this sender."""
        headers = {"WebHook-Request-Origin": SENDER, "WebHook-Request-Callback": handshake.url}
        async with self._session.options(
            subscription.endpoint,
            headers=headers,
            allow_redirects=False,
            timeout=aiohttp.ClientTimeout(total=subscription.timeout),
        ) as response:
            allowed = response.headers.get("WebHook-Allowed-Origin", "")
            status = response.status
        if status != HTTPStatus.OK:
            return f"the endpoint responded {status} to OPTIONS"
        return "" if allowed in {"*", SENDER} else await _visited(handshake)


async def _visited(handshake: _Handshake) -> str:
    """Waits for a visit of the validation URL. Returns what is wrong, or "" after the visit."""
    try:
        await asyncio.wait_for(handshake.visited.wait(), handshake.give_up - time.monotonic())
    except TimeoutError:
        return "the endpoint neither agreed nor visited the validation URL"
    return ""


def _headers(subscription: Subscription, kind: str) -> dict[str, str]:
    # Field: the subscription's name is sent in capitals.
    return {"aeg-event-type": kind, "aeg-subscription-name": subscription.name.upper()}


def _echo(text: bytes) -> str | None:
    """The echoed code. The content type is not checked: the Functions extension sends JSON as `text/plain`."""
    try:
        answer = json.loads(text)
    except ValueError:
        return None
    return answer.get("validationResponse") if isinstance(answer, dict) else None
