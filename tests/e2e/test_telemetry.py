"""OpenTelemetry over real processes, into a collector of the tests; and nothing secret or personal in any of it."""

from __future__ import annotations

import base64
import copy
import re
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from local.acs import EventForm
from local.acs.documents import file_status_event
from local.eventgrid import EventGrid, Subscription
from local.services import CONTAINER
from local.stack import Stack
from tests.e2e.conftest import QUICK
from tests.e2e.support import ARCHIVE, World, plan
from tests.local.host.support import call
from tests.support.collector import Collector
from tests.support.receiver import Receiver
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

PHONE = "+4915112345678"
PARTICIPANT = "8:acs:1b5c4b9a-5d1f-4c5e-9d3e-2f6a7b8c9d0e_00000014-0000-0000-1234-123456789abc"
TOPIC_KEY = base64.b64encode(b"t" * 32).decode()
SOON = {"OTEL_BSP_SCHEDULE_DELAY": "200", "OTEL_METRIC_EXPORT_INTERVAL": "500"}


class Watched:
    """A stack that sends its telemetry to `collector` and its events to `receiver`."""

    def __init__(self, running: ExitStack) -> None:
        self.collector = running.enter_context(Collector())
        grid = running.enter_context(EventGrid(topic_key=TOPIC_KEY))
        self.receiver = running.enter_context(Receiver())
        grid.subscribe(Subscription("events", self.receiver.url, schema="CloudEventSchemaV1_0"))
        settings = {
            **QUICK,
            **SOON,
            "OTEL_EXPORTER_OTLP_ENDPOINT": self.collector.endpoint,
            "EVENT_TOPIC_ENDPOINT": grid.topic_url,
            "EVENT_TOPIC_KEY": TOPIC_KEY,
        }
        self.world = World(
            running.enter_context(Stack(settings=settings, containers=(CONTAINER, ARCHIVE, "late"), seed=4))
        )
        running.callback(self.world.blobs.close)

    def total(self, name: str) -> float:
        return self.collector.total(f"recorder.{name}")


@pytest.fixture(scope="module")
def watched() -> Iterator[Watched]:
    with ExitStack() as running:
        yield Watched(running)


def test_an_event_and_the_work_it_causes_are_one_trace(watched: Watched) -> None:
    """Event Grid → queue → worker, with a span for each step."""
    recorded = watched.world.start().end(plan(300_000, export="firewall"))
    recorded.whole()

    def fetch() -> Any:
        spans = [one for one in watched.collector.spans if one.attributes.get("recording") == recorded.key]
        return next((one for one in spans if one.name == "step fetch"), None)

    step = eventually(fetch, what="the span of the fetch")
    eventually(lambda: any(one.name == "step finish" and one.trace == step.trace for one in watched.collector.spans))
    of_trace = {one.id: one for one in watched.collector.spans if one.trace == step.trace}
    message = of_trace[step.parent]
    assert message.name == "rescue_chunk"
    assert of_trace[message.parent].name == "recording_file_status_updated"
    assert re.fullmatch(r"[0-9a-f-]{36}", message.attributes["faas.invocation_id"])


def test_a_request_and_the_work_it_causes_are_one_trace(watched: Watched) -> None:
    """HTTP → queue → worker: a replay of what waits in the fallback."""
    world = watched.world
    recorded = world.start(containerUrl=world.url("late"))
    world.blobs.delete_container("late")
    recorded.end(plan(60_000, export="firewall"))
    recorded.wait_for("in_fallback")
    world.blobs.create_container("late")
    assert call(world.stack.host_url, f"/api/recordings/{recorded.key}/replay", method="POST").status == 202
    recorded.whole()

    def replayed() -> set[str]:
        spans = watched.collector.spans
        traces = {one.trace for one in spans if one.name == "replay_recording"}
        mine = {one.trace for one in spans if one.attributes.get("recording") == recorded.key} & traces
        return {one.name for one in spans if one.trace in mine}

    eventually(lambda: {"replay_recording", "background_work", "step deliver"} <= replayed(), what=f"{replayed()}")


def test_what_happens_is_counted(watched: Watched) -> None:
    """A start, an export, a rescue, a refusal; each once, and the histograms with them."""
    world = watched.world
    before = {name: watched.total(name) for name in ("started", "exported", "rescued", "in_fallback")}
    world.start().end(plan(100_000)).whole()
    world.start().end(plan(200_000, export="firewall")).whole()
    refused = world.start(containerUrl=world.url(ARCHIVE))
    world.blobs.delete_container(ARCHIVE)
    refused.end(plan(50_000, export="firewall"))
    refused.wait_for("in_fallback")
    assert world.sweep() == 202
    gained = {"started": 3, "exported": 1, "rescued": 1, "in_fallback": 1}
    eventually(
        lambda: {name: watched.total(name) - before[name] for name in gained} == gained,
        what=f"{gained} of {[watched.total(name) for name in gained]} after {before}",
    )
    eventually(lambda: watched.total("held_in_fallback") == 1, what="the sweep's gauge")
    failures = watched.collector.series("recorder.failures")
    about = (("blame", "destination"), ("cause", "container_missing"), ("step", "fetch"))
    assert failures[about] >= 1
    assert watched.total("event_to_safe") >= 3
    assert watched.total("chunk.size") >= 3
    assert watched.total("step.duration") > 5
    assert set(watched.collector.series("recorder.queue.length")) == {
        (("queue", name),) for name in ("normal", "urgent", "background")
    }


def test_no_signal_has_a_secret_or_a_person_in_it(watched: Watched) -> None:
    """Spans, metrics, events and log lines of starts with participants, forged events, refusals and failing media."""
    world = watched.world
    recorded = world.start(
        recordingChannel="unmixed", recordingFormat="wav", audioChannelParticipantOrdering=[f"4:{PHONE}", PARTICIPANT]
    )
    recorded.end(plan(90_000, export="firewall", publish_event=False))
    world.stack.acs.wait_idle()
    recording = world.stack.acs.resource.find(recorded.id)
    event = copy.deepcopy(file_status_event(recording, now=world.stack.clock.now(), form=EventForm()))
    chunks = event["data"]["recordingStorageInfo"]["recordingChunks"]
    forged = {**chunks[0], "index": 1, "documentId": f"4:{PHONE}", "endReason": PARTICIPANT}
    forged |= {name: f"{value}?sig=CANARY&token=CANARY" for name, value in forged.items() if name.endswith("Location")}
    chunks.append(forged)
    event["data"]["sessionEndReason"] = f"hung up by {PHONE}, {PARTICIPANT}"
    assert world.deliver(event) == 202
    recorded.wait_for("rescued", index=0)
    assert world.sweep() == 202
    seen = len(watched.collector.bodies)
    eventually(lambda: len(watched.collector.bodies) > seen + 1)
    settings = world.stack.settings
    keys = re.findall(r"(?:AccountKey|accesskey)=([^;]+)", " ".join(settings.values()))
    assert len(keys) >= 2
    signals = b"".join(watched.collector.bodies) + str([one.body for one in watched.receiver.requests]).encode()
    logged = "\n".join(line for line in world.stack.host_log.read_text().splitlines() if '{"event":' in line)
    assert recorded.key.encode() in signals
    assert recorded.key in logged
    for word in (*keys, TOPIC_KEY, "CANARY", PHONE[1:], PARTICIPANT, "sig=", "accesskey"):
        assert word.encode() not in signals, word
        assert word not in logged, word
