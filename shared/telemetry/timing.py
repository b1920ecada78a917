"""A span around a step, and how long it took."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from shared.telemetry.instruments import STEP_DURATION

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from shared.ports import Clock
    from shared.telemetry.port import Attribute, Span, Telemetry


class _Noted:
    """The span, and whether it failed."""

    def __init__(self, span: Span) -> None:
        self._span = span
        self.outcome = "ok"

    def note(self, **attributes: Attribute) -> None:
        """See the port."""
        self._span.note(**attributes)

    def fail(self, code: str) -> None:
        """See the port."""
        self.outcome = "failed"
        self._span.fail(code)


@contextmanager
def timed_step(telemetry: Telemetry, clock: Clock, step: str, about: Mapping[str, Attribute]) -> Iterator[Span]:
    """A span named `step {step}` with the attributes `about`; its seconds go into the histogram of steps."""
    begun = clock.now()
    with telemetry.span(f"step {step}", {"step": step, **about}) as span:
        noted = _Noted(span)
        try:
            yield noted
        except BaseException:
            noted.outcome = "failed"
            raise
        finally:
            seconds = max(0.0, (clock.now() - begun).total_seconds())
            telemetry.record(STEP_DURATION, seconds, step=step, outcome=noted.outcome)
