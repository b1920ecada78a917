"""Lists over thousands of finished recordings in a real container: order, pages, and what they cost in requests."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from shared import index
from shared.adapters.ledger import BlobLedger
from shared.api.listing import Listing
from shared.api.query import parse_query
from shared.api.views import RecordingViews
from shared.domain.codec import parse_time
from shared.domain.naming import recording_key
from shared.domain.recording import ChunkState, Manifest, Recording
from shared.domain.steps import Rules
from shared.store import RecordingStore
from tests.support.fakes import watched
from tests.unit.builders import HOUR, NOON, chunk, recording

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.contract.sides import RealSide

FINISHED = 3000
# A page of the service holds 5,000: a smaller one shows as much with fewer blobs.
PAGE = 200
APART = timedelta(minutes=20)


def one(number: int) -> Recording:
    """The finished recording of that number; 0 is the newest, one of a hundred is lost."""
    state = ChunkState.LOST if number % 100 == 99 else ChunkState.EXPORTED
    return recording(
        chunk(0, state, metadata_state="saved", next_attempt_at=None, is_confirmed=True),
        key=recording_key(f"recording {number}"),
        recording_id=f"r{number}",
        created_at=NOON - number * APART,
        recording_start=None,
        closed_at=NOON,
        manifest=Manifest("written"),
        revision=1,
    )


class Archive:
    """Entries of all of them, and documents of those that the tests read."""

    def __init__(self, side: RealSide) -> None:
        self.ledger = BlobLedger(
            side.blobs, container=side.settings.ledger_container, rejected=side.settings.rejected_container, page=PAGE
        )
        self.calls: list[str] = []
        store = RecordingStore(
            ledger=watched(self.ledger, self._note),
            queue=side.ports.queue,
            clock=side.ports.clock,
            random=side.ports.random,
            rules=Rules(),
        )
        views = RecordingViews(
            store=store, clock=side.ports.clock, containers=side.ports.containers, fallback_container="fallback"
        )
        self.listing = Listing(store=store, views=views)
        self._fill()

    def _note(self, name: str, call: Callable[[], Any], _arguments: tuple[Any, ...]) -> Any:
        self.calls.append(name)
        return call()

    def _fill(self) -> None:
        def put(number: int) -> None:
            entry = index.finished_entry(one(number))
            assert entry is not None
            self.ledger.put_entry(*entry)
            if number % 100 == 99 or number < 120 or 1500 <= number < 1580:
                self.ledger.archive(one(number), etag=None)

        put(0)
        with ThreadPoolExecutor(6) as pool:
            list(pool.map(put, range(1, FINISHED)))

    def page(self, **parameters: str) -> tuple[dict[str, Any], int]:
        """A page, and how many lists it took."""
        self.calls.clear()
        page = self.listing.page(parse_query([(name.rstrip("_"), value) for name, value in parameters.items()]))
        return page, sum(self.calls.count(name) for name in ("entries", "folders", "open_entries"))


def began(page: dict[str, Any]) -> list[datetime]:
    return [parse_time(row["createdAt"]) for row in page["recordings"]]


def test_lists_over_thousands_cost_what_they_show(real: RealSide) -> None:
    """All in one test, for filling the container takes seconds."""
    archive = Archive(real)

    page, lists = archive.page(state="complete", limit="50")
    assert began(page) == [NOON - number * APART for number in range(50)]
    assert lists == 1
    assert archive.calls.count("load") == 50

    second, lists = archive.page(state="complete", limit="50", cursor=page["nextCursor"])
    assert began(second) == [NOON - number * APART for number in range(50, 101) if number != 99]
    assert lists <= 6 + 50 // 3

    middle = NOON - 1500 * APART
    old, lists = archive.page(state="complete", limit="50", to=(middle + timedelta(milliseconds=1)).isoformat())
    assert began(old) == [middle - number * APART for number in range(50)]
    assert lists <= 4 + 24

    lost, lists = archive.page(state="lost", limit="200")
    assert began(lost) == [NOON - number * APART for number in range(99, FINISHED, 100)]
    assert lists == 1
    assert "nextCursor" not in lost

    rare, lists = archive.page(route="lost", state="finished", limit="200")
    assert began(rare) == began(lost)
    assert lists <= FINISHED // PAGE + 6

    mixed, lists = archive.page(state="all", from_=(NOON - 2 * HOUR).isoformat())
    assert began(mixed) == [NOON - number * APART for number in range(7)]
    assert lists <= 7
