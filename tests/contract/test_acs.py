"""Port `Acs`: starting with every locator and option, the same id giving the same recording, and each error code."""

from __future__ import annotations

import json
import uuid
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from shared.domain import errors as e
from tests.contract.scripted import Answer, Asked, Scripted
from tests.contract.sides import RealSide, request
from tests.support.acs_codes import SERVICE_CODES

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.acs import AcsEmulator
    from local.azurite import Azurite
    from shared.ports import StartedRecording
    from tests.contract.sides import Side

LOCATORS = ("serverCallId", "groupCallId", "roomId", "callConnectionId")


def start(side: Side, repeatability_id: str | None = None, **fields: Any) -> StartedRecording:
    return side.ports.acs.start_recording(
        request(side, **fields), container=side.place, repeatability_id=repeatability_id or str(uuid.uuid4())
    )


@pytest.mark.parametrize("locator", LOCATORS)
def test_a_call_can_be_recorded_by_any_of_its_ids(side: Side, locator: str) -> None:
    started = start(side, **{locator: side.call()[locator]})
    assert started.recording_id.startswith("eyJQbGF0")
    assert started.state == "active"
    assert (started.kind or "").lower() == "azurecommunicationservices"
    assert side.ports.acs.recording_state(started.recording_id) == "active"


def test_a_recording_is_inactive_when_its_call_has_ended(side: Side) -> None:
    started = start(side, serverCallId=side.call()["serverCallId"])
    side.end(started.recording_id)
    assert side.ports.acs.recording_state(started.recording_id) == "inactive"


def test_the_same_repeatability_id_gives_the_same_recording(side: Side) -> None:
    """A start whose answer was lost can be sent again."""
    call, same = side.call()["serverCallId"], str(uuid.uuid4())
    first = start(side, same, serverCallId=call)
    assert start(side, same, serverCallId=call) == first
    assert start(side, serverCallId=side.call()["serverCallId"]).recording_id != first.recording_id


def test_a_call_that_is_recorded_is_not_recorded_twice(side: Side) -> None:
    call = side.call()["serverCallId"]
    start(side, serverCallId=call)
    with pytest.raises(e.RecordingInProgress) as caught:
        start(side, serverCallId=call)
    assert (caught.value.status, caught.value.service_code) == (400, "8553")


@pytest.mark.parametrize("locator", LOCATORS)
def test_a_call_that_is_not_known_is_told(side: Side, locator: str) -> None:
    with pytest.raises(e.CallNotFound) as caught:
        start(side, **{locator: str(uuid.uuid4())})
    assert (caught.value.status, caught.value.service_code) == (404, "8522")


def test_a_recording_that_is_not_known_is_told(side: Side) -> None:
    known = start(side, serverCallId=side.call()["serverCallId"]).recording_id
    with pytest.raises(e.RecordingNotFound) as caught:
        side.ports.acs.recording_state(known[:-8] + "AAAAAAA=")
    assert caught.value.status == 404


def test_a_recording_is_paused_resumed_and_stopped(side: Side) -> None:
    acs = side.ports.acs
    running = start(side, serverCallId=side.call()["serverCallId"]).recording_id
    acs.pause_recording(running)
    assert acs.recording_state(running) == "inactive"
    acs.resume_recording(running)
    assert acs.recording_state(running) == "active"
    acs.stop_recording(running)
    assert acs.recording_state(running) == "inactive"


def test_what_a_recording_cannot_do_now_is_told(side: Side) -> None:
    acs = side.ports.acs
    running = start(side, serverCallId=side.call()["serverCallId"]).recording_id
    with pytest.raises(e.ActionNotAllowed):
        acs.resume_recording(running)
    acs.pause_recording(running)
    with pytest.raises(e.ActionNotAllowed) as caught:
        acs.pause_recording(running)
    assert (caught.value.status, caught.value.service_code) == (400, "8573")


@pytest.mark.parametrize("verb", ["stop_recording", "pause_recording", "resume_recording"])
def test_a_recording_that_has_ended_is_not_found(side: Side, verb: str) -> None:
    ended = start(side, serverCallId=side.call()["serverCallId"]).recording_id
    side.ports.acs.stop_recording(ended)
    for recording_id in (ended, ended[:-8] + "AAAAAAA="):
        with pytest.raises(e.RecordingNotFound):
            getattr(side.ports.acs, verb)(recording_id)


# --- what only a server shows


def test_the_place_in_the_container_reaches_acs(real: RealSide) -> None:
    started = start(real, serverCallId=real.call()["serverCallId"])
    assert real.acs.resource.find(started.recording_id).request.container_url == str(real.place)


@pytest.mark.parametrize(
    ("content", "channel", "form"),
    [("audio", "mixed", "mp3"), ("audio", "mixed", "wav"), ("audio", "unmixed", "wav"), ("audioVideo", "mixed", "mp4")],
)
def test_every_kind_of_recording_can_be_started(real: RealSide, content: str, channel: str, form: str) -> None:
    call = real.call()["serverCallId"]
    kind = {"recordingContent": content, "recordingChannel": channel, "recordingFormat": form}
    reported = real.acs.resource.find(start(real, serverCallId=call, **kind).recording_id).request
    assert (reported.content, reported.channel, reported.format) == (content, channel, form)


CODES: list[tuple[int, str, type[e.AcsError]]] = [
    *SERVICE_CODES,
    (503, "x", e.AcsUnavailable),
    (504, "x", e.AcsTimeout),
    (408, "x", e.AcsTimeout),
    (418, "x", e.AcsError),
]


@pytest.mark.parametrize("operation", ["start", "get"])
@pytest.mark.parametrize(("status", "code", "kind"), CODES)
def test_each_code_of_the_service_has_its_error(
    real: RealSide, operation: str, status: int, code: str, kind: type[e.AcsError]
) -> None:
    """Reported once, with status and code as the service has them; its Retry-After goes on."""
    fault = real.acs.add_fault(operation=operation, kind="status", status=status, code=code, retry_after="9")
    asked: dict[str, Callable[[], object]] = {
        "start": lambda: start(real, serverCallId="any"),
        "get": lambda: real.ports.acs.recording_state("any"),
    }
    with pytest.raises(e.AcsError) as caught:
        asked[operation]()
    assert type(caught.value) is (e.RecordingNotFound if (operation, code) == ("get", "8522") else kind)
    assert (caught.value.status, caught.value.service_code) == (status, code)
    assert caught.value.retry_after == timedelta(seconds=9)
    [reported] = [one for one in real.acs.faults.listing() if one["faultId"] == fault.fault_id]
    assert reported["struck"] == 1


@pytest.mark.parametrize("kind", ["drop", "lost-answer"])
def test_no_answer_is_acs_not_available(real: RealSide, kind: str) -> None:
    """Whether it started or not is not known; the same repeatability id finds out."""
    call, same = real.call()["serverCallId"], str(uuid.uuid4())
    real.acs.add_fault(operation="start", kind=kind, count=1)
    with pytest.raises(e.AcsUnavailable):
        start(real, same, serverCallId=call)
    assert start(real, same, serverCallId=call).state == "active"


@pytest.mark.parametrize(("kind", "expected"), [("html400", e.AcsInvalidArgument), ("401", e.AcsUnauthorized)])
def test_a_page_in_place_of_an_error_is_read_by_its_status(
    real: RealSide, kind: str, expected: type[e.AcsError]
) -> None:
    real.acs.add_fault(operation="start", kind=kind)
    with pytest.raises(e.AcsError) as caught:
        start(real, serverCallId="any")
    assert type(caught.value) is expected


STARTED = {"recordingId": "eyJQbGF0eA==", "recordingState": "active", "recordingKind": "azureCommunicationServices"}


def _scripted_start(azurite: Azurite, acs: AcsEmulator, answer: dict[str, Any], **fields: Any) -> tuple[Any, Asked]:
    """What came of a start at a service that answers this; and how it was asked."""

    def always(_: Asked) -> Answer:
        return Answer(200, json.dumps(answer).encode(), {"Content-Type": "application/json"})

    with Scripted(always) as server:
        side = RealSide(azurite, acs, changes={"LOCAL_ACS_ORIGIN": server.origin})
        try:
            started = start(side, "00000000-0000-0000-0000-00000000000a", **fields)
        except e.AcsError as error:
            return error, server.asked[0]
        finally:
            side.close()
    return started, server.asked[0]


def test_every_option_is_told_to_acs_in_its_own_words(azurite: Azurite, acs: AcsEmulator) -> None:
    """Participants by the kind that their raw id tells."""
    raw = ["8:acs:r_u", "4:+15551234", "8:orgid:o", "28:bot"]
    _, asked = _scripted_start(
        azurite,
        acs,
        STARTED,
        callConnectionId="connection",
        recordingChannel="unmixed",
        pauseOnStart=True,
        recordingStateCallbackUrl="https://example.com/state",
        audioChannelParticipantOrdering=raw,
        channelAffinity=[{"participant": raw[0], "channel": 3}],
    )
    body = json.loads(asked.body)
    assert body["callConnectionId"] == "connection"
    assert body["pauseOnStart"] is True
    assert body["recordingStateCallbackUri"] == "https://example.com/state"
    assert [one["rawId"] for one in body["audioChannelParticipantOrdering"]] == raw
    first, second, third, _ = body["audioChannelParticipantOrdering"]
    assert first["communicationUser"] == {"id": "8:acs:r_u"}
    assert second["phoneNumber"]["value"] == "+15551234"
    assert third["microsoftTeamsUser"]["userId"] == "o"
    [affinity] = body["channelAffinity"]
    assert (affinity["channel"], affinity["participant"]["rawId"]) == (3, raw[0])
    assert body["externalStorage"]["recordingStorageKind"] == "azureBlobStorage"
    assert asked.headers["repeatability-request-id"] == "00000000-0000-0000-0000-00000000000a"
    assert asked.headers["repeatability-first-sent"].endswith(" GMT")


def test_options_that_were_not_given_are_not_told(azurite: Azurite, acs: AcsEmulator) -> None:
    _, asked = _scripted_start(azurite, acs, STARTED, serverCallId="call")
    reported = {name for name, value in json.loads(asked.body).items() if value not in (None, [])}
    assert reported == {
        "callLocator",
        "recordingContentType",
        "recordingChannelType",
        "recordingFormatType",
        "externalStorage",
    }


def test_an_answer_without_an_id_is_no_start(azurite: Azurite, acs: AcsEmulator) -> None:
    error, _ = _scripted_start(azurite, acs, {"recordingState": "active"}, serverCallId="call")
    assert type(error) is e.AcsError


def test_an_answer_with_the_id_alone_is_a_start(azurite: Azurite, acs: AcsEmulator) -> None:
    started, _ = _scripted_start(azurite, acs, {"recordingId": "eyJQbGF0eA=="}, serverCallId="call")
    assert (started.recording_id, started.state, started.kind) == ("eyJQbGF0eA==", "active", None)
