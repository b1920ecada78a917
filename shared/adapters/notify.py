"""Alerts as events on the customer's own Event Grid topic, at least once, under ids that are the same each time."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import TYPE_CHECKING

from azure.core.credentials import AzureKeyCredential
from azure.core.exceptions import AzureError
from azure.eventgrid import EventGridEvent, EventGridPublisherClient

from shared.adapters.translate import NETWORK_ERRORS
from shared.domain.codec import format_time
from shared.domain.errors import AlertNotSent
from shared.domain.redaction import clean
from shared.logs import describe

if TYPE_CHECKING:
    from collections.abc import Sequence

    from azure.core.credentials import TokenCredential

    from shared.domain.recording import PendingAlert

EVENT_TYPE_PREFIX = "AcsByosRecorder."


class TopicNotifier:
    """Port `Notifier` on azure-eventgrid: one event an alert, type `AcsByosRecorder.{alert}`."""

    def __init__(self, endpoint: str, *, key: str | None, credential: TokenCredential | None) -> None:
        chosen = AzureKeyCredential(key) if key else credential
        if chosen is None:
            raise ValueError("an alert topic needs a key or an identity")
        self._client = EventGridPublisherClient(endpoint, chosen)

    def publish(self, *, recording_key: str, alerts: Sequence[PendingAlert], fields: dict[str, object]) -> None:
        """See the port."""
        events = [self._event(recording_key, alert, fields) for alert in alerts]
        try:
            # For a topic's endpoint the SDK's constructor drops all options; only those of a call count.
            self._client.send(events, connection_timeout=3, read_timeout=5, retry_total=0)
        except (*NETWORK_ERRORS, AzureError) as error:
            raise AlertNotSent(describe(error)) from error

    @staticmethod
    def _event(recording_key: str, alert: PendingAlert, fields: dict[str, object]) -> EventGridEvent:
        told = {
            "recordingKey": recording_key,
            "level": alert.level,
            "chunk": alert.chunk,
            "code": alert.code,
            "message": alert.message,
            "raisedAt": alert.at,
        } | fields
        data = {
            name: format_time(value)
            if isinstance(value, datetime)
            else value
            if isinstance(value, int)
            else clean(str(value))
            for name, value in told.items()
            if value is not None
        }
        return EventGridEvent(
            id=str(uuid.uuid5(uuid.NAMESPACE_URL, f"acs-byos-recorder/{recording_key}/{alert.seq}")),
            subject=f"/recordings/{recording_key}",
            event_type=EVENT_TYPE_PREFIX + alert.name,
            event_time=alert.at,
            data=data,
            data_version="1.0",
        )
