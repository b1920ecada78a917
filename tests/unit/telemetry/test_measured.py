"""What a recording's way is measured and traced as, over the fakes."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from shared import handlers
from shared.domain.errors import Blame, StorageAccessDenied
from shared.domain.recording import RecordingState
from shared.ports import Lane, OpenEntry, WorkItem
from shared.telemetry.instruments import INSTRUMENTS
from shared.telemetry.port import NO_TELEMETRY
from shared.worker.message import decode_message, encode_message
from tests.security.hostile import serving
from tests.support.fakes import NOON
from tests.support.fakes.telemetry import FakeTelemetry
from tests.unit.rig import DAY, HOUR, Rig, event

if TYPE_CHECKING:
    from shared.telemetry.instruments import Instrument


class Measured(Rig):
    """The rig, and what its process measured."""

    def __init__(self, **changes: Any) -> None:
        super().__init__(**changes)
        self.telemetry = FakeTelemetry()
        self.process = self.app(telemetry=self.telemetry)

    def counted(self, name: str) -> int:
        return sum(self.telemetry.counters[f"recorder.{name}"].values())


@pytest.fixture
def rig() -> Measured:
    return Measured()


def test_a_rescue_is_counted_once_and_timed(rig: Measured) -> None:
    data = rig.put_media()
    rig.receive(event())
    rig.live(HOUR)
    counted = {name: sum(series.values()) for name, series in rig.telemetry.counters.items()}
    assert counted == {"recorder.rescued": 1}
    [seconds] = rig.telemetry.histograms["recorder.event_to_safe"][(("state", "rescued"),)]
    assert 0 <= seconds == (rig.chunk.safe_at or NOON).timestamp() - rig.chunk.reported_at.timestamp()
    assert rig.telemetry.histograms["recorder.chunk.size"][(("state", "rescued"),)] == [len(data)]
    steps = {dict(about)["step"] for about in rig.telemetry.histograms["recorder.step.duration"]}
    assert {"fetch", "metadata", "finish"} <= steps


def test_a_start_is_counted_when_acs_answered(rig: Measured) -> None:
    rig.acs.calls.add("call")
    rig.process.start.start({"serverCallId": "call"}, idempotency_key="one")
    rig.process.start.start({"serverCallId": "call"}, idempotency_key="one")
    assert rig.counted("started") == 1


def test_failures_are_split_by_step_cause_and_blame(rig: Measured) -> None:
    rig.destination.refusal = StorageAccessDenied("403", blame=Blame.DESTINATION)
    rig.put_media()
    rig.receive(event())
    rig.run()
    about = (("blame", "destination"), ("cause", "storage_access_denied"), ("step", "fetch"))
    assert rig.telemetry.counters["recorder.failures"][about] == 1
    assert (rig.counted("in_fallback"), rig.counted("delivered")) == (1, 0)
    rig.destination.refusal = None
    rig.live(2 * HOUR)
    assert (rig.counted("in_fallback"), rig.counted("delivered"), rig.counted("rescued")) == (1, 1, 0)
    assert len(rig.telemetry.histograms["recorder.event_to_safe"]) == 1


def test_a_topic_that_is_down_is_a_failure_of_its_step(rig: Measured) -> None:
    rig.notifier.is_down = True
    rig.destination.refusal = StorageAccessDenied("403", blame=Blame.DESTINATION)
    rig.put_media()
    rig.receive(event())
    rig.run()
    about = (("blame", "app"), ("cause", "alert_not_sent"), ("step", "publish"))
    assert rig.telemetry.counters["recorder.failures"][about] >= 1


def test_a_refused_request_is_counted(rig: Measured) -> None:
    with serving(rig.process):
        assert handlers.get_recording("unknown").status == 404
    assert rig.telemetry.counters["recorder.failures"] == {
        (("blame", "caller"), ("cause", "recording_unknown"), ("step", "http")): 1
    }


def test_a_loss_is_counted_once(rig: Measured) -> None:
    rig.acs.calls.add("server-1")
    rig.process.start.start({"serverCallId": "server-1"}, idempotency_key="one")
    rig.receive(event(subject="/recording/call/call-1/serverCallId/server-1"))
    rig.live(4 * DAY)
    assert rig.counted("lost") == 1
    assert rig.counted("rescued") == 0


def test_a_trace_goes_on_through_the_queue(rig: Measured) -> None:
    """The message carries the span that it was sent from; a step's span lies in the one that is under way."""
    rig.put_media()
    with rig.telemetry.span("event", {}):
        rig.receive(event())
        here = rig.telemetry.trace_parent()
    waiting = [one.item for one in rig.queue.waiting]
    assert waiting
    assert {item.trace for item in waiting} == {here}
    rig.run()
    fetch = next(span for span in rig.telemetry.spans if span.name == "step fetch")
    assert fetch.about == {"step": "fetch", "recording": rig.key, "chunk": 0, "attempt": 1}
    assert fetch.error is None


def test_a_step_that_fails_says_so(rig: Measured) -> None:
    rig.receive(event())
    rig.run()
    fetch = next(span for span in rig.telemetry.spans if span.name == "step fetch")
    assert fetch.error == "media_not_found"
    outcomes = {dict(about)["outcome"] for about in rig.telemetry.histograms["recorder.step.duration"]}
    assert "failed" in outcomes


def test_the_sweep_reports_what_is_unfinished_and_what_waits(rig: Measured) -> None:
    for number, state in enumerate(("saving", "saving", "safe", "started")):
        key = f"{number:032x}"
        rig.ledger.open[key] = (b"", '"1"', OpenEntry(key, NOON + HOUR, None, state, owed=number))
    late = NOON - timedelta(minutes=7)
    rig.queue.send(WorkItem("0" * 32, "recording", due_at=late), delay=timedelta(0), lane=Lane.BACKGROUND)
    rig.queue.send(WorkItem("0" * 32, "recording"), delay=HOUR)
    rig.sweep()
    gauges = {name: {"".join(map(str, dict(about).values())): value for about, value in series.items()}
              for name, series in rig.telemetry.gauges.items()}  # fmt: skip
    assert gauges == {
        "recorder.unfinished": dict.fromkeys(RecordingState, 0) | {"started": 1, "saving": 2, "safe": 1},
        "recorder.held_in_fallback": {"": 1},
        "recorder.owed": {"": 6},
        "recorder.queue.length": {"normal": 1, "urgent": 0, "background": 1},
        "recorder.queue.age": {"normal": 0, "urgent": 0, "background": 420},
    }


@pytest.mark.parametrize("one", INSTRUMENTS, ids=lambda one: one.name)
def test_instruments_are_named_after_what_they_are(one: Instrument) -> None:
    assert one.name.startswith("recorder.")
    assert one.kind in ("counter", "histogram", "gauge")
    assert bool(one.bounds) == (one.kind == "histogram")
    assert list(one.bounds) == sorted(one.bounds)


def test_a_message_of_an_older_version_has_no_trace() -> None:
    item = WorkItem("0" * 32, "recording", 3)
    assert b"trace" not in encode_message(item)
    decoded = decode_message(encode_message(item))
    assert decoded == item
    assert decoded is not None
    assert (decoded.trace, decoded.due_at) == (None, None)


@pytest.mark.parametrize("trace", ["00-x", 7, "00-" + "A" * 32 + "-" + "b" * 16 + "-01", "a" * 5000])
def test_a_trace_that_is_none_costs_no_work(trace: object) -> None:
    body = encode_message(WorkItem("0" * 32, "recording", 3)).replace(
        b'"version":1', f'"dueAt":"never","trace":{trace!r}'.replace("'", '"').encode()
    )
    decoded = decode_message(body)
    assert decoded is not None
    assert (decoded.trace, decoded.due_at, decoded.generation) == (None, None, 3)


def test_no_telemetry_does_nothing() -> None:
    with NO_TELEMETRY.span("x", {}) as span:
        span.note(a=1)
        span.fail("x")
        assert NO_TELEMETRY.trace_parent() is None
