"""The real SDK for Python against the emulator."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from azure.communication import callautomation
from azure.communication.callautomation import (
    AzureBlobContainerRecordingStorage,
    CallAutomationClient,
    ChannelAffinity,
    CommunicationUserIdentifier,
    PhoneNumberIdentifier,
)
from azure.core.credentials import AccessToken
from azure.core.exceptions import (
    ClientAuthenticationError,
    IncompleteReadError,
    ResourceNotFoundError,
)
from azure.core.rest import HttpRequest

from local.acs import AcsConfig, AcsEmulator
from local.acs.transport import EmulatorTransport
from tests.local.acs import raw
from tests.local.acs.raw import jwt

if TYPE_CHECKING:
    from tests.local.acs.finished import Finished

CONTAINER = AzureBlobContainerRecordingStorage("https://account.blob.core.windows.net/recordings")


def test_the_whole_life_of_a_recording(acs: AcsEmulator, client: CallAutomationClient, events: list[Any]) -> None:
    call = acs.create_call()
    started = client.start_recording(
        server_call_id=call.server_call_id,
        recording_content_type="audio",
        recording_channel_type="unmixed",
        recording_format_type="wav",
        recording_storage=CONTAINER,
        recording_state_callback_url="https://example.org/state",
        audio_channel_participant_ordering=[PhoneNumberIdentifier("+15550100"), CommunicationUserIdentifier("8:acs:x")],
        channel_affinity=[ChannelAffinity(target_participant=CommunicationUserIdentifier("8:acs:x"), channel=0)],
        pause_on_start=True,
    )
    recording_id = started.recording_id
    assert recording_id is not None
    assert started.recording_state == "inactive"
    client.resume_recording(recording_id)
    assert client.get_recording_properties(recording_id).recording_state == "active"
    client.pause_recording(recording_id)
    client.stop_recording(recording_id)
    acs.wait_idle()
    assert events[0]["data"]["recordingId"] == recording_id


def test_a_download_is_the_media_and_a_delete_ends_it(client: CallAutomationClient, finished: Finished) -> None:
    answer: Any = client.download_recording(finished.url)
    assert b"".join(answer.iter_bytes()) == finished.data
    part: Any = client.download_recording(finished.url, offset=100, length=50)
    assert b"".join(part.iter_bytes()) == finished.data[100:150]
    metadata: Any = client.download_recording(finished.chunk.metadata_location)
    metadata.read()
    assert metadata.json()["chunkDocumentId"] == finished.chunk.document_id
    assert finished.chunk.delete_location is not None
    client.delete_recording(finished.chunk.delete_location)
    with pytest.raises(ResourceNotFoundError) as caught:
        client.download_recording(finished.url)
    # The SDK asked for a stream, so the error's answer still holds its connection.
    gone: Any = caught.value.response
    gone.close()


def test_the_service_s_codes_reach_the_caller(client: CallAutomationClient) -> None:
    with pytest.raises(ResourceNotFoundError) as caught:
        client.get_recording_properties("unknown")
    assert caught.value.error is not None
    assert caught.value.error.code == "8522"


def test_a_connection_names_its_call(acs: AcsEmulator, client: CallAutomationClient) -> None:
    call = acs.create_call(group_call_id="6a1b2c3d-0000-4000-8000-000000000001", state="connecting")
    connection = client.get_call_connection(call.call_connection_id)
    found = connection.get_call_properties()
    assert (found.call_connection_id, found.server_call_id) == (call.call_connection_id, call.server_call_id)
    assert (found.call_connection_state, found.correlation_id) == ("connecting", call.call_id)
    raw.control(acs, "POST", f"/calls/{call.call_id}/state", {"state": "established"})
    assert connection.get_call_properties().call_connection_state == "connected"
    acs.end_call(call.call_id)
    for connection_id in (call.call_connection_id, "other"):
        with pytest.raises(ResourceNotFoundError):
            client.get_call_connection(connection_id).get_call_properties()
    assert [entry["operation"] for entry in acs.requests()] == ["connection"] * 4


def test_legacy_locators_work(acs: AcsEmulator, client: CallAutomationClient) -> None:
    group = "6a1b2c3d-0000-4000-8000-000000000001"
    acs.create_call(group_call_id=group)
    with pytest.warns(DeprecationWarning, match="GroupCallLocator"):
        locator = callautomation.GroupCallLocator(group)
    start_recording: Any = client.start_recording
    assert start_recording(locator).recording_state == "active"


def test_an_idempotent_start_repeats_its_answer(acs: AcsEmulator, client: CallAutomationClient) -> None:
    call = acs.create_call()
    headers = {"Repeatability-Request-ID": "6a1b2c3d-0000-4000-8000-000000000002"}
    options: dict[str, Any] = {"headers": headers}
    ids = [client.start_recording(server_call_id=call.server_call_id, **options).recording_id for _ in range(2)]
    assert ids[0] == ids[1]


def test_a_wrong_key_is_an_authentication_error(acs: AcsEmulator) -> None:
    text = f"endpoint=https://{acs.config.resource_host}/;accesskey=b3RoZXI="
    with (
        CallAutomationClient.from_connection_string(text, transport=EmulatorTransport(acs.origin)) as client,
        pytest.raises(ClientAuthenticationError),
    ):
        client.get_recording_properties("any")


class Token:
    """A credential whose tokens need no service."""

    def get_token(self, *scopes: str, **_: Any) -> AccessToken:
        assert scopes == ("https://communication.azure.com//.default",)
        return AccessToken(jwt(), 2_000_000_000)


def test_bearer_tokens_work_for_rest_and_media(acs: AcsEmulator, finished: Finished) -> None:
    endpoint = f"https://{acs.config.resource_host}"
    with CallAutomationClient(endpoint, Token(), transport=EmulatorTransport(acs.origin)) as client:
        state = client.get_recording_properties(finished.recording.recording_id)
        assert state.recording_state == "inactive"
        answer: Any = client.download_recording(finished.url)
        assert len(b"".join(answer.iter_bytes())) == finished.chunk.media.size


def test_the_sdk_s_retries_sign_the_same_url_again(acs: AcsEmulator) -> None:
    call = acs.create_call()
    acs.add_fault(kind="status", operation="start", status=503, count=2)
    with CallAutomationClient.from_connection_string(
        acs.connection_string, transport=EmulatorTransport(acs.origin), retry_backoff_factor=0.01
    ) as client:
        assert client.start_recording(server_call_id=call.server_call_id).recording_state == "active"
    assert [entry["status"] for entry in acs.requests()] == [503, 503, 200]


def test_a_body_cut_short_is_noticed(acs: AcsEmulator, client: CallAutomationClient, finished: Finished) -> None:
    acs.add_fault(kind="cut", operation="media", bytes=1000)
    answer: Any = client.download_recording(finished.url)
    with pytest.raises(IncompleteReadError):
        b"".join(answer.iter_bytes())


def test_other_hosts_are_left_alone_by_the_transport(acs: AcsEmulator) -> None:
    with AcsEmulator(AcsConfig()) as other:
        request = HttpRequest("GET", f"{other.origin}/_control/health")
        with EmulatorTransport(acs.origin) as transport:
            answer = transport.send(request)
            assert answer.status_code == 200
            answer.read()
        assert "Host" not in request.headers
        assert request.url.startswith(other.origin)
