"""Step `publish`: what a recording's outbox holds, as log lines (alerts only) and as events on the topic.

At least once: an entry is taken off the outbox after it was published, so a crash can repeat it and never lose it. Its
event's id is the same each time.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from shared.domain import facts as f
from shared.domain.errors import AlertNotSent
from shared.domain.recording import Step
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
        """Published; or StepFailed where the topic did not take them. The log has the alerts in either case."""
        if not recording.outbox:
            return []
        for alert in recording.outbox:
            if alert.is_alert and not alert.is_logged:
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
        seqs = tuple(alert.seq for alert in recording.outbox)
        try:
            self._notifier.publish(recording=recording, alerts=recording.outbox)
        except AlertNotSent as error:
            return [f.StepFailed(Step.PUBLISH, f.Failure.of(error), logged=seqs)]
        return [f.Published(seqs)]
