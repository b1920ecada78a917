"""Step `publish`: what a recording's outbox holds, as log lines (alerts only) and as events on the topic.

At least once: an entry is taken off the outbox after it was published, so a crash can repeat it and never lose it. Its
event's id is the same each time.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from shared.domain import facts as f
from shared.logs import log

if TYPE_CHECKING:
    from shared.domain.recording import Recording
    from shared.ports import Notifier

_LEVELS = {"warning": logging.WARNING, "error": logging.ERROR}


class Publish:
    """Publishes outboxes."""

    def __init__(self, *, notifier: Notifier) -> None:
        self._notifier = notifier

    def publish(self, recording: Recording) -> list[f.Fact]:
        """Published. AlertNotSent where the topic did not take them; the log has the alerts by then."""
        if not recording.outbox:
            return []
        if recording.publishing.failures == 0:
            for alert in recording.outbox:
                if alert.is_alert:
                    log(
                        f"alert.{alert.name}",
                        level=_LEVELS[alert.level],
                        recording=recording.key,
                        chunk=alert.chunk,
                        code=alert.code,
                        message=alert.message,
                        raised_at=alert.at,
                        at_risk_from=recording.at_risk_from,
                    )
        self._notifier.publish(recording=recording, alerts=recording.outbox)
        return [f.Published(tuple(alert.seq for alert in recording.outbox))]
