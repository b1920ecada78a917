"""Telemetry, kept."""

from __future__ import annotations

from collections import defaultdict
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from shared.telemetry.instruments import Instrument
    from shared.telemetry.port import Attribute

Series = tuple[tuple[str, "Attribute"], ...]


@dataclass
class FakeSpan:
    """A span that is over, or under way. `error`: the code that it failed with."""

    name: str
    about: dict[str, Attribute]
    parent: str | None
    link: str | None = None
    error: str | None = None

    def note(self, **attributes: Attribute) -> None:
        self.about |= attributes

    def fail(self, code: str) -> None:
        self.error = code


@dataclass
class FakeTelemetry:
    """Port `Telemetry`. A number in place of ids: the span that began as the n-th has `trace_parent` n."""

    spans: list[FakeSpan] = field(default_factory=list)
    counters: dict[str, dict[Series, int]] = field(default_factory=lambda: defaultdict(lambda: defaultdict(int)))
    histograms: dict[str, dict[Series, list[float]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(list))
    )
    gauges: dict[str, dict[Series, float]] = field(default_factory=lambda: defaultdict(dict))
    _open: list[int] = field(default_factory=list)

    @contextmanager
    def span(
        self, name: str, about: Mapping[str, Attribute], *, parent: str | None = None, link: str | None = None
    ) -> Iterator[FakeSpan]:
        one = FakeSpan(name, dict(about), parent or self.trace_parent(), link)
        self.spans.append(one)
        self._open.append(len(self.spans))
        try:
            yield one
        except BaseException as error:
            one.fail(type(error).__name__)
            raise
        finally:
            self._open.pop()

    def trace_parent(self) -> str | None:
        return f"00-{self._open[-1]:032x}-{self._open[-1]:016x}-01" if self._open else None

    def count(self, counter: Instrument, amount: int = 1, **attributes: Attribute) -> None:
        self.counters[counter.name][tuple(sorted(attributes.items()))] += amount

    def record(self, histogram: Instrument, value: float, **attributes: Attribute) -> None:
        self.histograms[histogram.name][tuple(sorted(attributes.items()))].append(value)

    def gauge(self, gauge: Instrument, value: float, **attributes: Attribute) -> None:
        self.gauges[gauge.name][tuple(sorted(attributes.items()))] = value
