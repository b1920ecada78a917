"""Whose recording an event is about: found by every id, however it is spelt, and whenever it comes."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import pytest

from shared.domain.errors import StorageUnavailable
from shared.domain.locations import ContainerUrl
from shared.domain.recording import ChunkState
from tests.support.fakes import ACCOUNT, CONTAINER, NOON, settings
from tests.unit.rig import HOUR, Rig, event

OTHER = ContainerUrl.parse(f"{ACCOUNT}/others/team")


class JoinRig(Rig):
    """Two containers; recordings are started into the one that is not the default."""

    def __init__(self) -> None:
        super().__init__(given=settings(places=(CONTAINER, OTHER)))
        self.acs.calls |= {"server-1", "group-1", "room-1", "connection-1"}
        self.acs.connections["connection-1"] = "server-1"

    def start(self, **locator: str) -> dict[str, Any]:
        return self.process.start.start(locator | {"containerUrl": str(OTHER)}, idempotency_key=None).answer

    def call_started(self, **ids: str) -> None:
        data = {"serverCallId": "server-1"} | {name: {"id": value} for name, value in ids.items()}
        self.receive(
            json.dumps(
                {
                    "id": "c1",
                    "subject": "/call",
                    "eventType": "microsoft.communication.CALLSTARTED",
                    "eventTime": "2026-11-22T11:00:00Z",
                    "data": json.dumps(data),
                }
            )
        )


NO_ID = "/recording/call/call-1/serverCallId/server-1"


@pytest.fixture
def rig() -> JoinRig:
    made = JoinRig()
    made.put_media()
    return made


def assert_rescued_under(rig: JoinRig, started: dict[str, Any], *ids: str) -> None:
    """Into its container, under its one record, found by every id."""
    assert rig.key == started["key"]
    assert rig.state() is ChunkState.RESCUED
    assert all(name.startswith("team/") for name in rig.containers.at(OTHER).blobs)
    assert rig.containers.at(OTHER).blobs
    assert not rig.destination.blobs
    for identity in (started["key"], started["recordingId"], *ids):
        assert rig.process.views.one(identity)["key"] == started["key"]
    rig.assert_at_rest()


@pytest.mark.parametrize(
    "spelt", [lambda raw: raw, quote, lambda raw: raw.rstrip("="), lambda raw: quote(quote(raw, safe=""), safe="")]
)
def test_by_the_recordings_id_however_it_is_spelt(rig: JoinRig, spelt: Any) -> None:
    started = rig.start(serverCallId="server-1")
    rig.receive(event(subject=f"/recording/call/call-1/recordingId/{spelt(started['recordingId'])}"))
    rig.run()
    assert_rescued_under(rig, started, "server-1", "call-1")


@pytest.mark.parametrize("locator", [{"serverCallId": "server-1"}, {"callConnectionId": "connection-1"}])
def test_by_the_call_where_the_event_names_no_recording(rig: JoinRig, locator: dict[str, str]) -> None:
    started = rig.start(**locator)
    rig.receive(event(subject=NO_ID))
    rig.run()
    assert_rescued_under(rig, started, *locator.values(), "server-1")


@pytest.mark.parametrize(("locator", "kind"), [({"groupCallId": "group-1"}, "group"), ({"roomId": "room-1"}, "room")])
def test_by_the_group_or_room_that_the_call_is_of(rig: JoinRig, locator: dict[str, str], kind: str) -> None:
    [identity] = locator.values()
    rig.call_started(**{kind: identity})
    started = rig.start(**locator)
    rig.receive(event(subject=NO_ID))
    rig.run()
    assert_rescued_under(rig, started, identity, "server-1")


def test_before_the_start_was_written_down(rig: JoinRig) -> None:
    """ACS's answer came, and the ledger failed: the intent leads to the container."""
    original = rig.ledger.save

    def failing(*_: Any, **__: Any) -> str:
        raise StorageUnavailable("500")

    rig.ledger.save = failing  # type: ignore[method-assign]  # the ledger fails after the intent
    started = rig.start(serverCallId="server-1")
    rig.ledger.save = original  # type: ignore[method-assign]  # and works again
    assert "warnings" in started
    rig.receive(event(subject=f"{NO_ID}/recordingId/{started['recordingId']}"))
    rig.run()
    assert_rescued_under(rig, started, "server-1")


@pytest.mark.parametrize("locator", [{"serverCallId": "server-1"}, {"callConnectionId": "connection-1"}])
def test_before_acs_has_answered_the_start(rig: JoinRig, locator: dict[str, str]) -> None:
    """The event names the call alone; of a connection the server call id was known only after the answer."""
    original = rig.acs.start_recording

    def answering_late(*arguments: Any, **named: Any) -> Any:
        answer = original(*arguments, **named)
        rig.receive(event(subject=NO_ID))
        return answer

    rig.acs.start_recording = answering_late  # type: ignore[method-assign]  # the event is faster than the answer
    started = rig.start(**locator)
    rig.run()
    assert_rescued_under(rig, started, *locator.values(), "server-1")


def test_a_connection_that_names_its_call_only_later_is_asked_again(rig: JoinRig) -> None:
    del rig.acs.connections["connection-1"]
    original = rig.acs.start_recording

    def then_known(*arguments: Any, **named: Any) -> Any:
        rig.acs.connections["connection-1"] = "server-1"
        return original(*arguments, **named)

    rig.acs.start_recording = then_known  # type: ignore[method-assign]  # known with the answer
    started = rig.start(callConnectionId="connection-1")
    rig.receive(event(subject=NO_ID))
    rig.run()
    assert_rescued_under(rig, started, "connection-1", "server-1")


def test_what_cannot_be_joined_is_rescued_and_linked_when_the_pair_is_known(rig: JoinRig) -> None:
    started = rig.start(groupCallId="group-1")
    rig.receive(event(subject=NO_ID))
    rig.run()
    [unmatched] = {*rig.ledger.open, *rig.ledger.closed} - {started["key"]}
    assert rig.destination.blobs
    assert "event_unmatched" in [entry.kind for entry in rig.ledger.recording(unmatched).timeline]
    rig.call_started(group="group-1")
    assert rig.ledger.recording(started["key"]).links == (unmatched,)
    assert rig.ledger.recording(unmatched).links == (started["key"],)


def test_a_start_that_no_event_follows_is_an_alert_and_ends(rig: JoinRig) -> None:
    started = rig.start(serverCallId="server-1")
    rig.live(5 * HOUR)
    assert rig.notifier.names == []
    assert "still_recording" in rig.kinds
    rig.acs.states[started["recordingId"]] = "inactive"
    rig.live(20 * HOUR)
    assert rig.notifier.names == ["event_overdue"]
    rig.live(60 * HOUR)
    assert rig.notifier.names == ["event_overdue", "no_event"]
    assert rig.process.views.one(started["key"])["state"] == "no_event"
    rig.assert_at_rest()


def test_an_event_after_all_that_opens_it_again(rig: JoinRig) -> None:
    started = rig.start(serverCallId="server-1")
    rig.acs.states[started["recordingId"]] = "inactive"
    rig.live(90 * HOUR)
    rig.assert_at_rest()
    rig.receive(event(subject=f"{NO_ID}/recordingId/{started['recordingId']}", at=rig.clock.now()))
    rig.run()
    assert_rescued_under(rig, started)


def test_a_start_that_acs_refuses_leaves_nothing(rig: JoinRig) -> None:
    with pytest.raises(Exception, match="no such call"):
        rig.start(serverCallId="unknown")
    assert not rig.ledger.open
    assert not rig.ledger.index


def test_deadline_warnings_come_once_a_threshold(rig: JoinRig) -> None:
    rig.drop_media()
    rig.receive(event(at=NOON))
    rig.live(24 * HOUR)
    codes = [alert.code for name, _, alert in rig.notifier.alerts if name == "deadline"]
    assert codes == ["6h", "1h"]
