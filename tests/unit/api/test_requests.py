"""What a page of a list costs beside a million finished recordings: requests of the ledger, counted."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from shared import index
from shared.api.query import FINISHED_NAMES, parse_query
from shared.domain.codec import encode, format_time
from shared.domain.recording import ChunkState, Manifest, Recording
from tests.support.fakes import World, watched
from tests.unit.builders import NOON, chunk, recording

if TYPE_CHECKING:
    from collections.abc import Callable

    from shared.app import App

FINISHED = 1_000_000
STATES = len(FINISHED_NAMES)
APART = timedelta(days=31) / FINISHED


def one(number: int) -> Recording:
    """The finished recording of that number; 0 is the newest, and one of a thousand is lost."""
    state = ChunkState.LOST if number % 1000 == 999 else ChunkState.EXPORTED
    return recording(
        chunk(0, state, metadata_state="saved", next_attempt_at=None, is_confirmed=True),
        key=f"{number:032x}",
        recording_id=f"r{number}",
        created_at=NOON - number * APART,
        recording_start=None,
        closed_at=NOON,
        manifest=Manifest("written"),
    )


class _Index(dict[str, dict[str, str]]):
    """Metadata of a million entries is made when it is read."""

    def __getitem__(self, name: str) -> dict[str, str]:
        known = super().__getitem__(name)
        return known or _METADATA[name.split("/")[1]] | {"began": format_time(NOON - int(name[-32:], 16) * APART)}


_METADATA = {entry[0].split("/")[1]: entry[1] for n in (0, 999) if (entry := index.finished_entry(one(n)))}


class Archive(World):
    """A million finished recordings over a month; documents are made when they are read."""

    def __init__(self) -> None:
        super().__init__()
        load = self.ledger.load
        self.calls: Counter[str] = Counter()
        self.ledger.index = _Index()
        for number in range(FINISHED):
            state = "lost" if number % 1000 == 999 else "complete"
            place = index.place(NOON - number * APART, f"{number:032x}")
            self.ledger.index[f"finished/{state}/{place}"] = {}

        def loaded(key: str) -> Any:
            if key not in self.ledger.documents and int(key, 16) < FINISHED:
                self.ledger.closed[key] = (encode(one(int(key, 16))), '"1"')
            return load(key)

        self.ledger.load = loaded  # type: ignore[method-assign]  # documents are made on demand
        self.counted = self.app(ledger=watched(self.ledger, self._count))

    def _count(self, name: str, call: Callable[[], Any], _arguments: tuple[Any, ...]) -> Any:
        self.calls[name] += 1
        return call()

    def page(self, query: str) -> tuple[dict[str, Any], Counter[str]]:
        """A page, and what it cost; a load is two requests of a finished recording."""
        self.calls.clear()
        parameters = [(name, value) for name, _, value in (part.partition("=") for part in query.split("&") if part)]
        app: App = self.counted
        page = app.listing.page(parse_query(parameters))
        return page, Counter(self.calls)


@pytest.fixture(scope="module")
def archive() -> Archive:
    return Archive()


@pytest.mark.parametrize(
    ("query", "most"),
    [
        ("state=complete", 1),
        ("state=finished", STATES),
        ("state=all", STATES + 1),
        ("state=lost", 1),
        ("state=complete&from=2026-11-20", 1),
        ("state=complete&to=2026-11-10T15:00:00Z", 5),
        ("state=complete&to=2026-10-30", 5),
        ("state=all&to=2026-11-10T15:59:00Z", 2 * STATES + 4),
    ],
)
def test_a_page_costs_what_it_shows(archive: Archive, query: str, most: int) -> None:
    """A few listings, whatever the archive holds, and one document for each recording of the page."""
    page, calls = archive.page(query)
    assert len(page["recordings"]) == calls["load"] == 50
    assert calls["entries"] + calls["folders"] + calls["open_entries"] <= most


@pytest.mark.parametrize("query", ["state=finished&cause=media_not_found", "route=rescued&to=2026-11-01T07:30:00Z"])
def test_a_filter_that_nothing_matches_is_bounded(archive: Archive, query: str) -> None:
    """At most twenty full listings (more of them where they are short), then a cursor; no document is read."""
    page, calls = archive.page(query)
    assert page["recordings"] == []
    assert 20 <= calls["entries"] <= 40
    assert calls["load"] == 0
    assert page["nextCursor"]


def test_pages_behind_one_another_cost_the_same(archive: Archive) -> None:
    cursor, seen = "", []
    for number in range(5):
        page, calls = archive.page("state=complete&limit=20" + cursor)
        seen += [one["key"] for one in page["recordings"]]
        assert len(page["recordings"]) == 20
        assert calls["load"] == 20
        assert calls["entries"] + calls["folders"] <= (1 if number == 0 else 4)
        cursor = f"&cursor={page['nextCursor']}"
    assert seen == sorted(seen)
    assert len(set(seen)) == 100


def test_a_recording_is_found_by_an_id_in_a_few_requests(archive: Archive) -> None:
    index.remember(archive.ledger, "call-77", key=f"{77:032x}", at=NOON, role=index.REPORTED)
    page, calls = archive.page("callId=call-77")
    assert page["recordings"] == []  # its call has another id: the index is only a hint
    assert sum(calls.values()) == 3
