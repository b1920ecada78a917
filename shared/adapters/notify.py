"""Announcements as CloudEvents 1.0 on the customer's own Event Grid topic, at least once.

A topic that does not answer is left alone for half a minute by the whole process: each attempt costs up to eight
seconds of a thread that digests and deliveries need. The outboxes keep what it did not take.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

from azure.core.credentials import AzureKeyCredential
from azure.core.exceptions import AzureError
from azure.core.messaging import CloudEvent
from azure.eventgrid import EventGridPublisherClient

from shared.adapters.translate import NETWORK_ERRORS
from shared.domain.errors import AlertNotSent
from shared.logs import describe
from shared.worker.announcements import SOURCE, announcement

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from azure.core.credentials import TokenCredential

    from shared.domain.journal import PendingAlert
    from shared.domain.recording import Recording

_LEFT_ALONE_SECONDS = 30.0


class TopicNotifier:
    """Port `Notifier` on azure-eventgrid: one CloudEvent an entry of the outbox. `monotonic`: seconds."""

    def __init__(
        self,
        endpoint: str,
        *,
        key: str | None,
        credential: TokenCredential | None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        chosen = AzureKeyCredential(key) if key else credential
        if chosen is None:
            raise ValueError("a topic for events needs a key or an identity")
        self._client = EventGridPublisherClient(endpoint, chosen)
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._left_alone_until = 0.0

    def publish(self, *, recording: Recording, alerts: Sequence[PendingAlert]) -> None:
        """See the port."""
        with self._lock:
            if self._monotonic() < self._left_alone_until:
                raise AlertNotSent("the topic did not take an event a moment ago")
        events = [_cloud_event(recording, alert) for alert in alerts]
        try:
            # For a topic's endpoint the SDK's constructor drops all options; only those of a call count.
            self._client.send(events, connection_timeout=3, read_timeout=5, retry_total=0)
        except (*NETWORK_ERRORS, AzureError) as error:
            with self._lock:
                self._left_alone_until = self._monotonic() + _LEFT_ALONE_SECONDS
            raise AlertNotSent(describe(error)) from error


def _cloud_event(recording: Recording, alert: PendingAlert) -> CloudEvent[dict[str, Any]]:
    one = announcement(recording, alert)
    return CloudEvent(source=SOURCE, type=one.type, subject=one.subject, id=one.id, time=one.time, data=one.data)
