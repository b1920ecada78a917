"""Time that moves only when a test moves it."""

from __future__ import annotations

from datetime import datetime, timedelta


class FakeClock:
    """Port `Clock`. A pause moves the time on at once; `paused` adds them up."""

    def __init__(self, moment: datetime) -> None:
        self.moment = moment
        self.paused = timedelta(0)

    def now(self) -> datetime:
        return self.moment

    def pause(self, seconds: float) -> None:
        self.paused += timedelta(seconds=seconds)
        self.advance(timedelta(seconds=seconds))

    def advance(self, step: timedelta) -> None:
        self.moment += step
