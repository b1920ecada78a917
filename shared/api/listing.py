"""Lists of recordings, page by page.

What is unfinished is listed whole (metadata, 5,000 documents a request) and sorted here. What is finished comes from
the index `finished/`, a listing for each state, newest first, merged. Filters look at metadata; only the documents of
the page are read, and one that does not agree with its entry is left out: the entry is older than the document.

    requests of a page   listing the unfinished + one for each finished state + two for each recording of the page;
                         with `to`, or on a later page, also those for folders and for the rest of an hour
    a rare filter        entries that do not match are passed over at 5,000 a request, at most 100,000 for a page
                         (fewer in an archive of many short days); then the page ends early, with a cursor
"""

from __future__ import annotations

import heapq
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from shared import index
from shared.api.query import GROUPS, encode_cursor
from shared.domain import naming
from shared.domain.codec import to_plain
from shared.domain.errors import StorageCorrupted
from shared.domain.facets import began_at, facets, from_metadata

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from shared.api.query import Query
    from shared.api.views import RecordingViews
    from shared.domain.facets import Facets
    from shared.domain.recording import Recording
    from shared.ports import OpenEntry
    from shared.store import RecordingStore

# A request for entries costs one, and one more for each thousand that it returns: 20 full pages, or a folder for each
# of 120 days.
_MOST_COST = 120
_MOST_READ = 500
_READERS = 8
# Of a group or a room: recordings that were not started by its id are looked for in so many of its newest calls.
_MOST_CALLS = 20
_NEVER = datetime.max.replace(tzinfo=UTC)
# Comes after every key: the place behind all recordings that began at a moment.
_LAST_KEY = "g"


@dataclass(frozen=True)
class _Item:
    """A candidate. `is_finished` None: not known before the document is read; `facets` None: the same."""

    place: str
    key: str
    is_finished: bool | None = None
    facets: Facets | None = None


class _SpentError(Exception):
    """So many entries were passed over that the page ends here."""


class Listing:
    """Lists recordings. One for the process; safe for many threads."""

    def __init__(self, *, store: RecordingStore, views: RecordingViews) -> None:
        self._store = store
        self._views = views
        self._readers = ThreadPoolExecutor(max_workers=_READERS, thread_name_prefix="listing")

    def page(self, query: Query) -> dict[str, Any]:
        """`recordings`, and `nextCursor` while there are more. StorageError."""
        aliases = {one for name in GROUPS for one in self._aliases(query.ids.get(name))}
        scan = _Scan(self._candidates(query, aliases), query)
        listed: list[dict[str, Any]] = []
        while len(listed) < query.limit:
            items = scan.take(query.limit - len(listed))
            if not items:
                break
            views = self._readers.map(lambda item: self._view(item, query, aliases), items)
            listed += [view for view in views if view]
        answer: dict[str, Any] = {"recordings": listed}
        rest = scan.rest()
        return answer if rest is None else answer | {"nextCursor": encode_cursor(rest)}

    def _view(self, item: _Item, query: Query, aliases: set[str]) -> dict[str, Any] | None:
        try:
            version = self._store.load(item.key)
        except StorageCorrupted as error:
            return _unreadable(item, error)
        if version is None or not _agrees(item, version.recording, query, aliases):
            return None
        return self._views.summary(version.recording)

    # --- candidates, in order

    def _candidates(self, query: Query, aliases: set[str]) -> Iterator[_Item]:
        after = query.after
        if query.ids:
            found: Iterable[_Item] = sorted(self._known(query, aliases), key=attrgetter("place"))
        elif query.order == "risk":
            found = sorted((_by_risk(entry) for entry in self._open(query)), key=attrgetter("place"))
        else:
            after = max(after, index.place(query.before, _LAST_KEY) if query.before else "")
            found = self._newest(query, after)
        return (item for item in found if item.place > after)

    def _newest(self, query: Query, after: str) -> Iterator[_Item]:
        end = index.place(query.since, _LAST_KEY) if query.since else None
        budget = _Budget(_MOST_COST)
        streams: list[Iterable[_Item]] = [
            self._finished(query, state, after, budget, end) for state in query.finished_states
        ]
        streams.append(sorted((_by_time(entry) for entry in self._open(query)), key=attrgetter("place")))
        return heapq.merge(*streams, key=attrgetter("place"))

    def _open(self, query: Query) -> Iterator[OpenEntry]:
        """What is unfinished, as far as its metadata can be read; what cannot is among it."""
        if not query.unfinished_states:
            return
        for entry in index.open_entries(self._store.ledger):
            if entry.facets is None or not entry.facets.is_finished:
                yield entry

    def _finished(self, query: Query, state: str, after: str, budget: _Budget, end: str | None) -> Iterator[_Item]:
        first = None if query.is_selective else query.limit + 1
        pages = index.finished(self._store.ledger, state, after=after, page=first)
        while True:
            page = next(pages, None)
            if page is None:
                return
            if page:
                budget.spend(len(page))
            for place, entry in page:
                if end is not None and place > end:
                    return
                yield _Item(place, place[-32:], is_finished=True, facets=from_metadata(entry.metadata))

    # --- by ids

    def _known(self, query: Query, aliases: set[str]) -> list[_Item]:
        """Those that have every id that is asked for, as far as the indexes tell."""
        entries = [entry for entry in index.open_entries(self._store.ledger) if entry.facets]
        by_id = []
        for name, value in query.ids.items():
            found = self._known_by(naming.recording_key(value), entries)
            for alias in aliases if name in GROUPS else ():
                found = self._known_by(alias, entries) | found
            by_id.append((self._itself(value) | found) if name == "recordingId" else found)
        common = set.intersection(*(set(found) for found in by_id))
        return [_Item(by_id[0][key], key) for key in common]

    def _known_by(self, hashed: str, entries: list[OpenEntry]) -> dict[str, str]:
        """Places by keys. A recording is in the index when it was started here, or is finished; else it is open."""
        found = {
            entry.key: index.place(entry.facets.began, entry.key)
            for entry in entries
            if entry.facets and hashed.startswith(entry.facets.ids)
        }
        known = index.known_by_hash(self._store.ledger, hashed)
        return found | {one.key: index.place(one.at, one.key) for one in known}

    def _itself(self, value: str) -> dict[str, str]:
        """The recording whose key it is, or is made of it."""
        for key in dict.fromkeys((value, naming.recording_key(value))):
            version = self._store.load(key) if naming.is_key(key) else None
            if version is not None:
                return {key: index.place(began_at(version.recording), key)}
        return {}

    def _aliases(self, value: str | None) -> list[str]:
        """Calls that a group or room had, as their CallStarted events said."""
        return index.aliases(self._store.ledger, value, most=_MOST_CALLS) if value else []


class _Budget:
    """How much more a page may list."""

    def __init__(self, cost: int) -> None:
        self._left = cost

    def spend(self, entries: int) -> None:
        """A page of so many. _SpentError where nothing was left for it."""
        if self._left <= 0:
            raise _SpentError
        self._left -= 1 + entries // 1000


class _Scan:
    """Goes through the candidates, and knows how far it came."""

    def __init__(self, items: Iterator[_Item], query: Query) -> None:
        self._items = items
        self._query = query
        self._place: str | None = None
        self._read = 0
        self._is_spent = False

    def take(self, most: int) -> list[_Item]:
        """The next candidates that the filters admit; fewer only at the end, or where too many were looked at."""
        found: list[_Item] = []
        while len(found) < most and (item := self._next()) is not None:
            found.append(item)
        return found

    def rest(self) -> str | None:
        """The place behind which there is more; None at the end."""
        place = self._place
        if not self._is_spent and self._next() is None and not self._is_spent:
            return None
        return self._place if self._is_spent else place

    def _next(self) -> _Item | None:
        if self._is_spent or self._read >= _MOST_READ:
            self._is_spent = True
            return None
        try:
            for item in self._items:
                if item.facets is None or self._query.admits(item.facets):
                    self._read += 1
                    self._place = item.place
                    return item
                self._place = item.place
        except _SpentError:
            self._is_spent = True
        return None


def _by_risk(entry: OpenEntry) -> _Item:
    moment = entry.risk or entry.due or _NEVER
    return _Item(f"{moment:%Y%m%dT%H%M%S.%f}-{entry.key}", entry.key, is_finished=False, facets=entry.facets)


def _by_time(entry: OpenEntry) -> _Item:
    began = entry.facets.began if entry.facets else _NEVER
    return _Item(index.place(began, entry.key), entry.key, is_finished=False, facets=entry.facets)


def _unreadable(item: _Item, error: StorageCorrupted) -> dict[str, Any] | None:
    """What metadata tell of a document that cannot be read; it is quarantined when its next message comes."""
    known = item.facets
    if known is None:
        return None
    fields = {
        "key": item.key,
        "state": known.state,
        "containerUrl": known.container,
        "createdAt": to_plain(known.began),
        "cause": error.code,
        "blame": error.blame.value,
        "bytesDone": 0,
        "attempts": 0,
        "chunkStates": {},
    }
    return fields | ({"route": known.route} if known.route else {})


def _agrees(item: _Item, recording: Recording, query: Query, aliases: set[str]) -> bool:
    """Whether the document is what its entry says, and what is asked for."""
    given = facets(recording)
    if item.is_finished and index.place(given.began, recording.key) != item.place:
        return False
    if item.is_finished and item.facets is not None and item.facets.state != given.state:
        return False  # an old entry beside the present one: a crash kept it from being removed
    return item.is_finished in (None, given.is_finished) and query.admits(given) and query.names(recording, aliases)
