"""A whole rescue by real processes, with canaries for every secret; then all that came out is searched for them."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import pytest
from azure.storage.blob import BlobServiceClient
from azure.storage.queue import QueueServiceClient

from local.acs import AcsConfig, ChunkPlan, EndPlan
from local.azurite import ACCOUNT_KEY
from local.services import CONTAINER
from local.stack import Stack
from tests.local.host.support import base64_queue, call, notify
from tests.security.hostile import chunk, event
from tests.security.test_secrets import CANARY, SECRETS
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

ACCESS_KEY = base64.b64encode(b"the canary of the access key").decode()
PEOPLE = (f"8:acs:{CANARY}-1a1f-4fae_00000000-0000", "4:+15551234567")
FORBIDDEN = (
    CANARY,
    "5551234567",
    ACCESS_KEY,
    "canary of the access",
    ACCOUNT_KEY[:40],
    "sig=",
    "Bearer ey",
)
FUNCTION = "recording_file_status_updated"
QUICK = {"RESCUE_FIRST_DELAY_SECONDS": "0.5", "RESCUE_LONGEST_DELAY_SECONDS": "1"}


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with Stack(settings=QUICK, acs_config=AcsConfig(seed=3, access_key=ACCESS_KEY)) as running:
        yield running


@pytest.fixture(scope="module")
def blobs(stack: Stack) -> Iterator[BlobServiceClient]:
    with BlobServiceClient.from_connection_string(stack.azurite.connection_string) as service:
        yield service


def _start(stack: Stack, **body: Any) -> tuple[str, dict[str, Any], list[str]]:
    """A call with the two people is recorded; its id, the answer, and all that was answered."""
    new = stack.acs.create_call(participants=PEOPLE)
    sent = {
        "serverCallId": new.server_call_id,
        "recordingContent": "audio",
        "recordingChannel": "unmixed",
        "recordingFormat": "wav",
        "audioChannelParticipantOrdering": list(PEOPLE),
        **body,
    }
    headers = {"content-type": "application/json", "idempotency-key": f"key-{new.call_id}"}
    given = [
        call(stack.host_url, "/api/recordings", method="POST", body=json.dumps(sent).encode(), headers=headers)
        for _ in range(2)
    ]
    assert [answer.status for answer in given] == [201, 201], given[0].body
    texts = [f"{dict(answer.headers)} {answer.body.decode()}" for answer in given]
    return new.call_id, given[0].json(), texts


def _forge(stack: Stack) -> list[str]:
    """What a stranger with the function's key could post: events and requests full of secrets."""
    secret = " ".join(SECRETS.values())
    leaky = chunk(document="forged", contentLocation=f"https://stranger.blob.core.windows.net/c/b?sig={CANARY}")
    forged = event(leaky, sessionEndReason=secret, storageType=secret, recordingId="forged-recording")
    events = (forged, [forged], {"eventType": secret}, {"id": secret}, secret)
    reported = [notify(stack.host_url, FUNCTION, one).body.decode() for one in events]
    for body in (
        {"serverCallId": "x", f"sig={CANARY}": 1},
        {"containerUrl": f"https://x.blob.core.windows.net/c?sig={CANARY}"},
    ):
        answer = call(stack.host_url, "/api/recordings", method="POST", body=json.dumps(body).encode())
        assert answer.status == 400
        reported.append(answer.body.decode())
    return reported


def _story(stack: Stack, key: str) -> dict[str, Any]:
    story: dict[str, Any] = call(stack.host_url, f"/api/recordings/{key}").json()
    return story


def _kept(stack: Stack, blobs: BlobServiceClient) -> Iterator[str]:
    """All blobs but the recordings and ACS's own metadata (which names the people, for the customer), all messages."""
    for container in blobs.list_containers():
        client = blobs.get_container_client(container.name)
        for blob in client.list_blobs(include=["metadata"]):
            yield f"{blob.name} {blob.metadata}"
            if not blob.name.endswith(".wav") and "-acsmetadata." not in blob.name:
                yield client.download_blob(blob.name).readall().decode()
    with QueueServiceClient.from_connection_string(stack.azurite.connection_string) as queues:
        for queue in queues.list_queues():
            for message in queues.get_queue_client(queue.name).peek_messages(32):
                yield base64.b64decode(message.content).decode()


def test_no_secret_comes_out_of_a_rescue_by_way_of_the_fallback(stack: Stack, blobs: BlobServiceClient) -> None:
    call_id, started, reported = _start(stack)
    key = started["key"]
    blobs.delete_container(CONTAINER)
    stack.acs.add_fault(kind="401", operation="media", count=1)
    stack.acs.add_fault(kind="status", status=500, operation="media", count=1, body=" ".join(SECRETS.values()))
    stack.acs.end_call(call_id, plan=EndPlan(chunks=(ChunkPlan(size=400_000), ChunkPlan(size=3_000))))
    stack.acs.wait_idle()
    reported += _forge(stack)
    eventually(lambda: set(_story(stack, key)["chunkStates"]) == {"in_fallback"}, what="the fallback")
    reported.append(json.dumps(_story(stack, key)))
    blobs.create_container(CONTAINER)
    # The copies in the fallback are cleaned up after the close.
    eventually(lambda: (story := _story(stack, key)).get("closedAt") and "nextDueAt" not in story, seconds=30)
    reported += [json.dumps(_story(stack, key)), call(stack.host_url, "/api/recordings").body.decode()]
    assert _story(stack, key)["route"] == "delivered"

    came_out = "\n".join([*reported, *_kept(stack, blobs), stack.host_log.read_text()])
    assert "manifest/1" in came_out
    assert "media_unauthorized" in came_out
    assert "event.rejected" in came_out
    came_out = came_out.replace("sig=…", "").replace("sig=\\u2026", "")
    for word in FORBIDDEN:
        at = came_out.find(word)
        assert at < 0, came_out[max(0, at - 200) : at + 50]


def test_forged_queue_messages_move_nothing_and_leave_no_poison(stack: Stack, blobs: BlobServiceClient) -> None:
    call_id, started, _ = _start(stack)
    stack.acs.end_call(call_id, plan=EndPlan(chunks=(ChunkPlan(size=3_000),)))
    eventually(lambda: _story(stack, started["key"]).get("closedAt"), what="the end")
    known = started["key"]
    document = blobs.get_blob_client("recording-ledger", f"closed/{known}.json")
    before = document.get_blob_properties().etag
    foreign = [
        "not json",
        json.dumps({"recordingKey": "../../starts/x", "part": "x", "generation": 1}),
        json.dumps({"recordingKey": known, "part": "0" * 16, "generation": True}),
    ]
    stale = [
        json.dumps({"recordingKey": known, "part": "0" * 16, "generation": 1}),
        json.dumps({"recordingKey": "0" * 32, "part": "0" * 16, "generation": 10**15}),
    ]
    with base64_queue(stack.azurite.connection_string, "recording-rescues") as queue:
        for text in (*foreign, *stale):
            queue.send_message(text)
    log = stack.host_log.read_text
    eventually(lambda: log().count('"work.foreign"') == len(foreign), what="a look at the foreign ones")
    eventually(lambda: '"generation":1000000000000000' in log(), what="a look at the stale ones")
    assert document.get_blob_properties().etag == before
    with QueueServiceClient.from_connection_string(stack.azurite.connection_string) as queues:
        assert not [queue.name for queue in queues.list_queues() if queue.name.endswith("-poison")]
