"""An OTLP collector for the tests: OTLP over HTTP in protobuf, decoded by opentelemetry-proto, kept in memory."""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.contract.scripted import Answer, Asked, Scripted

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True)
class Received:
    """A span. Ids in hex; `parent` empty for a root; `links`: the trace ids of the spans that it is linked with."""

    name: str
    trace: str
    id: str
    parent: str
    kind: int
    is_error: bool
    attributes: dict[str, Any]
    links: tuple[str, ...]


class Collector(Scripted):
    """Serves on a free port of 127.0.0.1 while the block runs. `bodies`: what came, as it came, unzipped."""

    def __init__(self) -> None:
        self.spans: list[Received] = []
        self.metrics: list[ExportMetricsServiceRequest] = []
        self.bodies: list[bytes] = []
        super().__init__(self._take)

    @property
    def endpoint(self) -> str:
        return self.origin

    def _take(self, asked: Asked) -> Answer:
        body = gzip.decompress(asked.body) if asked.headers.get("content-encoding") == "gzip" else asked.body
        self.bodies.append(body)
        if asked.target == "/v1/metrics":
            self.metrics.append(ExportMetricsServiceRequest.FromString(body))
        elif asked.target == "/v1/traces":
            self.spans += _spans(ExportTraceServiceRequest.FromString(body))
        return Answer(200, headers={"Content-Type": "application/x-protobuf"})

    def series(self, name: str) -> dict[tuple[tuple[str, Any], ...], float]:
        """The newest value of each series of a metric: a sum, a gauge, or the count of a histogram."""
        found: dict[tuple[tuple[str, Any], ...], float] = {}
        for request in list(self.metrics):
            for metric in (one for scope in _scopes(request) for one in scope.metrics if one.name == name):
                points = [*metric.sum.data_points, *metric.gauge.data_points, *metric.histogram.data_points]
                for point in points:
                    about = tuple(sorted(_attributes(point.attributes).items()))
                    if metric.HasField("histogram"):
                        found[about] = point.count
                    else:
                        found[about] = point.as_int or point.as_double
        return found

    def total(self, name: str) -> float:
        return sum(self.series(name).values())


def _scopes(request: Any) -> Iterable[Any]:
    return (scope for resource in request.resource_metrics for scope in resource.scope_metrics)


def _spans(request: Any) -> Iterable[Received]:
    for resource in request.resource_spans:
        for scope in resource.scope_spans:
            for span in scope.spans:
                yield Received(
                    name=span.name,
                    trace=span.trace_id.hex(),
                    id=span.span_id.hex(),
                    parent=span.parent_span_id.hex(),
                    kind=span.kind,
                    is_error=span.status.code == 2,
                    attributes=_attributes(span.attributes),
                    links=tuple(link.trace_id.hex() for link in span.links),
                )


def _attributes(pairs: Any) -> dict[str, Any]:
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in pairs}
