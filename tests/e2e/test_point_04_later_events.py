"""Point 4: a second event hours later with another chunk, or with the true URL: that chunk has its own 24 h and its
true source. A forged or wrong first event costs no genuine chunk anything.
"""

from __future__ import annotations

import copy
import uuid
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
from azure.communication.callautomation import AzureBlobContainerRecordingStorage, CallAutomationClient

from local.acs import EventForm
from local.acs.documents import file_status_event, moment
from local.acs.transport import EmulatorTransport
from tests.e2e.support import Recorded, plan
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.support import World

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
MEDIA = "https://us-storage.asm.skype.com/v1/objects"


def ended(world: World, *sizes: int) -> Recorded:
    """A recording whose export failed, and of which no event is out yet."""
    recorded = world.start()
    recorded.end(plan(*sizes, export="firewall", publish_event=False))
    world.stack.acs.wait_idle()
    return recorded


def event_of(recorded: Recorded, *indexes: int, ago: timedelta = timedelta(0)) -> dict[str, Any]:
    """The true event about these chunks; `ago`: it is of a recording that ended so long ago."""
    recording = recorded.world.stack.acs.resource.find(recorded.id)
    now = recorded.world.stack.clock.now() - ago
    event = file_status_event(recording, now=now, form=EventForm(), chunks=frozenset(indexes))
    made = copy.deepcopy(event) | {"id": str(uuid.uuid4())}
    made["data"]["recordingStartTime"] = moment(recording.started_at - ago)
    return made


def at_risk_from(chunk: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(chunk["atRiskFrom"])


def test_a_chunk_of_a_later_event_has_its_own_window_and_is_rescued(world: World) -> None:
    """Of a recording that another program started: the first event says that it ended five hours ago."""
    acs = world.stack.acs
    call = acs.create_call()
    storage = AzureBlobContainerRecordingStorage(world.url("recordings"))
    with CallAutomationClient.from_connection_string(
        acs.connection_string, transport=EmulatorTransport(acs.origin)
    ) as other:
        recording_id = str(
            other.start_recording(server_call_id=call.server_call_id, recording_storage=storage).recording_id
        )
    acs.end_call(call.call_id, plan=plan(30_000, 50_000, export="firewall", publish_event=False))
    acs.wait_idle()
    fault = acs.add_fault(kind="status", status=404, operation="media", recording_id=recording_id)
    recorded = Recorded(world, call, {"recordingId": recording_id, "key": ""})
    assert world.deliver(event_of(recorded, 0, ago=5 * HOUR)) == 202
    key = eventually(lambda: world.get(f"/api/recordings/{quote(recording_id, safe='')}").json().get("key"))
    recorded = Recorded(world, call, {"recordingId": recording_id, "key": key})
    eventually(lambda: recorded.story()["attempts"])
    assert world.deliver(event_of(recorded, 1)) == 202
    eventually(lambda: len(recorded.story()["chunks"]) == 2)
    first, second = recorded.story()["chunks"]
    assert abs(at_risk_from(second) - at_risk_from(first) - 5 * HOUR) < MINUTE
    now = world.stack.clock.now()
    assert now + 23.9 * HOUR < at_risk_from(second) <= now + 24 * HOUR
    assert datetime.fromisoformat(second["abandonAfter"]) > now + 24.9 * HOUR
    acs.faults.remove(fault.fault_id)
    assert recorded.whole()["chunkStates"] == {"rescued": 2}


def test_a_chunk_that_is_told_of_after_the_close_is_rescued_beside_the_first(world: World) -> None:
    recorded = ended(world, 30_000, 50_000)
    assert world.deliver(event_of(recorded, 0)) == 202
    eventually(lambda: recorded.story().get("closedAt"))
    assert world.deliver(event_of(recorded, 0, 1)) == 202
    eventually(lambda: len(recorded.story()["chunks"]) == 2)
    story = recorded.whole()
    assert story["chunkStates"] == {"rescued": 2}
    assert len({one["blob"].rpartition("/")[0] for one in story["chunks"]}) == 1
    assert [one["index"] for one in recorded.manifest()["chunks"]] == [0, 1]


def test_the_true_url_comes_with_a_second_event(world: World) -> None:
    recorded = ended(world, 40_000)
    wrong = event_of(recorded, 0)
    [chunk] = wrong["data"]["recordingStorageInfo"]["recordingChunks"]
    host = "https://eu-storage.asm.skype.com/v1/objects"
    for name in ("contentLocation", "metadataLocation", "deleteLocation"):
        chunk[name] = chunk[name].replace(MEDIA, f"{host}/gone")
    assert world.deliver(wrong) == 202
    eventually(lambda: recorded.story()["attempts"])
    assert recorded.chunk()["state"] == "pending"
    assert world.deliver(event_of(recorded, 0)) == 202
    assert recorded.whole()["route"] == "rescued"


def _of_another_document(chunk: dict[str, Any], data: dict[str, Any]) -> None:
    for name in ("contentLocation", "metadataLocation", "deleteLocation"):
        chunk[name] = f"{MEDIA}/0-eus-d1-{uuid.uuid4().hex}/content/video"


def _of_another_host(chunk: dict[str, Any], data: dict[str, Any]) -> None:
    for name in ("contentLocation", "metadataLocation", "deleteLocation"):
        chunk[name] = chunk[name].replace("asm.skype.com", "asm.skype.com.evil.example")


def _of_long_ago(chunk: dict[str, Any], data: dict[str, Any]) -> None:
    data |= {"recordingStartTime": "2001-01-01T00:00:00Z", "recordingDurationMs": 1}


def _of_another_format(chunk: dict[str, Any], data: dict[str, Any]) -> None:
    data |= {"recordingFormatType": "Mp4", "recordingContentType": "AudioVideo"}


def _without_locations(chunk: dict[str, Any], data: dict[str, Any]) -> None:
    for name in ("contentLocation", "metadataLocation", "deleteLocation"):
        del chunk[name]


def _as_exported(chunk: dict[str, Any], data: dict[str, Any]) -> None:
    base = data.pop("container")
    chunk["contentLocation"] = f"{base}/20261122/forged/guid/0-audiomp3.mp3"
    chunk["metadataLocation"] = f"{base}/20261122/forged/guid/0-acsmetadata.json"
    del chunk["deleteLocation"]


FORGERIES: dict[str, Callable[[dict[str, Any], dict[str, Any]], None]] = {
    "of another document": _of_another_document,
    "of another host": _of_another_host,
    "of long ago": _of_long_ago,
    "of another format": _of_another_format,
    "without locations": _without_locations,
    "as if exported": _as_exported,
}


@pytest.mark.parametrize("forge", FORGERIES.values(), ids=list(FORGERIES))
def test_a_forged_first_event_costs_the_genuine_chunk_nothing(
    world: World, forge: Callable[[dict[str, Any], dict[str, Any]], None]
) -> None:
    """It names the recording and its chunk; invented chunks beside it. Then the true event comes."""
    recorded = ended(world, 40_000)
    forged = event_of(recorded, 0)
    data = forged["data"] | {"container": world.url("recordings")}
    chunks = data["recordingStorageInfo"]["recordingChunks"]
    invented = [
        copy.deepcopy(chunks[0]) | {"documentId": f"0-eus-d1-{number:032x}", "index": number} for number in (1, 2)
    ]
    forge(chunks[0], data)
    data.pop("container", None)
    chunks += invented
    forged["data"] = data
    assert world.deliver(forged) == 202
    eventually(lambda: len(recorded.story()["chunks"]) == 3)
    assert world.deliver(event_of(recorded, 0)) == 202
    genuine = eventually(lambda: _done(recorded), what="the rescue of the genuine chunk")
    real = world.stack.acs.truth(recorded.id)["chunks"][0]
    assert (genuine["sha256"], genuine["size"]) == (real["sha256"], 40_000)
    assert genuine["blob"].endswith(".mp3")
    assert genuine["metadata"] == "saved"


def _done(recorded: Recorded) -> dict[str, Any] | None:
    chunk = recorded.chunk(0)
    return chunk if chunk["state"] == "rescued" and chunk["metadata"] != "pending" else None
