"""From a call to the recordings that were started for it: for events that name the call and not the recording."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from shared.domain.codec import format_time, parse_time
from shared.domain.naming import recording_key

if TYPE_CHECKING:
    from shared.ports import Ledger

_MOST_KEPT = 20
# ACS's start of a recording and our note of it: clocks differ, and answers take their time.
_SKEW = timedelta(minutes=5)


def remember(ledger: Ledger, call: str, *, key: str, at: datetime) -> None:
    """Notes that the recording `key` was started for `call` (any of its ids) at `at`. StorageError."""
    known = [entry for entry in _entries(ledger, call) if entry[0] != key]
    kept = [*known, (key, at)][-_MOST_KEPT:]
    data = json.dumps([{"key": one, "startedAt": format_time(moment)} for one, moment in kept]).encode()
    ledger.put_note(_note(call), data)


def newest(ledger: Ledger, call: str) -> str | None:
    """The recording started last for `call`, or None. StorageError."""
    return max(_entries(ledger, call), key=lambda entry: entry[1], default=(None, None))[0]


def begun_at(ledger: Ledger, call: str, moment: datetime | None) -> str | None:
    """The recording of `call` that began at `moment` or was the last one before it (None: the newest). StorageError."""
    if moment is None:
        return newest(ledger, call)
    before = [entry for entry in _entries(ledger, call) if entry[1] <= moment + _SKEW]
    return max(before, key=lambda entry: entry[1], default=(None, None))[0]


def _note(call: str) -> str:
    return f"calls/{recording_key(call)}"


def _entries(ledger: Ledger, call: str) -> list[tuple[str, datetime]]:
    kept = ledger.get_note(_note(call))
    if kept is None:
        return []
    try:
        return [(str(entry["key"]), parse_time(entry["startedAt"])) for entry in json.loads(kept)]
    except (ValueError, KeyError, TypeError, AttributeError):
        return []  # somebody's hand: as good as no note
