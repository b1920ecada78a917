"""What Event Grid does to events, and what else may arrive at the webhook."""

from __future__ import annotations

import copy
import json
import uuid
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from azure.communication.callautomation import AzureBlobContainerRecordingStorage, CallAutomationClient

from local.acs import FULL, EventForm
from local.acs.documents import file_status_event
from local.acs.transport import EmulatorTransport
from local.eventgrid import Subscription
from local.eventgrid.schema import CLOUD_EVENTS
from tests.e2e.support import EVENT_FUNCTION, Recorded, plan
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from tests.e2e.support import World


def _event(recorded: Recorded) -> dict[str, Any]:
    """The event of an ended recording as it stands, never published."""
    recording = recorded.world.stack.acs.resource.find(recorded.id)
    now = recorded.world.stack.clock.now()
    event = file_status_event(recording, now=now, form=EventForm())
    return copy.deepcopy(event) | {"id": str(uuid.uuid4())}


def _rejected(world: World) -> list[dict[str, Any]]:
    client = world.blobs.get_container_client("rejected-events")
    return [json.loads(client.download_blob(name).readall()) for name in world.names("rejected-events")]


def test_duplicate_events_change_nothing(world: World) -> None:
    """Four deliveries of one event at once, and one more when all is done: one rescue, one blob, one manifest."""
    recorded = world.start()
    recorded.end(plan(2_200_000, 40_000, export="firewall", duplicate_events=3))
    story = recorded.whole()
    event = world.stack.acs.truth(recorded.id)["events"][0]
    assert world.stack.eventgrid.redeliver(event["id"])
    world.stack.acs.publish_again(recorded.id)
    assert world.stack.eventgrid.wait_idle(20)
    assert recorded.whole() == story


def test_an_event_that_comes_late_and_out_of_order_changes_nothing(world: World) -> None:
    """The news of an export overtakes the older event that knew of none."""
    recorded = world.start()
    recorded.end(plan(800_000, export="service-outage", publish_event=False))
    world.stack.acs.wait_idle()
    older = _event(recorded)
    world.stack.acs.late_export(recorded.id, event=True)
    story = recorded.whole()
    assert story["route"] == "exported"
    world.stack.eventgrid.publish(older)
    assert world.stack.eventgrid.wait_idle(20)
    after = recorded.whole()
    assert after["chunks"] == story["chunks"]
    assert (after["state"], after["closedAt"]) == (story["state"], story["closedAt"])


def test_the_cloud_events_schema_is_understood(world: World) -> None:
    """A subscription in the CloudEvents schema does the same as one in Event Grid's."""
    endpoint = f"{world.stack.host_url}/runtime/webhooks/EventGrid?functionName={EVENT_FUNCTION}"
    recorded = world.start()
    world.stack.eventgrid.unsubscribe("recordings")
    try:
        world.stack.eventgrid.subscribe(Subscription("cloud", endpoint, schema=CLOUD_EVENTS))
        recorded.end(plan(700_000, export="firewall"))
        story = recorded.whole()
        assert story["route"] == "rescued"
        ended = datetime.fromisoformat(world.stack.acs.truth(recorded.id)["endedAt"])
        [reported] = [entry for entry in story["timeline"] if entry["kind"] == "reported"]
        assert ended <= datetime.fromisoformat(reported["at"])
    finally:
        world.stack.eventgrid.unsubscribe("cloud")
        world.stack.services.subscribe(world.stack.host_url)


def test_a_recording_that_was_not_started_here_is_saved_too(world: World) -> None:
    """Started by another program: unknown until its event comes, then saved in the default container."""
    acs = world.stack.acs
    call = acs.create_call()
    storage = AzureBlobContainerRecordingStorage(world.url("recordings"))
    transport = EmulatorTransport(acs.origin)
    with CallAutomationClient.from_connection_string(acs.connection_string, transport=transport) as other:
        started = other.start_recording(server_call_id=call.server_call_id, recording_storage=storage)
    recording_id = str(started.recording_id)
    path = f"/api/recordings/{quote(recording_id, safe='')}"
    assert world.get(path).status == 404
    acs.end_call(call.call_id, plan=plan(20_000, export="firewall", event_form=FULL))
    key = eventually(lambda: world.get(path).json().get("key"))
    recorded = Recorded(world, call, {"recordingId": recording_id, "key": key})
    story = recorded.whole()
    assert (story["route"], story["containerUrl"]) == ("rescued", world.url("recordings"))


def test_events_of_other_kinds_are_acknowledged_and_noted(world: World) -> None:
    """They are nobody's fault: 202, a line in the log, nothing kept."""
    before = len(_rejected(world))
    event = {
        "id": "foreign-1",
        "subject": "/something/else",
        "eventType": "Microsoft.Communication.CallEnded",
        "eventTime": "2026-11-22T00:00:00Z",
        "dataVersion": "1.0",
        "data": {},
    }
    assert world.deliver(event) == 202
    assert world.logged("event.ignored", type="Microsoft.Communication.CallEnded", id="foreign-1")
    assert len(_rejected(world)) == before


def test_an_event_that_cannot_be_read_is_kept_as_it_came(world: World) -> None:
    """Acknowledged, so that it does not come for ever, and kept with the reason, so that it is not lost."""
    recorded = world.start()
    recorded.end(plan(1_000, publish_event=False))
    world.stack.acs.wait_idle()
    event = _event(recorded)
    event["data"]["recordingStorageInfo"] = {"recordingChunks": []}
    assert world.deliver(event) == 202
    kept = [one for one in _rejected(world) if json.loads(one["event"])["id"] == event["id"]]
    assert [one["reason"] for one in kept] == ["no_chunks"]
    assert json.loads(kept[0]["event"]) == event
    assert recorded.story()["chunks"] == []


def test_a_forged_location_is_never_asked(world: World) -> None:
    """A host that is not ACS's: an attempt looks for the export in the container only, and an alert is raised."""
    recorded = world.start()
    recorded.end(plan(1_000, publish_event=False, export="firewall"))
    world.stack.acs.wait_idle()
    event = _event(recorded)
    chunk = event["data"]["recordingStorageInfo"]["recordingChunks"][0]
    for name in ("contentLocation", "metadataLocation", "deleteLocation"):
        chunk[name] = chunk[name].replace("us-storage.asm.skype.com", "us-storage.asm.skype.com.evil.example")
    assert world.deliver(event) == 202
    eventually(lambda: "location_foreign" in recorded.story()["alerts"])
    eventually(lambda: recorded.story()["attempts"])
    chunk = recorded.chunk()
    assert (chunk["state"], chunk["lastError"]["code"]) == ("pending", "media_location_refused")
    # The true event of the same recording comes, and all is well.
    world.stack.acs.publish_again(recorded.id)
    assert recorded.whole()["state"] == "complete"
