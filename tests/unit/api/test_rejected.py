"""Rejected events: listed newest first, and taken in again."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from shared.api.rejected import NotReplayable, RejectedEventUnknown
from shared.domain.errors import InvalidRequest
from tests.support.fakes import World
from tests.unit.rig import claim, event

BAD = '{"eventType": 5, "n": %d}'


class Desk:
    """An app that has rejected some events."""

    def __init__(self, *raws: str) -> None:
        self.world = World()
        self.app = self.world.app()
        for raw in raws:
            self.app.intake.handle(raw)

    def listed(self, **query: str) -> dict[str, Any]:
        return self.app.rejected.listed(list(query.items()))

    def pages(self, limit: int) -> list[list[str]]:
        found, query = [], {"limit": str(limit)}
        while True:
            page = self.listed(**query)
            found.append([one["id"] for one in page["events"]])
            if "nextCursor" not in page:
                return found
            query["cursor"] = page["nextCursor"]


def test_a_rejected_event_is_shown_with_its_reason_and_without_its_secrets() -> None:
    desk = Desk('{"a": "https://h/x?sig=SECRET", "eventType": 5}')
    [shown] = desk.listed()["events"]
    assert (shown["code"], shown["reason"]) == ("not_an_event", "no event type")
    assert shown["receivedAt"] == "2026-11-22T12:00:00.000Z"
    assert "SECRET" not in json.dumps(shown)
    assert json.loads(shown["event"])["eventType"] == 5


def test_pages_are_full_and_newest_first_over_days() -> None:
    desk = Desk()
    for number in range(7):
        desk.app.intake.handle(BAD % number)
        desk.world.clock.advance(timedelta(hours=9))
    pages = desk.pages(3)
    assert [len(page) for page in pages] == [3, 3, 1]
    listed = [identity for page in pages for identity in page]
    assert len(set(listed)) == 7
    received = [one["receivedAt"] for one in desk.listed()["events"]]
    assert received == sorted(received, reverse=True)
    assert len(desk.pages(7)) == 1


def test_a_large_event_is_shown_in_part() -> None:
    [shown] = Desk(json.dumps({"a": "x" * 50_000})).listed()["events"]
    assert (len(shown["event"]), shown["isCut"]) == (16_384, True)


@pytest.mark.parametrize(
    ("query", "fields"),
    [
        ({"limit": "0"}, ["limit"]),
        ({"limit": "101"}, ["limit"]),
        ({"limit": ""}, ["limit"]),
        ({"cursor": "!"}, ["cursor"]),
        ({"cursor": "fHx8"}, ["cursor"]),
        ({"state": "x", "limit": "1.5", "cursor": "?"}, ["state", "limit", "cursor"]),
    ],
)
def test_a_query_that_cannot_be_meant_names_every_fault(query: dict[str, str], fields: list[str]) -> None:
    with pytest.raises(InvalidRequest) as caught:
        Desk().listed(**query)
    assert [fault.field for fault in caught.value.faults] == fields


def test_a_parameter_that_is_given_twice_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="given once"):
        Desk().app.rejected.listed([("limit", "1"), ("limit", "2")])


def test_an_event_is_taken_in_again_and_the_result_is_noted() -> None:
    """The event had one bad chunk; its good one is recorded already, so nothing is new."""
    desk = Desk(event(claim(), claim("doc-1") | {"index": "bad"}))
    [shown] = desk.listed()["events"]
    answer = desk.app.rejected.replay(shown["id"], by="key:night")
    assert answer["result"] == "repeated"
    assert answer["reason"].startswith("faults: ")
    assert answer["keys"] == list(desk.world.ledger.open)
    [again] = desk.listed()["events"]
    assert again["replayed"]["by"] == "key:night"
    assert again["replayed"].items() >= {"result": "repeated", "keys": answer["keys"]}.items()


def test_what_is_rejected_again_is_not_kept_twice() -> None:
    desk = Desk("{")
    [shown] = desk.listed()["events"]
    desk.world.clock.advance(timedelta(days=1))
    for _ in range(2):
        answer = desk.app.rejected.replay(shown["id"], by="api")
        assert (answer["result"], answer["reason"]) == ("rejected", "not_json: not JSON: JSONDecodeError")
    assert len(desk.listed()["events"]) == 1


def test_an_event_that_is_understood_by_now_is_recorded() -> None:
    """As after an upgrade: what is kept is an event that this version can read."""
    desk = Desk("{")
    [name] = desk.world.ledger.rejected
    kept = json.loads(desk.world.ledger.rejected[name])
    desk.world.ledger.rejected[name] = json.dumps(kept | {"event": event()}).encode()
    [shown] = desk.listed()["events"]
    answer = desk.app.rejected.replay(shown["id"], by="api")
    assert answer["result"] == "recorded"
    assert desk.app.views.one(answer["keys"][0])["state"] == "saving"


@pytest.mark.parametrize(
    "identity",
    [
        "",
        "x",
        "../open/x",
        "20261122-not_json-0123456789abcdef",
        "poison-../../etc",
        "20261122/not_json-0123456789abcdef",
    ],
)
def test_an_id_that_is_not_kept_is_unknown(identity: str) -> None:
    with pytest.raises(RejectedEventUnknown):
        Desk("{").app.rejected.replay(identity, by="api")


def test_a_message_that_could_not_be_read_is_listed_and_not_replayed() -> None:
    desk = Desk()
    name = "poison/0f8fad5b-d9cb-469f-a165-70867728950e.json"
    desk.world.ledger.keep_rejected(name, b'{"reason": "poison", "message": "???"}')
    [shown] = desk.listed()["events"]
    assert (shown["id"], shown["code"], shown["event"]) == (name[:-5].replace("/", "-"), "poison", "???")
    with pytest.raises(NotReplayable):
        desk.app.rejected.replay(shown["id"], by="api")
