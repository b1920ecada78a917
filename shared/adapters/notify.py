"""Alerts as events on the customer's own Event Grid topic, for whoever wants to be woken by them."""

from __future__ import annotations

import logging
from datetime import datetime
from typing import TYPE_CHECKING

from azure.core.credentials import AzureKeyCredential
from azure.core.exceptions import AzureError
from azure.eventgrid import EventGridEvent, EventGridPublisherClient

from shared.adapters.translate import NETWORK_ERRORS
from shared.domain.codec import format_time
from shared.domain.redaction import clean
from shared.logs import describe, log

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential

EVENT_TYPE_PREFIX = "AcsByosRecorder."


class TopicNotifier:
    """Port `Notifier` on azure-eventgrid: one event an alert, type `AcsByosRecorder.{alert}`."""

    def __init__(self, endpoint: str, *, key: str | None, credential: TokenCredential | None) -> None:
        chosen = AzureKeyCredential(key) if key else credential
        if chosen is None:
            raise ValueError("an alert topic needs a key or an identity")
        self._client = EventGridPublisherClient(endpoint, chosen)

    def alert(self, *, name: str, recording_key: str, fields: dict[str, object]) -> None:
        """See the port."""
        data = {"recordingKey": recording_key} | {
            field: format_time(value) if isinstance(value, datetime) else clean(str(value))
            for field, value in fields.items()
        }
        event = EventGridEvent(
            subject=f"/recordings/{recording_key}",
            event_type=EVENT_TYPE_PREFIX + name,
            data=data,
            data_version="1.0",
        )
        try:
            # For a topic's endpoint the SDK's constructor drops all options; only those of a call count.
            self._client.send(event, connection_timeout=3, read_timeout=5, retry_total=2)
        except (*NETWORK_ERRORS, AzureError) as error:
            log("alert.not_sent", level=logging.ERROR, alert=name, recording=recording_key, error=describe(error))
