"""Port `Telemetry`: spans and measurements, without an SDK. `NO_TELEMETRY` where none is set up.

What crosses it is the app's own vocabulary: keys of recordings, steps, states, codes, counts. No text of an error, no
URL and no name of a file is ever an attribute, so no secret and no personal data can be.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from contextlib import AbstractContextManager

    from shared.telemetry.instruments import Instrument

Attribute = str | int | float | bool


class Span(Protocol):
    """A piece of work that is under way."""

    def note(self, **attributes: Attribute) -> None:
        """Adds attributes."""
        ...

    def fail(self, code: str) -> None:
        """It failed: a code of `errors.py`, or the class of an exception."""
        ...


class Telemetry(Protocol):
    """Nothing here raises, waits, or makes a request."""

    def span(
        self, name: str, about: Mapping[str, Attribute], *, parent: str | None = None, link: str | None = None
    ) -> AbstractContextManager[Span]:
        """A span while the block runs, with the attributes `about`; one that raises has failed.

        `parent` and `link` are W3C `traceparent`s. Without a parent it belongs to the span under way in this thread.
        """
        ...

    def trace_parent(self) -> str | None:
        """The `traceparent` of the span that is under way in this thread; None without one."""
        ...

    def count(self, counter: Instrument, amount: int = 1, **attributes: Attribute) -> None:
        """Adds to a counter."""
        ...

    def record(self, histogram: Instrument, value: float, **attributes: Attribute) -> None:
        """Adds a value to a histogram."""
        ...

    def gauge(self, gauge: Instrument, value: float, **attributes: Attribute) -> None:
        """The present value; it is reported until it is some minutes old."""
        ...


class _NoSpan:
    def note(self, **attributes: Attribute) -> None:
        """See the port."""

    def fail(self, code: str) -> None:
        """See the port."""


class _NoTelemetry:
    @contextmanager
    def span(
        self,
        name: str,  # noqa: ARG002
        about: Mapping[str, Attribute],  # noqa: ARG002
        *,
        parent: str | None = None,  # noqa: ARG002
        link: str | None = None,  # noqa: ARG002
    ) -> Iterator[Span]:
        """See the port."""
        yield _NO_SPAN

    def trace_parent(self) -> str | None:
        """See the port."""
        return None

    def count(self, counter: Instrument, amount: int = 1, **attributes: Attribute) -> None:
        """See the port."""

    def record(self, histogram: Instrument, value: float, **attributes: Attribute) -> None:
        """See the port."""

    def gauge(self, gauge: Instrument, value: float, **attributes: Attribute) -> None:
        """See the port."""


_NO_SPAN = _NoSpan()
NO_TELEMETRY: Telemetry = _NoTelemetry()
