"""`POST /api/recordings/{recordingId}/verify`: files that other hands changed, over the real stack."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
from azure.storage.blob import BlobClient, ContentSettings

from tests.e2e.support import plan
from tests.local.host.support import call
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.support import Recorded, World


def ask(world: World, recorded: Recorded, verb: str) -> dict[str, Any]:
    path = f"/api/recordings/{quote(recorded.id, safe='')}/{verb}"
    answer = call(world.stack.host_url, path, method="POST", body=b"")
    assert answer.status == 202, answer.body
    body: dict[str, Any] = answer.json()
    return body


def blob_of(world: World, recorded: Recorded) -> BlobClient:
    url = str(recorded.chunk()["blob"])
    container, _, name = url.removeprefix(f"{world.stack.azurite.blob_url}/").partition("/")
    return world.blobs.get_blob_client(container, name)


def write(blob: BlobClient, data: bytes) -> None:
    blob.upload_blob(data, overwrite=True, content_settings=ContentSettings(content_type="audio/mpeg"))


def overwritten(blob: BlobClient) -> None:
    write(blob, b"not the recording at all")


def deleted(blob: BlobClient) -> None:
    blob.delete_blob()


def one_byte_changed(blob: BlobClient) -> None:
    data = bytearray(blob.download_blob().readall())
    data[-1] ^= 1
    write(blob, bytes(data))


def state(recorded: Recorded, wanted: str) -> bool:
    story = recorded.story()
    return story["state"] == wanted and "nextDueAt" not in story


@pytest.mark.parametrize("export", ["exported", "firewall"])
@pytest.mark.parametrize(
    ("change", "at_once"),
    [(overwritten, "differs"), (deleted, "missing"), (one_byte_changed, "unknown")],
    ids=["overwritten", "deleted", "one byte"],
)
def test_a_file_that_is_changed_is_damaged_until_it_is_put_back(
    world: World, export: str, change: Callable[[BlobClient], None], at_once: str
) -> None:
    recorded = world.start().end(plan(90_000) if export == "exported" else plan(90_000, export=export))
    recorded.whole()
    assert ask(world, recorded, "verify")["files"][0]["result"] == "intact"
    eventually(lambda: state(recorded, "complete") and "sha256" in recorded.chunk()["check"], what="the digest")
    blob = blob_of(world, recorded)
    data = blob.download_blob().readall()
    change(blob)
    [file] = ask(world, recorded, "verify")["files"]
    assert (file["result"], file["expected"]["size"]) == (at_once, len(data))
    eventually(lambda: state(recorded, "damaged"), what="the damage")
    assert recorded.manifest()["state"] == "damaged"
    eventually(lambda: len(world.logged("alert.damaged", recording=recorded.key)) == 1, what="the alert")
    write(blob, data)
    ask(world, recorded, "verify")
    eventually(lambda: state(recorded, "complete"), what="the end of the damage")
    kinds = [(entry["kind"], entry.get("code")) for entry in recorded.story()["timeline"]]
    assert ("intact_again", None) in kinds
    assert ("alert.damaged", "differs" if at_once == "unknown" else at_once) in kinds
    recorded.whole()


def test_a_replay_fetches_what_was_deleted_and_stores_beside_what_differs(world: World) -> None:
    recorded = world.start().end(plan(90_000, export="firewall"))
    recorded.whole()
    truth = blob_of(world, recorded).download_blob().readall()
    for change in (deleted, overwritten):
        blob = blob_of(world, recorded)
        change(blob)
        ask(world, recorded, "verify")
        eventually(lambda: state(recorded, "damaged"), what="the damage")
        ask(world, recorded, "replay")
        eventually(lambda: state(recorded, "complete"), what="the rescue")
        assert blob_of(world, recorded).download_blob().readall() == truth
    assert blob.download_blob().readall() == b"not the recording at all"
    assert blob_of(world, recorded).blob_name != blob.blob_name


def test_the_audit_finds_by_itself_what_was_deleted(strict_world: World) -> None:
    """`AUDIT_DAYS=1`: the timer takes a slice; every file of it is looked at, and read again."""
    world = strict_world
    whole, hurt = (world.start().end(plan(60_000)) for _ in range(2))
    for recorded in (whole, hurt):
        recorded.whole()
    deleted(blob_of(world, hurt))
    # As if the last pass had begun a day ago: other tests may have had a sweep, and with it a pass of today.
    world.blobs.get_container_client("recording-ledger").upload_blob(
        "audit/position.json", b'{"begun": "2020-01-01T00:00:00Z", "state": 99, "after": ""}', overwrite=True
    )
    assert world.sweep() in (200, 202)
    eventually(lambda: state(hurt, "damaged"), what="the damage")
    eventually(lambda: "sha256" in whole.chunk().get("check", {}), what="the digest")
    assert state(whole, "complete")
    for recorded in (whole, hurt):
        [entry] = [entry for entry in recorded.story()["timeline"] if entry["kind"] == "verification"]
        assert entry["by"] == "app"
    assert world.logged("audit.slice", is_over=True)
