"""What is measured: every metric with its unit and meaning. docs/operations.md has the same table (a test)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Instrument:
    """A metric. `unit` as in UCUM; `attributes`: what it is split by; `bounds`: a histogram's buckets."""

    name: str
    kind: str  # counter | histogram | gauge
    unit: str
    meaning: str
    attributes: tuple[str, ...] = ()
    bounds: tuple[float, ...] = ()


def _counter(name: str, meaning: str, *attributes: str) -> Instrument:
    return Instrument(f"recorder.{name}", "counter", "1", meaning, attributes)


def _gauge(name: str, meaning: str, *attributes: str, unit: str = "1") -> Instrument:
    return Instrument(f"recorder.{name}", "gauge", unit, meaning, attributes)


_MIB = 1024.0 * 1024.0
_SECONDS = (0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 900.0, 3600.0, 14400.0, 43200.0, 86400.0)

STARTED = _counter("started", "recordings that ACS began at this app's request")
EXPORTED = _counter("exported", "chunks that ACS exported, verified")
RESCUED = _counter("rescued", "chunks that this app wrote to the destination")
IN_FALLBACK = _counter("in_fallback", "chunks that the destination refused, kept in the fallback")
DELIVERED = _counter("delivered", "chunks moved from the fallback to the destination")
UNDELIVERABLE = _counter("undeliverable", "chunks whose delivery was given up")
LOST = _counter("lost", "chunks whose window closed before they were safe")
UNCONFIRMED = _counter("unconfirmed", "chunks that no source ever confirmed")
DAMAGED = _counter("damaged", "files in place that were found gone or different")
FAILURES = _counter("failures", "failed steps", "step", "cause", "blame")

EVENT_TO_SAFE = Instrument(
    "recorder.event_to_safe",
    "histogram",
    "s",
    "from a chunk's first event to its bytes being safe",
    ("state",),
    _SECONDS,
)
STEP_DURATION = Instrument(
    "recorder.step.duration", "histogram", "s", "how long a step took", ("step", "outcome"), _SECONDS
)
CHUNK_SIZE = Instrument(
    "recorder.chunk.size",
    "histogram",
    "By",
    "bytes of a chunk that has become safe",
    ("state",),
    tuple(_MIB * size for size in (0.1, 1, 4, 16, 64, 256, 1024, 4096)),
)

UNFINISHED = _gauge("unfinished", "recordings with work left, by the sweep", "state")
HELD_IN_FALLBACK = _gauge("held_in_fallback", "recordings that are safe, and of which a part is still in the fallback")
OWED_ALERTS = _gauge("owed", "alerts and events that the topic has not got yet")
QUEUE_LENGTH = _gauge("queue.length", "messages in a queue, those for later among them", "queue")
QUEUE_AGE = _gauge("queue.age", "for how long the oldest visible message has been due", "queue", unit="s")

INSTRUMENTS = (
    *(STARTED, EXPORTED, RESCUED, IN_FALLBACK, DELIVERED, UNDELIVERABLE, LOST, UNCONFIRMED, DAMAGED, FAILURES),
    *(EVENT_TO_SAFE, STEP_DURATION, CHUNK_SIZE),
    *(UNFINISHED, HELD_IN_FALLBACK, OWED_ALERTS, QUEUE_LENGTH, QUEUE_AGE),
)
