"""Scripted misbehaviour: which requests a fault strikes, and what it does to them.

A fault names requests (operation, recording, chunk, document), tries (numbers, counted per fault from 1, or
the first `count`) and a time span on the emulator's clock. The first fault that fits a request strikes.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections import deque
from dataclasses import dataclass, field, fields, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from local.acs.model import EXPORT_KINDS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_REST_OPERATIONS = ("start", "get", "stop", "pause", "resume", "connection")
OPERATIONS = ("any", *_REST_OPERATIONS, "media", "metadata", "delete", "export")
KINDS = (
    "status",  # `status`, and `code`, `message`, `body`, `headers`, `retry_after` for the answer
    "401",  # the host's answer to a request that is not signed
    "html400",  # a web page as an error
    "html200",  # a web page as the media
    "stall",  # `seconds` before the answer; with `bytes`, after that many bytes of the body
    "cut",  # the connection closes after `bytes` of the body
    "drop",  # the connection closes without an answer, nothing is done
    "lost-answer",  # the operation is done, then the connection closes without an answer
    "late-answer",  # the operation is done, its answer comes `seconds` later
    "failed-start",  # the start is answered as ever, and the recording never comes into being
    "zero-bytes",  # 200 with an empty body
    "ignore-range",  # 200 and the whole for a Range
    "wrong-range",  # a Content-Range that was not asked for
    "etag",  # another ETag (`etag`, else one made up)
    "no-length",  # 200, the whole, no length: the connection's end ends the body, after `bytes` if given
    "chunked",  # 200, the whole, in chunks without a length; with `bytes`, the connection closes after so many
    "redirect",  # 302 to `url`
    "drip",  # the body at `rate` bytes a second
    "total",  # a total `bytes` long in Content-Range, or a Content-Length and body of that length
    "wrong-bytes",  # one byte of the body is another
    "throttle",  # 429 for what comes over `rate` requests a second (real time), with `retry_after`
    "export",  # an export fails as `reason` (see model.EXPORT_KINDS)
)
# Kinds that strike some operations only.
_ONLY = {
    **dict.fromkeys(
        (
            "cut",
            "zero-bytes",
            "ignore-range",
            "wrong-range",
            "etag",
            "no-length",
            "chunked",
            "drip",
            "total",
            "wrong-bytes",
        ),
        ("media", "metadata"),
    ),
    "export": ("export",),
    "late-answer": _REST_OPERATIONS,
    "failed-start": ("start",),
}
# What each kind cannot do without.
_NEEDS = {
    "status": "status",
    "stall": "seconds",
    "late-answer": "seconds",
    "cut": "bytes",
    "redirect": "url",
    "drip": "rate",
    "throttle": "rate",
    "total": "bytes",
    "export": "reason",
}
_LEAST_STATUS, _MOST_STATUS = 200, 599
_TEXT: tuple[type | tuple[type, ...], str] = (str, "a text")
_NUMBER: tuple[type | tuple[type, ...], str] = (int, "a whole number")
_MOMENT: tuple[type | tuple[type, ...], str] = (datetime, "an ISO time")
# What JSON may put into the fields, of those that are not None.
_HOLDS = {
    **dict.fromkeys(("recording_id", "document_id", "code", "message", "body", "url", "etag", "fault_id"), _TEXT),
    **dict.fromkeys(("chunk", "count", "status", "bytes", "rate"), _NUMBER),
    **dict.fromkeys(("start", "end"), _MOMENT),
    "seconds": ((int, float), "a number"),
}


@dataclass(frozen=True)
class Target:
    """What a request is about."""

    operation: str
    recording_id: str | None = None
    chunk: int | None = None
    document_id: str | None = None


@dataclass(frozen=True)
class Fault:
    """One scripted fault; see `KINDS` for what it does and which of the last fields it uses.

    `tries`: the numbers, from 1, of the fitting requests it strikes; `count`: only the first so many;
    neither: all. `start`, `end`: only between these moments of the emulator's clock.
    """

    kind: str
    operation: str = "any"
    recording_id: str | None = None
    chunk: int | None = None
    document_id: str | None = None
    tries: tuple[int, ...] | None = None
    count: int | None = None
    start: datetime | None = None
    end: datetime | None = None
    status: int | None = None
    code: str | None = None
    message: str | None = None
    body: str | None = None
    headers: tuple[tuple[str, str], ...] = ()
    retry_after: str | None = None
    bytes: int | None = None
    seconds: float | None = None
    rate: int | None = None
    url: str | None = None
    etag: str | None = None
    reason: str | None = None
    fault_id: str = field(default_factory=lambda: uuid.uuid4().hex[:12])

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"kind must be one of {', '.join(KINDS)}")
        if self.operation not in OPERATIONS:
            raise ValueError(f"operation must be one of {', '.join(OPERATIONS)}")
        need = _NEEDS.get(self.kind)
        if need is not None and getattr(self, need) is None:
            raise ValueError(f"a {self.kind} fault needs {need}")
        for name, (kinds, what) in _HOLDS.items():
            value = getattr(self, name)
            if value is not None and (not isinstance(value, kinds) or isinstance(value, bool)):
                raise TypeError(f"{name} must be {what}")
        if self.status is not None and not _LEAST_STATUS <= self.status <= _MOST_STATUS:
            raise ValueError(f"status must be from {_LEAST_STATUS} to {_MOST_STATUS}")
        if any(number is not None and number < 0 for number in (self.bytes, self.seconds, self.rate)):
            raise ValueError("bytes, seconds and rate must not be below 0")
        if any(moment is not None and moment.tzinfo is None for moment in (self.start, self.end)):
            raise ValueError("start and end need a zone")
        if self.reason is not None and self.reason not in EXPORT_KINDS:
            raise ValueError(f"reason must be one of {', '.join(EXPORT_KINDS)}")

    def fits(self, target: Target, now: datetime) -> bool:
        """Whether a request is one that this fault counts."""
        return (
            self.operation in {"any", target.operation}
            and (target.operation != "export" or self.kind == "export")
            and target.operation in _ONLY.get(self.kind, OPERATIONS)
            and self.recording_id in {None, target.recording_id}
            and self.chunk in {None, target.chunk}
            and self.document_id in {None, target.document_id}
            and (self.start is None or self.start <= now)
            and (self.end is None or now < self.end)
        )

    def strikes(self, try_number: int) -> bool:
        """Whether it strikes the fitting request with this number."""
        if self.tries is not None:
            return try_number in self.tries
        return self.count is None or try_number <= self.count


@dataclass
class _Counted:
    fault: Fault
    seen: int = 0
    struck: int = 0
    passed: deque[float] = field(default_factory=deque)

    def strikes(self, second: float) -> bool:
        """Whether the fault strikes the request just counted, at this second."""
        if not self.fault.strikes(self.seen):
            return False
        if self.fault.kind != "throttle":
            return True
        while self.passed and self.passed[0] <= second - 1:
            self.passed.popleft()
        if len(self.passed) >= (self.fault.rate or 0):
            return True
        self.passed.append(second)
        return False


class Faults:
    """The faults in force, in the order they were added. Safe for threads. `seconds`: the clock of a throttle."""

    def __init__(self, *, seconds: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._lock = threading.Lock()
        self._counted: list[_Counted] = []

    def add(self, fault: Fault) -> Fault:
        """Puts a fault in force."""
        with self._lock:
            self._counted.append(_Counted(fault))
        return fault

    def remove(self, fault_id: str | None = None) -> int:
        """Ends one fault, or all; how many that were."""
        with self._lock:
            left = [one for one in self._counted if fault_id not in {None, one.fault.fault_id}]
            gone, self._counted = len(self._counted) - len(left), left
        return gone

    def strike(self, target: Target, now: datetime) -> Fault | None:
        """Counts a request at every fault that fits it; the first that strikes it, if any."""
        struck: Fault | None = None
        with self._lock:
            for one in self._counted:
                if not one.fault.fits(target, now):
                    continue
                one.seen += 1
                if struck is None and one.strikes(self._seconds()):
                    one.struck += 1
                    struck = one.fault
        return struck

    def listing(self) -> list[dict[str, Any]]:
        """All faults in force as JSON values, with how often each was seen fitting and has struck."""
        with self._lock:
            return [fault_json(one.fault) | {"seen": one.seen, "struck": one.struck} for one in self._counted]


@dataclass(frozen=True)
class Outage:
    """A service that does not work for a while. `service`: rest, media, export or all; `mode`: 503 or drop."""

    service: str
    start: datetime
    end: datetime
    mode: str = "503"
    retry_after: str | None = None

    def __post_init__(self) -> None:
        if self.service not in {"rest", "media", "export", "all"}:
            raise ValueError("service must be rest, media, export or all")
        if self.mode not in {"503", "drop"}:
            raise ValueError("mode must be 503 or drop")

    def strikes(self, operation: str, now: datetime) -> bool:
        """Whether a request of this operation meets the outage."""
        return self.service in {"all", _service(operation)} and self.start <= now < self.end

    def as_fault(self, operation: str) -> Fault:
        """What the outage does to one request of this operation."""
        if self.mode == "drop":
            return Fault("drop", fault_id="outage")
        code = "9999" if _service(operation) == "rest" else None
        return Fault("status", status=503, code=code, retry_after=self.retry_after, fault_id="outage")


def _service(operation: str) -> str:
    return {"media": "media", "metadata": "media", "delete": "media", "export": "export"}.get(operation, "rest")


_CAMEL = {
    one.name: "".join((head, *map(str.capitalize, rest)))
    for one in fields(Fault)
    for head, *rest in [one.name.split("_")]
}
_SNAKE = {camel: snake for snake, camel in _CAMEL.items()}


def fault_json(fault: Fault) -> dict[str, Any]:
    """A fault as a JSON value: camelCase, without what is not set."""
    value: dict[str, Any] = {}
    for name, camel in _CAMEL.items():
        item = getattr(fault, name)
        if item is None or item == ():
            continue
        if isinstance(item, datetime):
            item = item.isoformat()
        value[camel] = dict(item) if name == "headers" else item
    return value


def fault_from_json(value: Mapping[str, Any], *, now: datetime) -> Fault:
    """The reverse. `fromSeconds`, `toSeconds` say the span from `now`. ValueError, TypeError: not a fault."""
    known: dict[str, Any] = {}
    start, end = value.get("fromSeconds"), value.get("toSeconds")
    for camel, item in value.items():
        if camel in {"fromSeconds", "toSeconds"}:
            continue
        if camel not in _SNAKE:
            raise ValueError(f"unknown field {camel}")
        known[_SNAKE[camel]] = item
    for name in ("start", "end"):
        if isinstance(known.get(name), str):
            known[name] = datetime.fromisoformat(known[name])
    if "headers" in known:
        known["headers"] = tuple((str(name), str(text)) for name, text in dict(known["headers"]).items())
    if "tries" in known:
        known["tries"] = tuple(int(number) for number in known["tries"])
    if "retry_after" in known:
        known["retry_after"] = str(known["retry_after"])
    fault = Fault(**known)
    if start is not None:
        fault = replace(fault, start=now + timedelta(seconds=float(start)))
    return fault if end is None else replace(fault, end=now + timedelta(seconds=float(end)))
