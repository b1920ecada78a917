"""Alerts, kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.domain.errors import AlertNotSent

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shared.domain.journal import PendingAlert
    from shared.domain.recording import Recording


class FakeNotifier:
    """Port `Notifier`. `alerts` has (name, recording key, alert) in the order they came; `is_down`: it takes none."""

    def __init__(self) -> None:
        self.alerts: list[tuple[str, str, PendingAlert]] = []
        self.is_down = False

    def publish(self, *, recording: Recording, alerts: Sequence[PendingAlert]) -> None:
        if self.is_down:
            raise AlertNotSent("the topic does not answer")
        self.alerts += [(alert.name, recording.key, alert) for alert in alerts]

    @property
    def names(self) -> list[str]:
        return [name for name, _, _ in self.alerts]
