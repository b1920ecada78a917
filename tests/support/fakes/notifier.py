"""Alerts, kept."""

from __future__ import annotations


class FakeNotifier:
    """Port `Notifier`. `alerts` has (name, recording key, fields) in the order they came."""

    def __init__(self) -> None:
        self.alerts: list[tuple[str, str, dict[str, object]]] = []

    def alert(self, *, name: str, recording_key: str, fields: dict[str, object]) -> None:
        self.alerts.append((name, recording_key, fields))

    @property
    def names(self) -> list[str]:
        return [name for name, _, _ in self.alerts]
