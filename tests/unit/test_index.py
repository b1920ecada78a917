"""Places in time: an ascending listing is newest first."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.index import STARTED, Known, begun_at, finished_entry, place
from tests.unit.builders import NOON, RECORDINGS

if TYPE_CHECKING:
    from shared.domain.recording import Recording

MOMENTS = st.datetimes(timezones=st.just(UTC)).map(
    lambda moment: moment.replace(microsecond=moment.microsecond // 1000 * 1000)
)


@given(MOMENTS, MOMENTS)
def test_the_newer_one_comes_first(one: datetime, other: datetime) -> None:
    assert (place(one) < place(other)) == (one > other)
    assert len(place(one)) == len("9999999/23/3599999-")


@given(MOMENTS)
def test_a_place_has_a_folder_for_its_day_and_one_for_its_hour(moment: datetime) -> None:
    day, hour, _ = place(moment).split("/")
    assert place(moment.replace(hour=0)).split("/")[0] == day
    assert place(moment.replace(minute=59)).split("/")[:2] == [day, hour]


def test_the_place_is_of_the_time_and_not_of_how_its_zone_writes_it() -> None:
    assert place(NOON.astimezone(timezone(timedelta(hours=5, minutes=30))), "k") == place(NOON, "k")
    assert place(NOON, "k") < place(NOON - timedelta(milliseconds=1), "k")


@given(RECORDINGS)
def test_only_what_is_closed_has_an_entry(one: Recording) -> None:
    assert (finished_entry(one) is None) == (one.closed_at is None)


@pytest.mark.parametrize(
    ("minutes", "asked", "key"),
    [
        ([0, 9], None, "9"),
        ([0, 9], 9, "9"),
        ([0, 9], 4, "9"),  # clocks differ by five minutes at most
        ([0, 9], 3.9, "0"),
        ([20], 0, "20"),  # the only one
        ([20, 30], 0, None),
        ([], 0, None),
    ],
)
def test_an_event_is_of_the_last_recording_that_began_before_it(
    minutes: list[int], asked: float | None, key: str | None
) -> None:
    known = [Known(str(one), NOON + timedelta(minutes=one), STARTED) for one in minutes]
    known.append(Known("reported", NOON, "reported"))
    found = begun_at(known, None if asked is None else NOON + timedelta(minutes=asked))
    assert (found.key if found else None) == key
