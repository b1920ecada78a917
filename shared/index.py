"""Indexes of the ledger: empty blobs whose names and metadata are all there is. Derived: a lost one costs a search
result or a join, never a recording.

    ids/{hash of an id}/{recording key}       by every id it is known by: its own, call, group, room, connection
    aliases/{hash of an id}/{hash of an id}   a server call id and the group or room that it is the call of, both ways
    finished/{state}/{when it began}-{key}    a finished recording, with what lists filter by (`domain/facets.py`)

The time in a name of `finished/` counts backwards (`9263381/12/3599999`: day, hour, milliseconds of the hour), so that
an ascending listing is newest first, and a day or an hour is a folder: a list that begins in the past reads nothing of
what is newer. The entry is a function of the document: the store puts it before it writes a document that is
finished, and removes it after one that is not, or is in another state. A crash between the two leaves an entry that
does not agree with the document: lists compare them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from shared.domain.codec import format_time, parse_time
from shared.domain.facets import facets, to_metadata
from shared.domain.naming import recording_key

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from shared.domain.recording import Recording
    from shared.ports import IndexEntry, Ledger, OpenEntry

FINISHED = "finished/"
_LAST_DAY, _LAST_MS = 9_999_999, 3_599_999
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
    return known_by_hash(ledger, recording_key(identity))


def remember_alias(ledger: Ledger, identity: str, other: str, *, at: datetime) -> None:
    """Notes that both ids are of one call. StorageError."""
    for one, two in ((identity, other), (other, identity)):
        ledger.put_entry(f"aliases/{recording_key(one)}/{recording_key(two)}", {"at": format_time(at)})


def aliases(ledger: Ledger, identity: str, *, most: int) -> list[str]:
    """Hashes (`recording_key`) of ids that are of one call with `identity`, the newest `most`. StorageError."""
    entries = _everything(ledger, f"aliases/{recording_key(identity)}/")
    newest = sorted(entries, key=lambda entry: entry.metadata.get("at", ""), reverse=True)
    return [entry.name.rpartition("/")[2] for entry in newest[:most]]


def known_by_alias(ledger: Ledger, identity: str) -> list[Known]:
    """The recordings known by an id that is of the same call as `identity`, oldest first. StorageError."""
    entries = _everything(ledger, f"aliases/{recording_key(identity)}/")
    found = [known for entry in entries for known in known_by_hash(ledger, entry.name.rpartition("/")[2])]
    return sorted(found, key=lambda known: known.at)


def open_entries(ledger: Ledger) -> Iterator[OpenEntry]:
    """All open documents' metadata, 5,000 a request. StorageError."""
    cursor: str | None = None
    while True:
        page, cursor = ledger.open_entries(cursor=cursor)
        yield from page
        if cursor is None:
            return


def finished_entry(recording: Recording) -> tuple[str, dict[str, str]] | None:
    """Name and metadata of the recording's entry among the finished ones; None where it is not finished."""
    if recording.closed_at is None:
        return None
    given = replace(facets(recording), ids=())
    return f"{FINISHED}{given.state}/{place(given.began, recording.key)}", to_metadata(given)


def place(moment: datetime, key: str = "") -> str:
    """Where a recording that began at `moment` is in an order that is newest first; sorts as text."""
    utc = moment.astimezone(UTC)
    within = (utc.minute * 60 + utc.second) * 1000 + utc.microsecond // 1000
    return f"{_LAST_DAY - utc.toordinal():07}/{23 - utc.hour:02}/{_LAST_MS - within:07}-{key}"


def finished(
    ledger: Ledger, state: str, *, after: str = "", page: int | None = None
) -> Iterator[list[tuple[str, IndexEntry]]]:
    """Pages of entries of a state with their places, from place `after` on, newest first. StorageError.

    `page`: how many the first page of a folder holds (a list of 50 needs no 5,000); the next ones are full.
    """
    for prefix in _folders(ledger, f"{FINISHED}{state}/", after):
        cursor, limit = None, page
        while True:
            entries, cursor = ledger.entries(prefix, cursor=cursor, limit=limit)
            named = [(entry.name.removeprefix(f"{FINISHED}{state}/"), entry) for entry in entries]
            yield [one for one in named if one[0] > after]
            if cursor is None:
                break
            limit = None


def _folders(ledger: Ledger, root: str, after: str) -> Iterator[str]:
    """What is to be listed from a place on: the rest of its day by hours, then day by day."""
    if not after:
        yield root
        return
    first_day, hour, _ = after.split("/")
    for day in ledger.folders(root):
        if day == first_day:
            yield from (f"{root}{day}/{one}/" for one in ledger.folders(f"{root}{day}/") if one >= hour)
        elif day > first_day:
            yield f"{root}{day}/"


def begun_at(known: Iterable[Known], moment: datetime | None) -> Known | None:
    """Of recordings that were started, the last one that began by `moment` (None: the newest).

    The only one there is, whenever it began: its event may misstate the start.
    """
    started = [one for one in known if one.role == STARTED]
    fitting = [one for one in started if moment is None or one.at <= moment + _SKEW]
    if not fitting and len(started) == 1:
        return started[0]
    return max(fitting, key=lambda one: one.at, default=None)


def known_by_hash(ledger: Ledger, digest: str) -> list[Known]:
    """The same for the hash of an id."""
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
