"""Port `Telemetry` on the OpenTelemetry SDK, to Application Insights, to an OTLP collector, or to both.

The providers are this app's own, not the process's global ones: nothing but what passes the port is ever sent. The
Azure SDKs and `requests` trace into the global ones, with URLs; those stay unset. Log lines go to the Functions host as
before, which exports them once; they are not exported here.

Spans are INTERNAL: the host makes the request's own span for each invocation, and a second one of that kind would be
counted as a second request.
"""

from __future__ import annotations

import os
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from opentelemetry.metrics import CallbackOptions, Observation
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Link, StatusCode, get_current_span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from shared.domain.redaction import clean
from shared.telemetry.instruments import INSTRUMENTS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from opentelemetry.metrics import Counter, Histogram
    from opentelemetry.sdk.metrics.export import MetricExporter
    from opentelemetry.sdk.trace.export import SpanExporter
    from opentelemetry.trace import Span as SdkSpan

    from shared.telemetry.instruments import Instrument
    from shared.telemetry.port import Attribute, Span

NAME = "acs-byos-recorder"
_LONGEST = 200
# The sweep comes every five minutes, in one process of many: the others' values are of no more use then.
_GAUGE_SECONDS = 400.0
_PROPAGATOR = TraceContextTextMapPropagator()
Exporters = tuple["SpanExporter", "MetricExporter"]


class OtelTelemetry:
    """Port `Telemetry`. One for the process; safe for many threads. `monotonic`: seconds."""

    def __init__(self, exporters: Iterable[Exporters], *, monotonic: Callable[[], float] = time.monotonic) -> None:
        given = list(exporters)
        # OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES come first.
        named = {} if os.environ.get("OTEL_SERVICE_NAME") else {"service.name": NAME}
        resource = Resource.create(named)
        self._tracers = TracerProvider(resource=resource, shutdown_on_exit=True)
        for spans, _ in given:
            self._tracers.add_span_processor(BatchSpanProcessor(spans))
        readers = [PeriodicExportingMetricReader(metrics) for _, metrics in given]
        self._meters = MeterProvider(metric_readers=readers, resource=resource)
        self._tracer = self._tracers.get_tracer(NAME)
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._gauges: dict[str, dict[tuple[tuple[str, Attribute], ...], tuple[float, float]]] = {}
        self._counters: dict[str, Counter] = {}
        self._histograms: dict[str, Histogram] = {}
        for one in INSTRUMENTS:
            self._make(one)

    def _make(self, one: Instrument) -> None:
        meter = self._meters.get_meter(NAME)
        if one.kind == "counter":
            self._counters[one.name] = meter.create_counter(one.name, one.unit, one.meaning)
        elif one.kind == "histogram":
            self._histograms[one.name] = meter.create_histogram(
                one.name, one.unit, one.meaning, explicit_bucket_boundaries_advisory=one.bounds
            )
        else:
            self._gauges[one.name] = {}
            meter.create_observable_gauge(one.name, [self._observing(one.name)], one.unit, one.meaning)

    def _observing(self, name: str) -> Callable[[CallbackOptions], Iterable[Observation]]:
        def observe(_: CallbackOptions) -> Iterable[Observation]:
            oldest = self._monotonic() - _GAUGE_SECONDS
            with self._lock:
                known = list(self._gauges[name].items())
            return [Observation(value, dict(about)) for about, (value, at) in known if at >= oldest]

        return observe

    @contextmanager
    def span(
        self, name: str, about: Mapping[str, Attribute], *, parent: str | None = None, link: str | None = None
    ) -> Iterator[Span]:
        """See the port."""
        context = _PROPAGATOR.extract({"traceparent": parent}) if parent else None
        linked = get_current_span(_PROPAGATOR.extract({"traceparent": link})).get_span_context() if link else None
        with self._tracer.start_as_current_span(
            name,
            context=context,
            links=[Link(linked)] if linked is not None and linked.is_valid else [],
            attributes=_cleaned(about),
            # The text of an error is nothing that was cleaned for here.
            record_exception=False,
            set_status_on_exception=False,
        ) as sdk_span:
            span = _OtelSpan(sdk_span)
            try:
                yield span
            except BaseException as error:
                span.fail(type(error).__name__)
                raise

    def trace_parent(self) -> str | None:
        """See the port."""
        carrier: dict[str, str] = {}
        _PROPAGATOR.inject(carrier)
        return carrier.get("traceparent")

    def count(self, counter: Instrument, amount: int = 1, **attributes: Attribute) -> None:
        """See the port."""
        self._counters[counter.name].add(amount, _cleaned(attributes))

    def record(self, histogram: Instrument, value: float, **attributes: Attribute) -> None:
        """See the port."""
        self._histograms[histogram.name].record(value, _cleaned(attributes))

    def gauge(self, gauge: Instrument, value: float, **attributes: Attribute) -> None:
        """See the port."""
        with self._lock:
            self._gauges[gauge.name][tuple(sorted(_cleaned(attributes).items()))] = (value, self._monotonic())

    def flush(self) -> None:
        """Sends what is waiting, and returns when it is sent or some seconds have passed."""
        self._tracers.force_flush(5000)
        self._meters.force_flush(5000)

    def close(self) -> None:
        """Sends what is waiting, and ends the threads."""
        self._tracers.shutdown()
        self._meters.shutdown()


class _OtelSpan:
    def __init__(self, span: SdkSpan) -> None:
        self._span = span

    def note(self, **attributes: Attribute) -> None:
        """See the port."""
        for name, value in _cleaned(attributes).items():
            self._span.set_attribute(name, value)

    def fail(self, code: str) -> None:
        """See the port."""
        # The first is OpenTelemetry's own word for it, which Application Insights does not keep.
        self.note(**{"error.type": code, "code": code})
        self._span.set_status(StatusCode.ERROR)


def _cleaned(attributes: Mapping[str, Attribute]) -> dict[str, Attribute]:
    return {name: clean(value)[:_LONGEST] if isinstance(value, str) else value for name, value in attributes.items()}
