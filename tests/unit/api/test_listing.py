"""Lists: filters, order, pages that are full while there is more, and entries that do not agree with their document."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from shared import index
from shared.api import listing as listing_module
from shared.api.query import parse_query
from shared.domain import facts as f
from shared.domain.errors import Blame, StorageUnavailable
from shared.domain.naming import recording_key
from shared.domain.recording import ChunkState, Manifest, Plan, Problem, Recording, Started
from tests.support.fakes import World, watched
from tests.unit.builders import CONTAINER_URL, HOUR, NOON, chunk, recording

if TYPE_CHECKING:
    from collections.abc import Callable

    from shared.app import App

DAY = timedelta(days=1)


@pytest.fixture
def world() -> World:
    return World()


def made(world: World, name: str, *chunks: Any, began: Any = NOON - HOUR, **changes: Any) -> str:
    """A recording that is written by the store, as everything is."""
    one = recording(
        *chunks,
        key=recording_key(name),
        recording_id=name,
        call_id=f"call of {name}",
        created_at=began,
        recording_start=None,
        **changes,
    )
    world.app().store.commit(one.key, None, lambda _: one)
    return one.key


def closed(world: World, name: str, state: ChunkState = ChunkState.RESCUED, **changes: Any) -> str:
    done = chunk(0, state, metadata_state="saved", next_attempt_at=None, is_confirmed=True)
    return made(world, name, done, **{"closed_at": NOON, "manifest": Manifest("written")} | changes)


def listed(world: World | App, **parameters: str) -> list[str]:
    """All pages' keys; each page but the last is full."""
    app = world.app() if isinstance(world, World) else world
    found: list[str] = []
    sent = dict(parameters)
    for _ in range(400):
        query = parse_query([(name.rstrip("_"), value) for name, value in sent.items()])
        page = app.listing.page(query)
        keys = [one["key"] for one in page["recordings"]]
        found += keys
        if "nextCursor" not in page:
            return found
        assert len(keys) == query.limit
        sent["cursor"] = page["nextCursor"]
    raise AssertionError("pages without end")


@pytest.mark.parametrize("limit", ["1", "2", "3", "50"])
def test_what_is_finished_is_listed_newest_first_with_what_is_not(world: World, limit: str) -> None:
    times = [NOON - 3 * HOUR, NOON - 40 * DAY, NOON - HOUR, NOON - HOUR - timedelta(milliseconds=1), NOON - DAY]
    keys = [closed(world, f"r{number}", began=began) for number, began in enumerate(times)]
    waiting = made(world, "waiting", chunk(), began=NOON - 2 * HOUR)
    lost = closed(world, "lost", ChunkState.LOST, began=NOON - 2 * DAY)
    order = [keys[2], keys[3], waiting, keys[0], keys[4], lost, keys[1]]
    assert listed(world, state="all", limit=limit) == order
    finished = [key for key in order if key != waiting]
    assert listed(world, state="finished", limit=limit) == finished
    assert listed(world, state="complete", limit=limit) == [key for key in finished if key != lost]
    assert listed(world, state="lost", limit=limit) == [lost]
    assert listed(world, state="unfinished", limit=limit) == [waiting]
    assert listed(world, limit=limit) == [waiting]


def test_unfinished_ones_are_listed_nearest_risk_first(world: World) -> None:
    late = made(world, "late", chunk(at_risk_from=NOON + 20 * HOUR))
    soon = made(world, "soon", chunk(at_risk_from=NOON + HOUR))
    safe = made(world, "safe", chunk(0, ChunkState.IN_FALLBACK, next_attempt_at=NOON + 9 * HOUR))
    assert listed(world) == [soon, safe, late]
    assert listed(world, limit="1", state="saving") == [soon, late]
    assert listed(world, state="safe") == [safe]


def test_what_is_lost_is_listed_though_its_manifest_cannot_be_written(world: World) -> None:
    """It is unfinished, for the manifest is owed, and it is in the list of its state all the same."""
    over = chunk(0, ChunkState.LOST, next_attempt_at=None)
    key = made(world, "r", over, finishing=Plan(NOON + HOUR, 3))
    done = closed(world, "s", ChunkState.LOST, began=NOON - DAY)
    assert listed(world) == [key]
    assert listed(world, state="lost") == [key, done]
    assert listed(world, state="finished") == [done]


def test_a_period_is_from_its_first_moment_up_to_its_end(world: World) -> None:
    """By when a recording began, however far back, on days and hours that hold others, too."""
    moments = [NOON - 400 * DAY + hours * HOUR for hours in range(0, 72, 6)]
    keys = [closed(world, f"r{number}", began=began) for number, began in enumerate(moments)]
    begin, end = moments[3], moments[8]
    given = {"from_": begin.isoformat().replace("+", "%2B"), "to": end.isoformat()}
    for limit in ("1", "2", "50"):
        given["from_"] = begin.isoformat()
        assert listed(world, state="finished", limit=limit, **given) == keys[7:2:-1]
    assert listed(world, to=moments[1].isoformat()) == keys[:1]
    assert listed(world, from_=moments[-1].isoformat()) == keys[-1:]


def test_a_recording_that_is_finished_and_owes_something_is_listed_once(world: World) -> None:
    """Its document is open, for its digest is to come: it is finished all the same."""
    digest = chunk(0, ChunkState.RESCUED, metadata_state="saved", digest_state="pending")
    key = made(world, "r", digest, closed_at=NOON, manifest=Manifest("written"))
    assert key in world.ledger.open
    assert listed(world, state="all") == [key]
    assert listed(world, state="complete") == [key]
    assert listed(world) == []


def test_filters_by_cause_route_and_container(world: World) -> None:
    denied = Problem("storage_access_denied", Blame.DESTINATION, "403", NOON)
    below = f"{CONTAINER_URL}/team-a"
    one = made(world, "one", chunk(0, ChunkState.IN_FALLBACK, last_error=denied), container_url=below)
    two = made(world, "two", chunk(last_error=replace(denied, code="media_not_found", blame=Blame.ACS)))
    exported = closed(world, "three", ChunkState.EXPORTED, container_url=below)
    rescued = closed(world, "four")
    assert listed(world, cause="storage_access_denied") == [one]
    assert listed(world, cause="media_not_found", state="unfinished") == [two]
    assert listed(world, route="exported") == [exported]
    assert set(listed(world, container=CONTAINER_URL)) == {one, two, exported, rescued}
    assert set(listed(world, container=below)) == {one, exported}
    assert listed(world, container=below, route="exported", state="finished", limit="1") == [exported]
    assert listed(world, container=f"{CONTAINER_URL}/team") == []


def test_a_recording_is_found_by_every_id_before_and_after_it_is_finished(world: World) -> None:
    started = Started("groupCallId", "group-1", "audio", "mixed", "mp3", NOON)
    key = made(world, "rec", chunk(), server_call_id="server-1", started=started)
    other = made(world, "other", chunk(), server_call_id="server-2")
    ids = {"recordingId": "rec", "callId": "call of rec", "serverCallId": "server-1", "groupCallId": "group-1"}
    for name, value in ids.items():
        assert listed(world, **{name: value}) == [key], name
        assert listed(world, **{name: value}, state="finished") == []
    assert listed(world, **ids) == [key]
    assert listed(world, **ids | {"callId": "call of other"}) == []
    assert listed(world, recordingId=other) == [other]
    assert listed(world, recordingId="unknown") == []
    for value in ids.values():
        index.remember(world.ledger, value, key=key, at=NOON, role=index.REPORTED)
    version = world.ledger.version(key)
    done = chunk(0, ChunkState.EXPORTED, metadata_state="saved", next_attempt_at=None)
    world.app().store.commit(
        key,
        version,
        lambda now: replace(now or version.recording, chunks=(done,), closed_at=NOON, manifest=Manifest("written")),
    )
    for name, value in ids.items():
        assert listed(world, **{name: value}) == [key], name
        assert listed(world, **{name: value}, state="unfinished") == []


def test_a_recording_is_found_by_the_group_or_room_that_its_call_was_of(world: World) -> None:
    """As CallStarted said, though it was started by another id; not one of another call."""
    key = made(world, "rec", chunk(), server_call_id="server-1")
    made(world, "other", chunk(), server_call_id="server-2")
    for other in ("group-1", "room-1"):
        index.remember_alias(world.ledger, "server-1", other, at=NOON)
    assert listed(world, groupCallId="group-1") == [key]
    assert listed(world, roomId="room-1", serverCallId="server-1") == [key]
    assert listed(world, roomId="room-1", serverCallId="server-2") == []
    assert listed(world, groupCallId="group-2") == []
    done = closed(world, "later", server_call_id="server-1", began=NOON - 2 * HOUR)
    index.remember(world.ledger, "server-1", key=done, at=NOON - 2 * HOUR, role=index.REPORTED)
    assert listed(world, groupCallId="group-1") == [key, done]


def test_many_recordings_of_one_room_are_paged(world: World) -> None:
    room = Started("roomId", "room", "audio", "mixed", "mp3", NOON)
    keys = []
    for number in range(7):
        began = NOON - number * DAY
        keys.append(closed(world, f"r{number}", began=began, started=room))
        index.remember(world.ledger, "room", key=keys[-1], at=began, role=index.STARTED)
    assert listed(world, roomId="room", limit="3") == keys
    assert listed(world, roomId="room", limit="3", from_=(NOON - 2 * DAY).isoformat()) == keys[:3]


def test_an_id_of_many_recordings_reads_so_many_documents_for_a_page(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What an id is known by holds no state: documents tell it. The page ends early, and the next one goes on."""
    monkeypatch.setattr(listing_module, "_MOST_READ", 3)
    for number in range(7):
        state = ChunkState.LOST if number == 5 else ChunkState.RESCUED
        key = closed(world, f"r{number}", state, began=NOON - number * DAY, server_call_id="server")
        index.remember(world.ledger, "server", key=key, at=NOON - number * DAY, role=index.REPORTED)
    app, pages = world.app(), []
    cursor: str | None = ""
    while cursor is not None:
        given = [("serverCallId", "server"), ("state", "lost"), *([("cursor", cursor)] if cursor else [])]
        page = app.listing.page(parse_query(given))
        pages.append([one["recordingId"] for one in page["recordings"]])
        cursor = page.get("nextCursor")
    assert pages == [[], ["r5"], []]


def test_an_entry_of_a_state_that_is_over_is_dropped_and_removed(world: World) -> None:
    """A closed recording that is opened again leaves the list of its old state; a stale entry of a crash, too."""
    key = closed(world, "r", ChunkState.LOST)
    [(name, metadata)] = world.ledger.index.items()
    version = world.ledger.version(key)
    world.app().store.record(version, f.Replayed())
    reopened = world.ledger.recording(key)
    assert reopened.closed_at is None
    assert world.ledger.index == {}
    assert listed(world, state="lost") == []
    world.ledger.put_entry(name, metadata)
    assert listed(world, state="lost") == []
    assert listed(world, state="all") == [key]


def test_an_entry_is_there_before_its_document_says_so(world: World) -> None:
    """A crash after the entry leaves one that lists drop; no crash leaves a finished recording out of the lists."""
    order: list[str] = []

    def noting(name: str, call: Callable[[], Any], arguments: tuple[Any, ...]) -> Any:
        order.append(name)
        return call()

    one = recording(chunk(0, ChunkState.RESCUED, metadata_state="saved", next_attempt_at=None), closed_at=NOON)
    app = world.app(ledger=watched(world.ledger, noting))
    app.store.commit(one.key, None, lambda _: replace(one, manifest=Manifest("written")))
    assert order == ["load", "put_entry", "archive"]


def test_an_entry_that_cannot_be_removed_costs_nothing_but_itself(world: World) -> None:
    key = closed(world, "r", ChunkState.LOST)

    def failing(name: str, call: Callable[[], Any], arguments: tuple[Any, ...]) -> Any:
        if name == "delete_entry":
            raise StorageUnavailable
        return call()

    app = world.app(ledger=watched(world.ledger, failing))
    version = world.ledger.version(key)
    app.store.record(version, f.Replayed())
    assert len(world.queue.waiting) == 1
    assert listed(app, state="lost") == []


def test_a_document_that_cannot_be_read_does_not_hide_the_others(world: World) -> None:
    good = made(world, "good", chunk())
    bad = made(world, "bad", chunk())
    _, etag, entry = world.ledger.open[bad]
    world.ledger.open[bad] = (b"{", etag, entry)
    page = world.app().listing.page(parse_query([]))
    assert {one["key"]: one.get("cause") for one in page["recordings"]} == {good: None, bad: "storage_corrupted"}
    shown = {one["key"]: one for one in page["recordings"]}
    assert set(shown[bad]) - {"cause", "blame"} <= set(shown[good])
    assert shown[bad]["state"] == "saving"


def test_a_document_without_metadata_is_listed(world: World) -> None:
    """As an earlier version of the app wrote it."""
    key = made(world, "r", chunk())
    data, etag, entry = world.ledger.open[key]
    world.ledger.open[key] = (data, etag, replace(entry, facets=None))
    assert listed(world) == [key]
    assert listed(world, state="all") == [key]
    assert listed(world, state="started") == []


def test_a_rare_filter_ends_its_page_early_and_goes_on(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bounded: it looks at so many entries, and says where to go on; every recording is found in the end."""
    monkeypatch.setattr(listing_module, "_MOST_COST", 2)
    world.ledger.page = 5
    rare = [closed(world, f"rare{n}", ChunkState.EXPORTED, began=NOON - n * 40 * HOUR) for n in (1, 2)]
    for number in range(60):
        closed(world, f"r{number}", began=NOON - number * 2 * HOUR)
    app = world.app()
    pages, found, cursor = 0, [], ""
    while True:
        page = app.listing.page(parse_query([("route", "exported"), *([("cursor", cursor)] if cursor else [])]))
        found += [one["key"] for one in page["recordings"]]
        pages += 1
        if "nextCursor" not in page:
            break
        cursor = page["nextCursor"]
    assert found == rare
    assert 2 < pages < 30


def test_a_summary_says_what_holds_the_recording_up(world: World) -> None:
    older = Problem("media_not_found", Blame.ACS, "404", NOON - HOUR)
    newer = Problem("storage_access_denied", Blame.DESTINATION, "403", NOON)
    made(world, "r", chunk(0, last_error=newer), chunk(1, last_error=older))
    [one] = world.app().listing.page(parse_query([]))["recordings"]
    assert (one["cause"], one["blame"]) == ("storage_access_denied", "destination")
    assert one["bytesDone"] == 0
    assert "bytesTotal" not in one


def finished_names(world: World) -> set[str]:
    return {name for name in world.ledger.index if name.startswith("finished/")}


def test_one_entry_is_written_for_a_recording(world: World) -> None:
    key = closed(world, "r")
    assert finished_names(world) == {f"finished/complete/{index.place(NOON - HOUR, key)}"}
    version = world.ledger.version(key)
    again: Recording = replace(version.recording, links=("other",))
    world.app().store.commit(key, version, lambda _: again)
    assert len(finished_names(world)) == 1
