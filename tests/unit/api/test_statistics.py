"""What became of the recordings that began in the last days."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from shared.api import statistics
from shared.api.statistics import parse_days
from shared.domain.errors import InvalidRequest
from shared.domain.naming import recording_key
from shared.domain.recording import ChunkState, Manifest
from tests.support.fakes import World
from tests.unit.builders import HOUR, NOON, chunk, recording

DAY = timedelta(days=1)
S = ChunkState


@pytest.fixture
def world() -> World:
    made = World()
    made.clock.moment = NOON + timedelta(minutes=20)
    return made


def made(world: World, name: str, *states: ChunkState, ago: timedelta, **changes: Any) -> str:
    """A recording of that age; finished, if its chunks are."""
    chunks = tuple(
        chunk(
            number,
            state,
            metadata_state="saved",
            next_attempt_at=NOON + 9 * HOUR if state in (S.PENDING, S.IN_FALLBACK) else None,
            reported_at=NOON,
            safe_at=NOON + timedelta(seconds=changes.get("seconds", 0)) if state in (S.RESCUED, S.EXPORTED) else None,
            is_confirmed=True,
        )
        for number, state in enumerate(states)
    )
    is_over = chunks and not {S.PENDING, S.IN_FALLBACK} & set(states)
    one = recording(
        *chunks,
        key=recording_key(name),
        created_at=NOON - ago,
        recording_start=None,
        closed_at=NOON if is_over else None,
        manifest=Manifest("written" if is_over else "pending"),
        event_check_at=None if chunks else NOON + 9 * HOUR,
    )
    world.app().store.commit(one.key, None, lambda _: one)
    return one.key


def shown(bucket: dict[str, Any]) -> dict[str, int]:
    return {name: count for name, count in bucket.items() if name not in ("from", "to") and count}


def test_a_day_is_counted_by_hours(world: World) -> None:
    made(world, "exported", S.EXPORTED, ago=timedelta(0))
    made(world, "rescued", S.RESCUED, ago=2 * HOUR)
    made(world, "mixed", S.EXPORTED, S.RESCUED, ago=2 * HOUR + timedelta(minutes=10))
    made(world, "lost", S.EXPORTED, S.LOST, ago=2 * HOUR)
    made(world, "saving", S.PENDING, S.IN_FALLBACK, ago=HOUR)
    made(world, "fallback", S.IN_FALLBACK, ago=HOUR)
    made(world, "undeliverable", S.UNDELIVERABLE, ago=HOUR)
    made(world, "running", ago=timedelta(0))
    made(world, "old", S.EXPORTED, ago=24 * HOUR)
    answer = world.app().statistics.over(1)
    assert (answer["from"], answer["to"]) == ("2026-11-21T13:00:00.000Z", "2026-11-22T13:00:00.000Z")
    assert len(answer["buckets"]) == 24
    assert [shown(one) for one in answer["buckets"][-4:]] == [
        {"started": 1, "rescued": 1},
        {"started": 2, "rescued": 1, "lost": 1},
        {"started": 3, "inFallback": 2},
        {"started": 2, "exported": 1},
    ]
    assert sum(one["started"] for one in answer["buckets"]) == 8


def test_a_month_is_counted_by_days(world: World) -> None:
    for days in (0, 1, 1, 30, 31):
        made(world, f"r{days}{len(world.ledger.index)}", S.EXPORTED, ago=days * DAY)
    answer = world.app().statistics.over(31)
    assert (answer["from"], answer["to"]) == ("2026-10-23T00:00:00.000Z", "2026-11-23T00:00:00.000Z")
    counted = [one["exported"] for one in answer["buckets"]]
    assert len(counted) == 31
    assert (counted[0], counted[-2], counted[-1], sum(counted)) == (1, 2, 1, 4)


def test_the_time_from_the_event_to_safe_is_given_in_percentiles(world: World) -> None:
    for seconds in range(1, 101):
        made(world, f"r{seconds}", S.RESCUED, ago=HOUR, seconds=seconds)
    made(world, "lost", S.LOST, ago=HOUR)
    found = world.app().statistics.over(1)["eventToSafe"]
    assert found == {"count": 100, "p50Seconds": 50, "p95Seconds": 95}
    assert World().app().statistics.over(1)["eventToSafe"] == {"count": 0}


def test_one_that_is_under_way_again_is_counted_once(world: World) -> None:
    made(world, "r", S.LOST, ago=HOUR)
    [(name, metadata)] = world.ledger.index.items()
    made(world, "s", S.PENDING, ago=HOUR)
    stale = f"{name[:-32]}{recording_key('s')}"
    world.ledger.put_entry(stale, metadata)
    assert sum(one["started"] for one in world.app().statistics.over(1)["buckets"]) == 2


def test_an_answer_that_cannot_cover_all_says_where_it_begins(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statistics, "_MOST_PAGES", 2)
    world.ledger.page = 5
    for hours in range(20):
        made(world, f"r{hours}", S.EXPORTED, ago=hours * HOUR)
    answer = world.app().statistics.over(1)
    assert answer["from"] == "2026-11-22T04:00:00.000Z"
    assert [one["exported"] for one in answer["buckets"]] == [1] * 9


@pytest.mark.parametrize("query", [[("days", "0")], [("days", "32")], [("days", "x")], [("day", "1")]])
def test_a_bad_number_of_days_is_refused(query: list[tuple[str, str]]) -> None:
    with pytest.raises(InvalidRequest):
        parse_days(query)
    assert parse_days([]) == 1
    assert parse_days([("days", "31")]) == 31
