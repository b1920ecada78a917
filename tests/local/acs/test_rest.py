"""The REST API, request by request."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from tests.local.acs import raw
from tests.local.acs.finished import start_body

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.acs import AcsEmulator

BLOB_URL = "https://account.blob.core.windows.net/recordings"
PATH = "/calling/recordings"
ONE_USER = {"rawId": "8:acs:a_b", "communicationUser": {"id": "8:acs:a_b"}}


def storage(url: Any = BLOB_URL, **more: Any) -> dict[str, Any]:
    return {
        "externalStorage": {
            "recordingStorageKind": "azureBlobStorage",
            "recordingDestinationContainerUrl": url,
        }
        | more
    }


def test_a_call_is_found_by_each_locator(acs: AcsEmulator) -> None:
    for kind, name, value in (
        ("serverCallLocator", "serverCallId", "aHR0cHM6Ly9j"),
        ("groupCallLocator", "groupCallId", str(uuid.uuid4())),
        ("roomCallLocator", "roomId", "99400000000000000"),
    ):
        raw.control(acs, "POST", "/calls", {name: value})
        answer = raw.start(acs, {"callLocator": {"kind": kind, name: value}})
        assert (answer.status, answer.json["recordingState"]) == (200, "active")
        assert answer.json["recordingKind"] == "azureCommunicationServices"
        assert answer.json["recordingId"].startswith("eyJQbGF0")
    assert raw.start(acs, {"callConnectionId": acs.create_call().call_connection_id}).status == 200


TAKEN: list[dict[str, Any]] = [
    {},
    {"recordingFormatType": "wav"},
    {"recordingFormatType": "Wav", "recordingChannelType": "Unmixed", "channelAffinity": []},
    {"recordingContentType": "audioVideo", "recordingFormatType": "mp4"},
    {"recordingStateCallbackUri": "https://example.org/callback"},
    {"pauseOnStart": False, "audioChannelParticipantOrdering": [], "channelAffinity": []},
    {"externalStorage": {"recordingStorageKind": "azureCommunicationServices"}},
    storage(),
    storage(f"{BLOB_URL}/a/place/in/it"),
    storage("http://127.0.0.1:10000/devstoreaccount1/recordings"),
    {
        "recordingFormatType": "wav",
        "recordingChannelType": "unmixed",
        "audioChannelParticipantOrdering": [ONE_USER],
        "channelAffinity": [{"channel": 0, "participant": ONE_USER}],
    },
]


def test_what_the_service_documents_is_taken(acs: AcsEmulator) -> None:
    for change in TAKEN:
        answer = raw.start(acs, start_body(acs) | change)
        assert answer.status == 200, (change, answer.body)


def unmixed(**more: Any) -> dict[str, Any]:
    return {"recordingChannelType": "unmixed", "recordingFormatType": "wav"} | more


FAULTY: list[tuple[dict[str, Any], str]] = [
    ({"surprise": 1}, "surprise"),
    ({"callLocator": None}, "callLocator"),
    ({"callConnectionId": "both"}, "callLocator"),
    ({"callLocator": "text"}, "callLocator"),
    ({"callLocator": {"kind": "otherLocator"}}, "callLocator.kind"),
    ({"callLocator": {"kind": "roomCallLocator", "roomId": ""}}, "callLocator.roomId"),
    ({"callLocator": {"kind": "roomCallLocator", "roomId": "1", "groupCallId": "2"}}, "callLocator.groupCallId"),
    ({"callLocator": {"kind": "groupCallLocator", "groupCallId": "no guid"}}, "callLocator.groupCallId"),
    ({"recordingContentType": "video"}, "recordingContentType"),
    ({"recordingContentType": 1}, "recordingContentType"),
    ({"recordingChannelType": "unmixed"}, "recordingFormatType"),
    ({"recordingFormatType": "mp4"}, "recordingFormatType"),
    ({"pauseOnStart": "yes"}, "pauseOnStart"),
    ({"recordingStateCallbackUri": "http://example.org/"}, "recordingStateCallbackUri"),
    ({"recordingStateCallbackUri": "nowhere"}, "recordingStateCallbackUri"),
    ({"recordingStateCallbackUri": "https://[bad"}, "recordingStateCallbackUri"),
    ({"channelAffinity": "text"}, "channelAffinity"),
    ({"channelAffinity": [{"participant": ONE_USER}]}, "channelAffinity"),
    ({"audioChannelParticipantOrdering": [ONE_USER]}, "audioChannelParticipantOrdering"),
    ({"externalStorage": "text"}, "externalStorage"),
    ({"externalStorage": {"recordingStorageKind": "disk"}}, "externalStorage.recordingStorageKind"),
    (storage(None), "externalStorage.recordingDestinationContainerUrl"),
    (storage("http://example.org/c"), "externalStorage.recordingDestinationContainerUrl"),
    (storage(f"{BLOB_URL}?sv=1&sig=2"), "externalStorage.recordingDestinationContainerUrl"),
    (storage("https://account.blob.core.windows.net/"), "externalStorage.recordingDestinationContainerUrl"),
    (storage(surprise=1), "externalStorage.surprise"),
    (unmixed(audioChannelParticipantOrdering=[ONE_USER] * 6), "audioChannelParticipantOrdering"),
    (unmixed(audioChannelParticipantOrdering=["8:acs"]), "audioChannelParticipantOrdering[0]"),
    (unmixed(channelAffinity=[3]), "channelAffinity[0]"),
    (unmixed(channelAffinity=[{"channel": 5, "participant": ONE_USER}]), "channelAffinity[0].channel"),
    (unmixed(channelAffinity=[{"channel": 1}]), "channelAffinity[0].participant"),
    (
        unmixed(audioChannelParticipantOrdering=[{"name": "x"}]),
        "audioChannelParticipantOrdering[0].name",
    ),
]


def test_a_faulty_body_is_400_with_code_8523_and_names_the_field(acs: AcsEmulator) -> None:
    for change, target in FAULTY:
        answer = raw.start(acs, start_body(acs) | change)
        assert (answer.status, answer.code) == (400, "8523"), change
        error = answer.json["error"]
        assert error["target"] == target
        assert set(error) == {"code", "message", "target", "details", "innererror"}


def test_every_fault_of_a_body_is_reported_at_once(acs: AcsEmulator) -> None:
    answer = raw.start(acs, {"pauseOnStart": 1, "recordingFormatType": "ogg"})
    assert len(answer.json["error"]["details"]) == 3


def test_what_is_no_json_object_or_too_large_is_refused(acs: AcsEmulator) -> None:
    for body in (b"", b"{", b"[]", b"null", b"[" * 100_000):
        assert (raw.start(acs, body).status, raw.start(acs, body).code) == (400, "8523"), body[:9]
    assert raw.start(acs, start_body(acs), headers={"Content-Type": "text/plain"}).status == 415
    assert raw.start(acs, b" " * (1024 * 1024 + 1)).status == 413


def test_a_version_is_demanded_and_must_be_known(acs: AcsEmulator) -> None:
    """Previews are taken by their form; external storage is not in the versions before it."""
    for query, code in (
        ("", "MissingApiVersionParameter"),
        ("?api-version=2022-01-01", "UnsupportedApiVersionValue"),
        ("?api-version=latest", "UnsupportedApiVersionValue"),
        ("?api-version=2026-03-12&extra=1", "8523"),
    ):
        answer = raw.start(acs, start_body(acs), target=PATH + query)
        assert (answer.status, answer.code) == (400, code)
    assert raw.start(acs, start_body(acs), target=f"{PATH}?api-version=2024-06-15-preview").status == 200
    answer = raw.start(acs, start_body(acs, container_url=BLOB_URL), target=f"{PATH}?api-version=2023-10-15")
    assert (answer.status, answer.json["error"]["target"]) == (400, "externalStorage")


def test_what_is_not_emulated_says_so(acs: AcsEmulator) -> None:
    for method, path, status in (
        ("GET", "/calling/callConnections", 404),
        ("GET", PATH, 405),
        ("PUT", f"{PATH}/x", 405),
        ("POST", f"{PATH}/x:rewind", 404),
        ("GET", "/_control/health", 404),
    ):
        answer = raw.rest(acs, method, f"{path}{raw.VERSION}")
        assert (answer.status, bool(answer.json["error"]["message"])) == (status, True), path


def test_a_call_must_be_there_and_established(acs: AcsEmulator) -> None:
    for state, status, code in (("connecting", 400, "8501"), ("terminated", 400, "8528"), (None, 404, "8522")):
        connection = acs.create_call(state=state).call_connection_id if state else "unknown"
        answer = raw.start(acs, {"callConnectionId": connection})
        assert (answer.status, answer.code) == (status, code)


def test_one_recording_at_a_time(acs: AcsEmulator) -> None:
    body = start_body(acs)
    first = raw.start(acs, body)
    second = raw.start(acs, body)
    assert (second.status, second.code) == (400, "8553")
    assert raw.rest(acs, "DELETE", f"{PATH}/{first.json['recordingId']}{raw.VERSION}").status == 204
    assert raw.start(acs, body).status == 200


def test_the_same_request_id_and_body_give_the_same_recording(acs: AcsEmulator) -> None:
    """With another body, or headers of another form, it is a 400."""
    body, headers = start_body(acs), raw.repeat_headers()
    first, second = (raw.start(acs, body, headers=headers) for _ in range(2))
    assert first.json == second.json
    assert second.headers["repeatability-result"] == "accepted"
    answer = raw.start(acs, start_body(acs), headers=headers)
    assert (answer.status, answer.json["error"]["target"]) == (400, "Repeatability-Request-ID")
    for faulty in (
        {"Repeatability-Request-ID": str(uuid.uuid4())},
        {"Repeatability-First-Sent": raw.http_date()},
        raw.repeat_headers("not a uuid"),
        raw.repeat_headers() | {"Repeatability-First-Sent": "today"},
    ):
        assert raw.start(acs, start_body(acs), headers=faulty).status == 400


def one(acs: AcsEmulator, method: str, recording_id: str, action: str = "") -> raw.Answer:
    return raw.rest(acs, method, f"{PATH}/{recording_id}{action}{raw.VERSION}")


def test_the_life_of_a_recording(acs: AcsEmulator) -> None:
    recording_id = raw.start(acs, start_body(acs, pauseOnStart=True)).json["recordingId"]
    steps: list[tuple[Callable[[], raw.Answer], int, str | None]] = [
        (lambda: one(acs, "GET", recording_id), 200, "inactive"),
        (lambda: one(acs, "POST", recording_id, ":pause"), 400, "8573"),
        (lambda: one(acs, "POST", recording_id, ":resume"), 202, None),
        (lambda: one(acs, "GET", recording_id), 200, "active"),
        (lambda: one(acs, "POST", recording_id, ":resume"), 400, "8573"),
        (lambda: one(acs, "POST", recording_id, ":pause"), 202, None),
        (lambda: one(acs, "DELETE", recording_id), 204, None),
        (lambda: one(acs, "GET", recording_id), 200, "inactive"),
        (lambda: one(acs, "DELETE", recording_id), 404, "8522"),
        (lambda: one(acs, "POST", recording_id, ":pause"), 404, "8522"),
    ]
    for number, (step, status, word) in enumerate(steps):
        answer = step()
        assert answer.status == status, number
        reported = answer.json if answer.body else {}
        assert word in {None, reported.get("recordingState"), reported.get("error", {}).get("code")}, number


def test_a_stop_publishes_the_event_with_the_initiator_s_reason(acs: AcsEmulator, events: list[dict[str, Any]]) -> None:
    recording_id = raw.start(acs, start_body(acs)).json["recordingId"]
    one(acs, "DELETE", recording_id)
    acs.wait_idle()
    assert events[0]["data"]["sessionEndReason"] == "InitiatorLeft"
