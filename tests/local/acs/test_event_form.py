"""The events: every form of the recording event, several events for one recording, and the event of a call."""

from __future__ import annotations

import dataclasses
import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from local.acs import FULL, SPARSE, AcsConfig, AcsEmulator, ChunkPlan, EndPlan, EventForm
from local.acs.__main__ import config_from, parser
from local.acs.event_form import DATA_FIELDS, form_from_json, form_json
from tests.local.acs import raw
from tests.local.acs.finished import Finished

if TYPE_CHECKING:
    from azure.storage.blob import ContainerClient

    from local.clock import Clock

Events = list[dict[str, Any]]
DEFAULT_HOST = "us-storage.asm.skype.com"


def chunks(event: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = event["data"]["recordingStorageInfo"]["recordingChunks"]
    return found


def published(acs: AcsEmulator, events: Events, form: EventForm, **more: Any) -> tuple[Finished, dict[str, Any]]:
    """A recording in the media store, and its event in this form."""
    finished = Finished.make(acs, plan=EndPlan(event_form=form), **more)
    return finished, events[-1]


def test_full_states_every_field(acs: AcsEmulator, events: Events) -> None:
    finished, event = published(acs, events, FULL)
    recording = finished.recording
    assert event["subject"].endswith(
        f"/serverCallId/{recording.call.server_call_id}/recordingId/{recording.recording_id}"
    )
    assert set(event["data"]) == set(DATA_FIELDS)
    assert chunks(event)[0]["deleteLocation"] == finished.chunk.delete_location


def test_sparse_leaves_out_what_the_documentation_leaves_out(acs: AcsEmulator, events: Events) -> None:
    finished, event = published(acs, events, SPARSE)
    call = finished.recording.call
    assert event["subject"] == f"/recording/call/{call.call_id}/serverCallId/{call.server_call_id}"
    assert set(event["data"]) == {
        "recordingStorageInfo",
        "recordingStartTime",
        "recordingDurationMs",
        "sessionEndReason",
    }
    assert chunks(event)[0]["deleteLocation"] == f"{finished.chunk.delete_location}/content/deletedata"


def test_the_default_is_sparse() -> None:
    assert AcsConfig().event == config_from(parser({}).parse_args([])).event == SPARSE


def test_the_ids_are_spelled_in_three_ways(acs: AcsEmulator, events: Events) -> None:
    for spelling, end in {"plain": "==", "escaped": "%3D%3D", "unpadded": ""}.items():
        finished, event = published(acs, events, EventForm(id_spelling=spelling))
        bare = finished.recording.recording_id.rstrip("=")
        assert event["data"]["recordingId"] == bare + end
        assert event["subject"].endswith(f"/recordingId/{bare}{end}")


def test_the_event_type_may_be_in_any_case_and_data_a_text(acs: AcsEmulator, events: Events) -> None:
    for case, start in {"documented": "Microsoft.Comm", "lower": "microsoft.comm", "upper": "MICROSOFT.COMM"}.items():
        finished, event = published(acs, events, EventForm(event_type_case=case, data_as_text=True))
        assert event["eventType"].startswith(start)
        assert json.loads(event["data"])["recordingId"] == finished.recording.recording_id


def test_fields_are_left_out_or_misstated(acs: AcsEmulator, events: Events) -> None:
    state = {
        "recordingFormatType": "Mp4",
        "contentLocation": None,
        "metadataLocation": "https://example.org/{documentId}/{index}",
        "eventTime": "2020-01-01T00:00:00Z",
    }
    omit = frozenset({"recordingDurationMs", "recordingContentType", "endReason", "deleteLocation", "dataVersion"})
    finished, event = published(acs, events, EventForm(omit=omit, state=tuple(state.items())))
    (chunk,) = chunks(event)
    assert not omit & {*event, *event["data"], *chunk}
    assert (event["data"]["recordingFormatType"], event["eventTime"]) == ("Mp4", state["eventTime"])
    assert chunk["contentLocation"] is None
    assert chunk["metadataLocation"] == f"https://example.org/{finished.chunk.document_id}/0"


def test_the_storage_type_is_any_documented_word_or_none(acs: AcsEmulator, events: Events) -> None:
    for word in (None, "AzureBlob", "acsstorage", "blobstorage", "azureBlobStorage"):
        event = published(acs, events, EventForm(storage_type_failed=word))[1]
        assert event["data"].get("storageType") == word


def test_the_content_location_may_name_a_blob_that_is_not_there(
    exporting: AcsEmulator, container: ContainerClient, events: Events
) -> None:
    plan = EndPlan(export="firewall", event_form=EventForm(content_location="missing-blob"))
    finished = Finished.make(exporting, plan=plan, container_url=container.url)
    (chunk,) = chunks(events[0])
    assert chunk["contentLocation"].startswith(f"{container.url}/")
    assert chunk["contentLocation"].endswith(".mp3")
    assert list(container.list_blob_names()) == []
    assert raw.media(exporting, chunk["metadataLocation"]).status == 200
    assert finished.get().status == 200, "the media are at ACS"


def test_urls_may_name_their_port(acs: AcsEmulator, events: Events) -> None:
    finished, event = published(acs, events, EventForm(with_port=True))
    (chunk,) = chunks(event)
    for name in ("contentLocation", "metadataLocation", "deleteLocation"):
        assert chunk[name].startswith(f"https://{DEFAULT_HOST}:443/v1/objects/")
    assert finished.get(url=chunk["contentLocation"]).body == finished.data


def test_exported_chunks_may_have_a_delete_location(
    exporting: AcsEmulator, container: ContainerClient, events: Events
) -> None:
    plan = EndPlan(event_form=EventForm(delete_location_exported=True))
    finished = Finished.make(exporting, plan=plan, container_url=container.url)
    assert chunks(events[0])[0]["deleteLocation"] == finished.chunk.delete_location


def test_an_event_may_name_chunks_that_never_were(acs: AcsEmulator, events: Events) -> None:
    _, event = published(acs, events, EventForm(invented_chunks=3))
    real, *invented = chunks(event)
    assert [chunk["index"] for chunk in (real, *invented)] == [0, 1, 2, 3]
    assert len({chunk["documentId"] for chunk in (real, *invented)}) == 4
    assert raw.media(acs, invented[0]["contentLocation"]).status == 404


def test_several_events_name_the_chunks_and_urls_of_one_recording_hours_apart(
    acs: AcsEmulator, events: Events, clock: Clock
) -> None:
    plan = EndPlan(chunks=(ChunkPlan(size=1000),) * 2, publish_event=False)
    finished = Finished.make(acs, plan=plan)
    wrong = {"state": {"contentLocation": f"https://{DEFAULT_HOST}/v1/objects/other/content/video"}}
    path = f"/recordings/{finished.recording.recording_id}/publish"
    for body in ({"chunks": [0], "eventForm": wrong}, {"chunks": [0]}, {"chunks": [1], "eventForm": "sparse"}):
        assert raw.control(acs, "POST", path, body).status == 200
        clock.advance(timedelta(hours=5))
    acs.publish_again(finished.recording.recording_id, chunks=frozenset({0, 1}), form=FULL)
    assert [[chunk["index"] for chunk in chunks(event)] for event in events] == [[0], [0], [1], [0, 1]]
    assert chunks(events[0])[0]["contentLocation"] != chunks(events[1])[0]["contentLocation"]
    assert len({event["id"] for event in events}) == 4
    assert len({event["eventTime"][:13] for event in events}) == 4


def test_a_recording_that_has_not_ended_has_no_event(acs: AcsEmulator) -> None:
    call = acs.create_call()
    recording_id = raw.control(acs, "POST", f"/calls/{call.call_id}/recordings").json["recordingId"]
    for action in ("publish", "late-export"):
        assert raw.control(acs, "POST", f"/recordings/{recording_id}/{action}", {}).status == 400


def test_a_form_that_makes_no_sense_is_refused(acs: AcsEmulator) -> None:
    path = f"/recordings/{Finished.make(acs).recording.recording_id}/publish"
    forms: list[Any] = ["odd", 5, {"surprise": 1}, {"idSpelling": "odd"}, {"omit": ["odd"]}, {"state": {"odd": 1}}]
    for form in (*forms, {"base": "odd"}, {"subject": "{odd}"}):
        assert raw.control(acs, "POST", "/calls", {"plan": {"eventForm": form}}).status == 400
        assert raw.control(acs, "POST", path, {"eventForm": form}).status == 400


def test_a_form_survives_json_and_changes_its_base() -> None:
    form = EventForm(omit=frozenset({"index"}), state=(("endReason", None),), with_port=True, invented_chunks=2)
    assert form_from_json(form_json(form), base=SPARSE) == form
    assert form_from_json({"withPort": True}, base=SPARSE) == dataclasses.replace(SPARSE, with_port=True)
    assert form_from_json({"base": "full", "withPort": True}, base=SPARSE) == EventForm(with_port=True)


def test_the_form_is_a_setting_a_flag_and_a_variable(events: Events) -> None:
    assert config_from(parser({}).parse_args(["--event-form", "sparse"])).event == SPARSE
    variables = {"ACS_EMULATOR_EVENT_FORM": '{"base": "full", "withPort": true}', "ACS_EMULATOR_NO_CALL_STARTED": "1"}
    config = config_from(parser(variables).parse_args([]))
    assert (config.event, config.call_started) == (EventForm(with_port=True), False)
    with AcsEmulator(AcsConfig(event=SPARSE, call_started=False), publish=events.append) as acs:
        Finished.make(acs)
        assert raw.control(acs, "GET", "/health").json["eventForm"] == form_json(SPARSE)
    assert "recordingId" not in events[0]["data"]


# The event of a call ----------------------------------------------------------------------------------------


@pytest.fixture
def calling(clock: Clock, events: Events) -> Any:
    with AcsEmulator(AcsConfig(), clock=clock, publish=events.append) as acs:
        yield acs


def test_a_call_that_begins_is_published_with_its_group_or_room(calling: AcsEmulator, events: Events) -> None:
    group = "6a1b2c3d-0000-4000-8000-000000000001"
    made = [
        calling.create_call(participants=("8:acs:a", "8:acs:b")),
        calling.create_call(group_call_id=group),
        calling.create_call(room_id="99400000000000000"),
    ]
    calling.wait_idle()
    found = {event["data"]["serverCallId"]: event for event in events}
    two, grouped, roomed = (found[call.server_call_id]["data"] for call in made)
    assert {event["eventType"] for event in events} == {"Microsoft.Communication.CallStarted"}
    assert set(two) == {"startedBy", "serverCallId", "correlationId", "isTwoParty", "isRoomsCall"}
    assert two["startedBy"]["communicationIdentifier"]["rawId"] == "8:acs:a"
    assert (two["isTwoParty"], two["correlationId"]) == (True, made[0].call_id)
    assert (grouped["group"], grouped["isTwoParty"], grouped["isRoomsCall"]) == ({"id": group}, False, False)
    assert (roomed["room"], roomed["isRoomsCall"]) == ({"id": "99400000000000000"}, True)
    assert found[made[0].server_call_id]["subject"] == f"call/{made[0].server_call_id}/startedBy/8:acs:a"


def test_a_call_begins_once_it_is_established(calling: AcsEmulator, events: Events) -> None:
    call_id = raw.control(calling, "POST", "/calls", {"state": "connecting"}).json["callId"]
    calling.wait_idle()
    assert events == []
    for _ in range(2):
        raw.control(calling, "POST", f"/calls/{call_id}/state", {"state": "established"})
    calling.wait_idle()
    assert [event["data"]["correlationId"] for event in events] == [call_id]
