"""Indexes of the ledger: empty blobs whose names and metadata are all there is. Derived: a lost one costs a search
result or a join, never a recording.

    ids/{hash of an id}/{recording key}       by every id it is known by: its own, call, group, room, connection
    aliases/{hash of an id}/{hash of an id}   a server call id and the group or room that it is the call of
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from shared.domain.codec import format_time, parse_time
from shared.domain.naming import recording_key

if TYPE_CHECKING:
    from collections.abc import Iterable

    from shared.ports import IndexEntry, Ledger

# ACS's start of a recording and our note of it: clocks differ, and answers take their time.
_SKEW = timedelta(minutes=5)
STARTED, REPORTED, UNMATCHED = "started", "reported", "unmatched"


@dataclass(frozen=True)
class Known:
    """A recording that is known by an id. `role`: how it came to be known; `at`: when it began, or was reported."""

    key: str
    at: datetime
    role: str


def remember(ledger: Ledger, identity: str, *, key: str, at: datetime, role: str) -> None:
    """Notes that the recording `key` is known by `identity`. StorageError."""
    ledger.put_entry(f"ids/{recording_key(identity)}/{key}", {"at": format_time(at), "role": role})


def forget(ledger: Ledger, identity: str, *, key: str) -> None:
    """Takes such a note back. StorageError."""
    ledger.delete_entry(f"ids/{recording_key(identity)}/{key}")


def known_by(ledger: Ledger, identity: str) -> list[Known]:
    """The recordings known by `identity`, oldest first. StorageError."""
    return _known(ledger, recording_key(identity))


def remember_alias(ledger: Ledger, identity: str, other: str, *, at: datetime) -> None:
    """Notes that both ids are of one call. StorageError."""
    ledger.put_entry(f"aliases/{recording_key(identity)}/{recording_key(other)}", {"at": format_time(at)})


def known_by_alias(ledger: Ledger, identity: str) -> list[Known]:
    """The recordings known by an id that is of the same call as `identity`, oldest first. StorageError."""
    entries = _everything(ledger, f"aliases/{recording_key(identity)}/")
    found = [known for entry in entries for known in _known(ledger, entry.name.rpartition("/")[2])]
    return sorted(found, key=lambda known: known.at)


def begun_at(known: Iterable[Known], moment: datetime | None) -> Known | None:
    """Of recordings that were started, the last one that began by `moment` (None: the newest).

    The only one there is, whenever it began: its event may misstate the start.
    """
    started = [one for one in known if one.role == STARTED]
    fitting = [one for one in started if moment is None or one.at <= moment + _SKEW]
    if not fitting and len(started) == 1:
        return started[0]
    return max(fitting, key=lambda one: one.at, default=None)


def _known(ledger: Ledger, digest: str) -> list[Known]:
    found = []
    for entry in _everything(ledger, f"ids/{digest}/"):
        try:
            at = parse_time(entry.metadata.get("at", ""))
        except ValueError:
            continue  # not written by this app
        found.append(Known(entry.name.rpartition("/")[2], at, entry.metadata.get("role", "")))
    return sorted(found, key=lambda known: known.at)


def _everything(ledger: Ledger, prefix: str) -> list[IndexEntry]:
    """All pages: one may be short, or empty, and not the last. A room's id is known by every recording of its calls."""
    found, cursor = ledger.entries(prefix)
    while cursor is not None:
        page, cursor = ledger.entries(prefix, cursor=cursor)
        found += page
    return found
