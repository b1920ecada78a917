"""Port `Telemetry` on the real SDK: what reaches a collector, and what can not."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from opentelemetry import metrics, trace

from shared.app import _telemetry
from shared.settings import Secret
from shared.telemetry import instruments as i
from shared.telemetry.insights import insights_exporters
from shared.telemetry.otel import OtelTelemetry
from shared.telemetry.otlp import otlp_exporters
from shared.telemetry.port import NO_TELEMETRY
from tests.contract.scripted import Answer, Asked, Scripted
from tests.support.collector import Collector
from tests.support.fakes import settings

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
HOST = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
LEAKY = "https://a.blob.core.windows.net/c/b?sv=1&sig=CANARY of 4:+4915112345678"


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as running:
        yield running


@pytest.fixture
def now() -> list[float]:
    return [0.0]


@pytest.fixture
def telemetry(collector: Collector, now: list[float], monkeypatch: pytest.MonkeyPatch) -> Iterator[OtelTelemetry]:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint)
    made = OtelTelemetry([otlp_exporters()], monotonic=lambda: now[0])
    yield made
    made.close()


def test_spans_lie_in_each_other_and_follow_a_message(telemetry: OtelTelemetry, collector: Collector) -> None:
    """The host's span is the parent where there is no message, and linked where there is one."""
    with telemetry.span("event", {"chunk": 1}, parent=HOST):
        sent = telemetry.trace_parent()
    with telemetry.span("message", {}, parent=sent, link=HOST), telemetry.span("step", {"step": "fetch"}) as step:
        step.fail("media_not_found")
    assert telemetry.trace_parent() is None
    telemetry.flush()
    spans = {span.name: span for span in collector.spans}
    event, message, step_span = spans["event"], spans["message"], spans["step"]
    assert {span.trace for span in spans.values()} == {"0af7651916cd43dd8448eb211c80319c"}
    assert (event.parent, message.parent, step_span.parent) == ("b7ad6b7169203331", event.id, message.id)
    assert message.links == ("0af7651916cd43dd8448eb211c80319c",)
    assert (event.is_error, step_span.is_error) == (False, True)
    assert step_span.attributes == {"step": "fetch", "error.type": "media_not_found", "code": "media_not_found"}
    assert {span.kind for span in spans.values()} == {1}, "internal: the host makes the request's own span"


def test_an_error_is_named_and_its_text_stays_here(telemetry: OtelTelemetry, collector: Collector) -> None:
    with pytest.raises(OSError, match="CANARY"), telemetry.span("step", {"detail": LEAKY}):
        raise OSError(LEAKY)
    telemetry.flush()
    [span] = collector.spans
    assert span.attributes["error.type"] == "OSError"
    sent = b"".join(collector.bodies)
    assert b"CANARY" not in sent
    assert b"4915112345678" not in sent


def test_every_instrument_arrives(telemetry: OtelTelemetry, collector: Collector) -> None:
    for one in i.INSTRUMENTS:
        about = dict.fromkeys(one.attributes, "some")
        if one.kind == "counter":
            telemetry.count(one, 3, **about)
        elif one.kind == "histogram":
            telemetry.record(one, 1.5, **about)
        else:
            telemetry.gauge(one, 7, **about)
    telemetry.flush()
    for one in i.INSTRUMENTS:
        expected = {"counter": 3, "histogram": 1, "gauge": 7}[one.kind]
        assert collector.series(one.name) == {tuple((name, "some") for name in sorted(one.attributes)): expected}


def test_a_gauge_of_a_sweep_long_ago_is_reported_no_more(
    telemetry: OtelTelemetry, collector: Collector, now: list[float]
) -> None:
    """The next sweep may run in another process: this one's value would be there beside it, wrong, for ever."""
    telemetry.gauge(i.OWED_ALERTS, 5)
    now[0] = 401.0
    telemetry.flush()
    assert collector.series(i.OWED_ALERTS.name) == {}


def test_the_process_s_own_providers_stay_unset(telemetry: OtelTelemetry) -> None:
    """What the Azure SDKs or a library of the host trace goes nowhere: it would have URLs in it."""
    assert "Proxy" in type(trace.get_tracer_provider()).__name__
    assert "Proxy" in type(metrics.get_meter_provider()).__name__


def test_an_outage_of_the_collector_holds_nothing_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")
    made = OtelTelemetry([otlp_exporters()])
    begun = time.monotonic()
    for _ in range(5000):
        with made.span("step", {}):
            made.count(i.RESCUED)
    took = time.monotonic() - begun
    made.close()
    assert took < 5


# --- where it is made


def test_none_is_made_where_it_has_nowhere_to_go() -> None:
    assert _telemetry(settings()) is NO_TELEMETRY


def test_a_connection_string_that_is_none_costs_telemetry_only(caplog: pytest.LogCaptureFixture) -> None:
    assert _telemetry(settings(insights=Secret("InstrumentationKey=CANARY-no-guid"))) is NO_TELEMETRY
    assert '"event":"telemetry.failed"' in caplog.text
    assert "CANARY" not in caplog.text


_LOOK = """
import os, sys
import function_app
from shared.app import azure_ports
from shared.settings import load_settings
ports = azure_ports(load_settings(os.environ))
print(type(ports.telemetry).__name__, any(name.startswith("opentelemetry") for name in sys.modules))
"""
_LEAST = {
    "AzureWebJobsStorage": "DefaultEndpointsProtocol=https;AccountName=a;AccountKey=a2V5",
    "ACS_CONNECTION_STRING": "endpoint=https://n.communication.azure.com;accesskey=a2V5",
    "RECORDING_CONTAINER_URL": "https://a.blob.core.windows.net/recordings",
    "RECORDING_STORAGE_CONNECTION_STRING": "AccountName=a;AccountKey=a2V5",
}
_INSIGHTS = "InstrumentationKey=00000000-0000-0000-0000-000000000001;IngestionEndpoint=https://127.0.0.1:1/"


@pytest.mark.parametrize(
    ("more", "printed"),
    [
        ({}, "_NoTelemetry False"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}, "OtelTelemetry True"),
        ({"APPLICATIONINSIGHTS_CONNECTION_STRING": _INSIGHTS}, "OtelTelemetry True"),
    ],
)
def test_nothing_of_it_is_loaded_unless_it_is_set_up(more: dict[str, str], printed: str) -> None:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "APPLICATIONINSIGHTS"))}
    ran = subprocess.run(
        [sys.executable, "-c", _LOOK],
        cwd=ROOT,
        env=clean | _LEAST | {"OTEL_EXPORTER_OTLP_TIMEOUT": "1"} | more,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.stdout.strip() == printed, ran.stderr[-2000:]


# --- Application Insights


def _plain(asked: Asked) -> bytes:
    return gzip.decompress(asked.body) if asked.headers.get("content-encoding") == "gzip" else asked.body


def test_application_insights_gets_dependencies_and_metrics_and_nothing_else() -> None:
    """Not requests: those are the host's, one for each invocation. The exporter says nothing of its own."""

    def accept(asked: Asked) -> Answer:
        count = len(json.loads(_plain(asked)))
        printed = {"itemsReceived": count, "itemsAccepted": count, "errors": []}
        return Answer(200, json.dumps(printed).encode(), {"Content-Type": "application/json"})

    with Scripted(accept) as server:
        key = "00000000-0000-0000-0000-000000000001"
        made = OtelTelemetry([insights_exporters(f"InstrumentationKey={key};IngestionEndpoint={server.origin}/")])
        with made.span("step fetch", {"recording": "k" * 32}) as span:
            made.count(i.LOST, 2)
            span.fail("media_not_found")
        made.close()
        sent = [item for asked in server.asked for item in json.loads(_plain(asked))]
    found = {item["data"]["baseType"]: item["data"]["baseData"] for item in sent}
    assert set(found) == {"RemoteDependencyData", "MetricData"}
    dependency = found["RemoteDependencyData"]
    assert (dependency["name"], dependency["success"]) == ("step fetch", False)
    assert dependency["properties"] == {"recording": "k" * 32, "code": "media_not_found"}
    [metric] = found["MetricData"]["metrics"]
    assert (metric["name"], metric["value"]) == ("recorder.lost", 2)
    assert {item["tags"]["ai.cloud.role"] for item in sent} == {"acs-byos-recorder"}
