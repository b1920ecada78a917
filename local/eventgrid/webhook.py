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
from typing import TYPE_CHECKING

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


class Webhook:
    """Requests over one HTTP session, which its owner opens and closes."""

    def __init__(self, session: aiohttp.ClientSession, *, clock: Clock, topic: str) -> None:
        self._session = session
        self._clock = clock
        self._topic = topic

    async def handshake(self, subscription: Subscription) -> None:
        """Returns once the endpoint has agreed. HandshakeError if it has not after `handshake_wait` seconds.

        Until then the handshake is repeated, also where the endpoint responds without agreeing: the service waits for a
        visit of the validation URL there, which is not emulated.
        """
        give_up = time.monotonic() + subscription.handshake_wait
        validate = self._validate_by_options if subscription.schema == CLOUD_EVENTS else self._validate_by_event
        while True:
            try:
                problem = await validate(subscription)
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                problem = str(error) or type(error).__name__
            if not problem:
                return
            if time.monotonic() >= give_up:
                raise HandshakeError(f"subscription {subscription.name}: {problem}")
            await asyncio.sleep(_RETRY_SECONDS)

    async def notify(
        self, subscription: Subscription, *, event: Event, delivery_id: str, earlier_attempts: int
    ) -> Response:
        """Delivers `event`. Failures of the endpoint are returned, not raised."""
        headers = _headers(subscription, "Notification") | {
            "aeg-delivery-count": str(earlier_attempts),
            "aeg-output-event-id": delivery_id,
        }
        if subscription.schema == EVENT_GRID:
            headers["Content-Type"] = "application/json; charset=utf-8"
            headers["aeg-data-version"] = str(event.get("dataVersion", ""))
            headers["aeg-metadata-version"] = str(event.get("metadataVersion", "1"))
            return await self._post(subscription, encoded([event]), headers)
        headers["Content-Type"] = "application/cloudevents+json; charset=utf-8"
        headers["aeg-metadata-version"] = "1.0"
        headers["Origin"] = SENDER
        return await self._post(subscription, encoded(event), headers)

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

    async def _validate_by_event(self, subscription: Subscription) -> str:
        """The synchronous handshake. Returns what is wrong, or "" if the code was echoed."""
        code = str(uuid.uuid4())
        event = {
            "id": str(uuid.uuid4()),
            "topic": self._topic,
            "subject": "",
            "data": {"validationCode": code, "validationUrl": f"https://{SENDER}/not-emulated?id={code}"},
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
        return "" if _echo(text) == code else "the endpoint did not echo the validation code"

    async def _validate_by_options(self, subscription: Subscription) -> str:
        """The CloudEvents handshake. Returns what is wrong, or "" if the endpoint allows this sender."""
        headers = {"WebHook-Request-Origin": SENDER}
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
        return "" if allowed in {"*", SENDER} else f"the endpoint allows the origin {allowed!r}, not {SENDER}"


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
