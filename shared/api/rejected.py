"""`GET /rejected-events` and `POST /rejected-events/{id}/replay`: what could not be used, kept without its secrets.

An id is made of the blob's name, and nothing else is looked for than what has that form: no path can be built from it.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from shared.api.query import Reader, decode_cursor, encode_cursor
from shared.domain.codec import format_time, parse_time
from shared.domain.errors import Blame, RecorderError
from shared.logs import log

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from shared.intake.intake import EventIntake, Outcome
    from shared.ports import Clock, Ledger, RejectedEntry

MOST_LISTED = 100
_USUAL = 20
_LONGEST_CURSOR = 1024
_BEST = ("recorded", "repeated", "paired", "ignored", "rejected")
# Of one event in a list. The whole is in the blob.
_MOST_SHOWN = 16_384
_NAME = re.compile(r"(?P<folder>\d{8}|poison)/(?P<rest>[a-z_]{1,40}-[0-9a-f]{16}|[0-9a-f-]{36})\.json")
_ID = re.compile(r"(?P<folder>\d{8}|poison)-(?P<rest>[a-z_]{1,40}-[0-9a-f]{16}|[0-9a-f-]{36})")


class RejectedEventUnknown(RecorderError):
    """No such rejected event is kept."""

    code = "rejected_event_unknown"
    blame = Blame.CALLER


class NotReplayable(RecorderError):
    """It is no event that could be replayed."""

    code = "not_replayable"
    blame = Blame.CALLER


class RejectedEvents:
    """Lists them, newest first, and takes one in again."""

    def __init__(self, *, ledger: Ledger, intake: EventIntake, clock: Clock) -> None:
        self._ledger = ledger
        self._intake = intake
        self._clock = clock

    def listed(self, parameters: Sequence[tuple[str, str]]) -> dict[str, Any]:
        """A page. InvalidRequest, StorageError. Days are read newest first, and of a day its names only."""
        limit, after = _page(parameters)
        events: list[dict[str, Any]] = []
        last: RejectedEntry | None = None
        for entry in self._newest_first(after):
            if last is not None and len(events) == limit:
                return {"events": events, "nextCursor": _cursor(last)}
            last = entry
            kept = self._read(entry.name)
            if kept is not None:
                events.append(_shown(entry, kept))
        return {"events": events}

    def _newest_first(self, after: tuple[str, str, str] | None) -> Iterator[RejectedEntry]:
        for folder in sorted(self._ledger.rejected_folders(), reverse=True):
            if after and folder > after[0]:
                continue
            entries = [one for one in self._ledger.rejected_in(folder) if _NAME.fullmatch(one.name)]
            for entry in sorted(entries, key=_place, reverse=True):
                if after is None or folder < after[0] or _place(entry) < after[1:]:
                    yield entry

    def _read(self, name: str) -> dict[str, Any] | None:
        data = self._ledger.get_rejected(name)
        try:
            kept: Any = json.loads(data) if data is not None else None
        except ValueError:
            kept = None
        return kept if isinstance(kept, dict) else None

    def replay(self, identity: str, *, by: str) -> dict[str, Any]:
        """Takes the event in again, as it was kept; what came of it. RejectedEventUnknown, NotReplayable, StorageError.

        It is noted on the event who did it and with what result; an event that is rejected again is not kept twice.
        """
        match = _ID.fullmatch(identity)
        name = f"{match['folder']}/{match['rest']}.json" if match else ""
        kept = self._read(name) if match else None
        if kept is None:
            raise RejectedEventUnknown("no rejected event is kept under this id")
        event = kept.get("event")
        if not isinstance(event, str):
            raise NotReplayable("this is a queue message that could not be read: the sweep has looked at its recording")
        came = _result(list(self._intake.take(event)))
        kept["replayed"] = {"at": format_time(self._clock.now()), "by": by} | came
        self._ledger.keep_rejected(name, json.dumps(kept).encode())
        log("event.replayed", id=identity, by=by, result=came["result"])
        return {"id": identity} | came


def _result(outcomes: list[Outcome]) -> dict[str, Any]:
    """What came of all events of a delivery: the best of it in one word, and why any was rejected."""
    kinds = [one.kind for one in outcomes]
    fields = {
        "result": min(kinds, key=_BEST.index),
        "keys": list(dict.fromkeys(one.key for one in outcomes if one.key)) or None,
        "reason": "; ".join(one.reason for one in outcomes if one.reason) or None,
    }
    return {name: value for name, value in fields.items() if value is not None}


def _shown(entry: RejectedEntry, kept: dict[str, Any]) -> dict[str, Any]:
    event = str(kept.get("event", kept.get("message", "")))
    fields = {
        "id": entry.name.removesuffix(".json").replace("/", "-"),
        "receivedAt": _received(kept) or format_time(entry.at),
        "code": str(kept.get("reason", "")),
        "reason": str(kept.get("message", "")) if "event" in kept else "a queue message that could not be read",
        "event": event[:_MOST_SHOWN],
        "isCut": True if len(event) > _MOST_SHOWN else None,
        "replayed": kept.get("replayed"),
    }
    return {name: value for name, value in fields.items() if value is not None}


def _received(kept: dict[str, Any]) -> str | None:
    try:
        return format_time(parse_time(str(kept.get("receivedAt", ""))))
    except ValueError:
        return None


def _place(entry: RejectedEntry) -> tuple[str, str]:
    return f"{entry.at:%Y%m%dT%H%M%S.%f}", entry.name


def _cursor(entry: RejectedEntry) -> str:
    parts = (entry.name.partition("/")[0], *_place(entry))
    return encode_cursor("|".join(parts))


def _page(parameters: Sequence[tuple[str, str]]) -> tuple[int, tuple[str, str, str] | None]:
    read = Reader(parameters, ("limit", "cursor"))
    limit = read.count("limit", MOST_LISTED) or _USUAL
    cursor = read.text("cursor", _LONGEST_CURSOR)
    after = _decoded(cursor) if cursor else None
    if cursor and after is None:
        read.fault("cursor", "must be the nextCursor of an earlier page")
    read.check()
    return limit, after


def _decoded(cursor: str) -> tuple[str, str, str] | None:
    folder, _, rest = (decode_cursor(cursor) or "").partition("|")
    at, _, name = rest.partition("|")
    return (folder, at, name) if _NAME.fullmatch(name) and name.startswith(f"{folder}/") else None
