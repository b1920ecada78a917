"""The query of a list: what it means, and every fault of it at once."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from shared.api.query import FINISHED_NAMES, Query, encode_cursor, parse_query
from shared.domain.errors import InvalidRequest
from shared.domain.recording import Started
from tests.unit.builders import NOON, recording

KEY = "0" * 32
RISK, NEWEST = f"20261122T120000.000000-{KEY}", f"9260000/12/0000000-{KEY}"


def query(**parameters: str) -> Query:
    return parse_query([(name.rstrip("_"), value) for name, value in parameters.items()])


@pytest.mark.parametrize(
    ("parameters", "state", "order"),
    [
        ({}, "unfinished", "risk"),
        ({"limit": "3"}, "unfinished", "risk"),
        ({"order": "newest"}, "unfinished", "newest"),
        ({"state": "saving"}, "saving", "risk"),
        ({"state": "safe"}, "safe", "newest"),
        ({"state": "complete"}, "complete", "newest"),
        ({"cause": "media_not_found"}, "all", "newest"),
        ({"from_": "2026-11-22"}, "all", "newest"),
        ({"callId": "x"}, "all", "newest"),
        ({"callId": "x", "state": "unfinished"}, "unfinished", "newest"),
        ({"state": "unfinished", "cause": "x"}, "unfinished", "risk"),
    ],
)
def test_without_a_filter_the_unfinished_are_listed_by_risk(parameters: dict[str, str], state: str, order: str) -> None:
    found = query(**parameters)
    assert (found.state, found.order) == (state, order)


def test_each_parameter_is_read() -> None:
    found = query(
        state="lost",
        from_="2026-11-22",
        to="2026-11-23T01:00:00+01:00",
        container="https://a.blob.core.windows.net/all/p",
        cause="media_not_found",
        route="mixed",
        limit="200",
        cursor=encode_cursor(NEWEST),
    )
    assert found.since == datetime(2026, 11, 22, tzinfo=UTC)
    assert found.before == datetime(2026, 11, 23, tzinfo=UTC)
    assert (str(found.container), found.cause, found.route) == (
        "https://a.blob.core.windows.net/all/p",
        "media_not_found",
        "mixed",
    )
    assert (found.limit, found.after, found.is_selective) == (200, NEWEST, True)


def test_the_key_of_a_function_is_no_parameter_of_ours() -> None:
    assert query(code="secret", clientId="default") == Query()


@pytest.mark.parametrize(
    ("parameters", "fields"),
    [
        ([("sate", "lost")], ["sate"]),
        ([("State", "lost")], ["State"]),
        ([("state", "lost"), ("state", "lost")], ["state"]),
        ([("state", "")], ["state"]),
        ([("state", "odd"), ("limit", "0"), ("cursor", "!"), ("x", "")], ["x", "state", "limit", "cursor"]),
        ([("limit", "201")], ["limit"]),
        ([("limit", "1.5")], ["limit"]),
        ([("limit", "٣")], ["limit"]),
        ([("from", "yesterday"), ("to", "0001-01-01T00:00:00+14:00")], ["from", "to"]),
        ([("from", "2026-11-23"), ("to", "2026-11-22")], ["to"]),
        ([("from", "2026-11-22"), ("to", "2026-11-22")], ["to"]),
        ([("container", "recordings")], ["container"]),
        ([("container", "https://a.blob.core.windows.net/c?sig=x")], ["container"]),
        ([("cause", "Not A Code")], ["cause"]),
        ([("route", "by air")], ["route"]),
        ([("order", "oldest")], ["order"]),
        ([("order", "risk"), ("state", "lost")], ["order"]),
        ([("order", "risk"), ("callId", "x")], ["order"]),
        ([("callId", "x" * 2049)], ["callId"]),
        ([("cursor", encode_cursor(NEWEST))], ["cursor"]),
        ([("state", "lost"), ("cursor", encode_cursor(RISK))], ["cursor"]),
        ([("cursor", encode_cursor("../open"))], ["cursor"]),
    ],
)
def test_every_fault_is_named(parameters: list[tuple[str, str]], fields: list[str]) -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse_query(parameters)
    assert [fault.field for fault in caught.value.faults] == fields


def test_what_a_finished_recording_can_be_is_not_what_is_under_way() -> None:
    assert {"complete", "lost", "unconfirmed", "no_event", "safe"} <= set(FINISHED_NAMES)
    assert not {"started", "saving"} & set(FINISHED_NAMES)


@pytest.mark.parametrize("name", ["serverCallId", "groupCallId", "roomId", "callConnectionId"])
def test_an_id_of_a_call_is_that_of_the_start_only_under_its_own_name(name: str) -> None:
    """Ids are compared in one spelling; another kind of id of the same text is another id."""
    started = Started(name, "AB%3D", "audio", "mixed", "mp3", NOON)
    one = recording(started=started)
    assert query(**{name: "AB="}).names(one)
    assert not query(**{name: "AC"}).names(one)
    assert not query(callId="AB").names(one)
    assert not query(**{name: "AB", "callId": "another"}).names(one)
