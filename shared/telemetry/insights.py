"""To Application Insights."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from azure.monitor.opentelemetry.exporter import AzureMonitorMetricExporter, AzureMonitorTraceExporter

if TYPE_CHECKING:
    from shared.telemetry.otel import Exporters

# The exporter would report on itself, and take orders, over further connections.
_QUIET = ("APPLICATIONINSIGHTS_STATSBEAT_DISABLED_ALL", "APPLICATIONINSIGHTS_CONTROLPLANE_DISABLED")


def insights_exporters(connection_string: str) -> Exporters:
    """By identity where `APPLICATIONINSIGHTS_AUTHENTICATION_STRING` says so, as the host; nothing is kept on disk."""
    for name in _QUIET:
        os.environ.setdefault(name, "true")
    given: dict[str, Any] = {"connection_string": connection_string, "disable_offline_storage": True}
    return AzureMonitorTraceExporter(**given), AzureMonitorMetricExporter(**given)
