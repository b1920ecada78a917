"""Event Grid as an HTTP client: the handshake with an endpoint, and the delivery of events.

Headers and bodies as documented; what comes from users' traces says "field".
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
"""What the service calls itself in a CloudEvents handshake."""

_VALIDATION_TYPE = "Microsoft.EventGrid.SubscriptionValidationEvent"
_TRY_AGAIN = 0.2
_MOST_OF_ANSWER = 64 * 1024


class HandshakeError(RuntimeError):
    """The endpoint was not up in time, or did not agree to receive events."""


@dataclass(frozen=True)
class Answer:
    """What a try came to; `status` None: no answer came."""

    outcome: Outcome
    status: int | None = None


@dataclass(frozen=True)
class _Handshake:
    """One under way: its code and URL, when (monotonic seconds) it fails, and whether the URL was visited."""

    code: str
    url: str
    give_up: float
    visited: asyncio.Event


class Webhook:
    """Requests over one HTTP session, which its owner opens and closes."""

    def __init__(self, session: aiohttp.ClientSession, *, clock: Clock, topic: str) -> None:
        self._session = session
        self._clock = clock
        self._topic = topic
        self._handshakes: dict[str, _Handshake] = {}

    def agree(self, code: str) -> bool:
        """The manual half of a handshake: its validation URL was visited. False for an unknown code."""
        handshake = self._handshakes.get(code)
        if handshake is None:
            return False
        handshake.visited.set()
        return True

    async def handshake(self, subscription: Subscription, *, origin: str) -> None:
        """Returns once the endpoint has agreed; raises `HandshakeError` after `handshake_wait` seconds.

        `origin`: where the validation URL points (`http://host:port`). An endpoint that is not up yet, or
        answers with an error, is asked again until then.
        """
        code = str(uuid.uuid4())
        handshake = self._handshakes[code] = _Handshake(
            code=code,
            url=f"{origin}/eventsubscriptions/{subscription.name}/validate?id={code}",
            give_up=time.monotonic() + subscription.handshake_wait,
            visited=asyncio.Event(),
        )
        ask = self._ask_options if subscription.schema == CLOUD_EVENTS else self._ask_event
        try:
            while True:
                try:
                    problem = await ask(subscription, handshake)
                except (aiohttp.ClientError, TimeoutError, OSError) as error:
                    problem = str(error) or type(error).__name__
                if not problem:
                    return
                if time.monotonic() >= handshake.give_up:
                    raise HandshakeError(f"subscription {subscription.name}: {problem}")
                await asyncio.sleep(_TRY_AGAIN)
        finally:
            del self._handshakes[code]

    async def notify(
        self, subscription: Subscription, *, events: list[Event], delivery_id: str, earlier_tries: int
    ) -> Answer:
        """Delivers `events` in one request; never raises for what the endpoint does."""
        is_batch = subscription.batch_size > 1
        headers = _headers(subscription, "Notification") | {
            "aeg-delivery-count": str(earlier_tries),
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

    async def _post(self, subscription: Subscription, body: bytes, headers: dict[str, str]) -> Answer:
        try:
            async with self._session.post(
                subscription.endpoint,
                data=body,
                headers=headers,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=subscription.timeout),
            ) as response:
                return Answer(outcome_of(response.status), response.status)
        except TimeoutError:
            return Answer(Outcome.TIMED_OUT)
        except aiohttp.ClientConnectorDNSError:
            return Answer(Outcome.RESOLUTION_ERROR)
        except (aiohttp.ClientError, OSError) as error:
            is_lookup = isinstance(getattr(error, "os_error", None), socket.gaierror)
            return Answer(Outcome.RESOLUTION_ERROR if is_lookup else Outcome.SOCKET_ERROR)

    async def _ask_event(self, subscription: Subscription, handshake: _Handshake) -> str:
        """The synchronous handshake; returns what is wrong, or "" if the code was echoed.

        A 200 without the code leaves the subscription waiting for a visit of the validation URL.
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
            text = await response.content.read(_MOST_OF_ANSWER)
            # 202 is no agreement (documented).
            if response.status != HTTPStatus.OK:
                return f"the endpoint answered {response.status} to the validation event"
        return "" if _echo(text) == handshake.code else await _visited(handshake)

    async def _ask_options(self, subscription: Subscription, handshake: _Handshake) -> str:
        """The handshake of CloudEvents; returns what is wrong, or "" if the endpoint allows this sender."""
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
            return f"the endpoint answered {status} to OPTIONS"
        return "" if allowed in {"*", SENDER} else await _visited(handshake)


async def _visited(handshake: _Handshake) -> str:
    """Waits for a visit of the validation URL; returns what is wrong, or "" if it came."""
    try:
        await asyncio.wait_for(handshake.visited.wait(), handshake.give_up - time.monotonic())
    except TimeoutError:
        return "the endpoint answered, but neither agreed nor visited the validation URL"
    return ""


def _headers(subscription: Subscription, kind: str) -> dict[str, str]:
    # Field: the subscription's name travels in capitals.
    return {"aeg-event-type": kind, "aeg-subscription-name": subscription.name.upper()}


def _echo(text: bytes) -> str | None:
    try:
        answer = json.loads(text)
    except ValueError:
        return None
    return answer.get("validationResponse") if isinstance(answer, dict) else None
