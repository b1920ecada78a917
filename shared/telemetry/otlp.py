"""To an OTLP collector: `OTEL_EXPORTER_OTLP_ENDPOINT`, over HTTP in protobuf."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

if TYPE_CHECKING:
    from shared.telemetry.otel import Exporters


def otlp_exporters() -> Exporters:
    """The SDK reads the endpoint, headers and the rest of the `OTEL_…` settings itself."""
    return OTLPSpanExporter(), OTLPMetricExporter()
