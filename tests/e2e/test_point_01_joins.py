"""Point 1: whose recording an event is about. Started by any locator into a container that is not the default one, and
reported without its id, with its id spelt otherwise, or before the start was written down: rescued into *its*
container, under *its* one record, found by every id.
"""

from __future__ import annotations

import threading
import uuid
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from local.acs import SPARSE, EventForm
from local.acs.documents import call_started_event
from tests.e2e.support import ARCHIVE, Recorded, plan
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from local.acs.model import Call
    from tests.e2e.support import World

LOCATORS = {
    "serverCallId": "server_call_id",
    "groupCallId": "group_call_id",
    "roomId": "room_id",
    "callConnectionId": "call_connection_id",
}
FORMS = {
    "no recording id": SPARSE,
    "percent-encoded": EventForm(id_spelling="escaped"),
    "without padding": EventForm(id_spelling="unpadded"),
    "in the subject only": EventForm(omit=frozenset({"recordingId"}), id_spelling="escaped"),
}


def new_call(world: World, field: str) -> Call:
    """A call that has, besides its own ids, the one that `field` names."""
    ids: dict[str, str] = {}
    if field == "groupCallId":
        ids = {"group_call_id": str(uuid.uuid4())}
    elif field == "roomId":
        ids = {"room_id": f"9943{uuid.uuid4().int % 10**13:013}"}
    return world.stack.acs.create_call(**ids)


def started(world: World, call: Call, field: str) -> Recorded:
    answer = world.post({field: getattr(call, LOCATORS[field]), "containerUrl": world.url(ARCHIVE)})
    assert answer.status == 201, answer.body
    return Recorded(world, call, answer.json())


def assert_rescued_as_its_own(recorded: Recorded, *ids: str) -> dict[str, Any]:
    """Into its container, under its one record, found by every id; nothing of it anywhere else."""
    world, call = recorded.world, recorded.call
    story = recorded.whole()
    assert (story["state"], story["route"], story["key"]) == ("complete", "rescued", recorded.key)
    assert story["containerUrl"] == world.url(ARCHIVE)
    assert story["chunks"][0]["blob"].startswith(world.url(ARCHIVE) + "/")
    assert not [name for name in world.names("recordings") if call.call_id in name or recorded.key in name]
    known = (recorded.key, recorded.id, recorded.id.rstrip("="), call.call_id, call.server_call_id, *ids)
    for identity in known:
        found = world.get(f"/api/recordings/{quote(identity, safe='')}")
        assert (found.status, found.json().get("key")) == (200, recorded.key), identity
    return story


@pytest.mark.parametrize("form", FORMS.values(), ids=list(FORMS))
@pytest.mark.parametrize("field", LOCATORS)
def test_by_every_locator_and_every_form_of_the_event(world: World, field: str, form: EventForm) -> None:
    call = new_call(world, field)
    recorded = started(world, call, field)
    recorded.end(plan(40_000, export="firewall", event_form=form))
    story = assert_rescued_as_its_own(recorded, getattr(call, LOCATORS[field]))
    assert story["links"] == []
    assert "event_unmatched" not in {entry["kind"] for entry in story["timeline"]}


@pytest.mark.parametrize("field", ["serverCallId", "callConnectionId"])
@pytest.mark.parametrize("form", [SPARSE, FORMS["percent-encoded"]], ids=["sparse", "percent-encoded"])
def test_an_event_that_comes_before_the_start_is_written_down(world: World, field: str, form: EventForm) -> None:
    """ACS records, and its answer takes four seconds: the call is over, and reported, before."""
    call = new_call(world, field)
    world.stack.acs.add_fault(kind="late-answer", operation="start", seconds=4)
    answers: list[Recorded] = []
    starting = threading.Thread(target=lambda: answers.append(started(world, call, field)))
    starting.start()
    recordings = world.stack.acs.resource.recordings
    real = eventually(lambda: [one for one in recordings() if one.call.call_id == call.call_id])[0]
    world.stack.acs.end_call(call.call_id, plan=plan(40_000, export="firewall", event_form=form))
    world.stack.acs.wait_idle()
    assert world.stack.eventgrid.wait_idle(20)
    assert starting.is_alive(), "the start was answered before the event"
    starting.join()
    [recorded] = answers
    assert recorded.id == real.recording_id
    assert_rescued_as_its_own(recorded)


@pytest.mark.parametrize("field", ["groupCallId", "roomId"])
def test_without_call_started_both_records_say_so_and_are_linked_once_the_pair_is_known(
    world: World, field: str
) -> None:
    """Nothing joins a group or a room to the call's ids but that event: rescued to the default container."""
    world.stack.eventgrid.unsubscribe("recordings")
    call = new_call(world, field)
    recorded = started(world, call, field)
    world.stack.acs.wait_idle()
    assert world.stack.eventgrid.wait_idle(20)
    world.stack.services.subscribe(world.stack.host_url)
    recorded.end(plan(40_000, export="firewall", event_form=SPARSE))
    path = f"/api/recordings/{quote(call.server_call_id, safe='')}"
    other = eventually(lambda: _closed(world, path), what="the rescue of what cannot be joined")
    assert other["key"] != recorded.key
    assert (other["containerUrl"], other["route"]) == (world.url("recordings"), "rescued")
    assert other["chunks"][0]["sha256"] == world.stack.acs.truth(recorded.id)["chunks"][0]["sha256"]
    assert "event_unmatched" in _kinds(other)
    assert (other["links"], recorded.story()["links"]) == ([], [])
    assert world.deliver(call_started_event(call, now=world.stack.clock.now())) == 202
    assert eventually(lambda: recorded.story()["links"]) == [other["key"]]
    assert world.get(path).json()["links"] == [recorded.key]
    assert "linked" in _kinds(recorded.story())
    assert "linked" in _kinds(world.get(path).json())


def _closed(world: World, path: str) -> dict[str, Any] | None:
    answer = world.get(path)
    story: dict[str, Any] = answer.json()
    return story if answer.status == 200 and story.get("closedAt") and "nextDueAt" not in story else None


def _kinds(story: dict[str, Any]) -> set[str]:
    return {entry["kind"] for entry in story["timeline"]}
