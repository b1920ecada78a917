"""Processes and services that die, stand still or come back, while a rescue is under way."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from tests.e2e.support import plan
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from tests.e2e.support import Recorded, World


def _staged_bytes(world: World, name_part: str) -> int:
    """Bytes of uncommitted blocks in the destination, of the blob with this in its name."""
    client = world.blobs.get_container_client("recordings")
    found = [blob.name for blob in client.list_blobs(include=["uncommittedblobs"]) if name_part in blob.name]
    media = [name for name in found if "-acsmetadata." not in name]
    if not media:
        return 0
    _, blocks = client.get_blob_client(media[0]).get_block_list("uncommitted")
    return sum(block.size for block in blocks)


def test_a_killed_worker_costs_only_the_blocks_in_flight(strict_world: World) -> None:
    """SIGKILL in the middle: the message comes back, staged blocks are used again, the bytes are right."""
    world = strict_world
    recorded = world.start(recordingContent="audioVideo")
    # A slow line: blocks are staged one after another, and the end is still far when the worker dies.
    world.stack.acs.add_fault(kind="drip", operation="media", recording_id=recorded.id, rate=700_000)
    recorded.end(plan(15_000_000, export="firewall"))
    document = eventually(recorded.chunk)["documentId"]
    eventually(lambda: _staged_bytes(world, document) > 0, what="a staged block")
    world.stack.kill_worker()
    world.stack.acs.clear_faults()
    story = recorded.whole(seconds=40)
    assert story["chunks"][0]["crashes"] == 1
    assert story["chunks"][0]["lastError"]["code"] == "worker_crashed"
    done = world.logged("chunk.rescued", recording=recorded.key)[0]
    assert done["reused"] > 0
    assert done["reused"] + done["blocks"] == 15


def test_storage_that_stands_still_for_a_moment_loses_nothing(world: World) -> None:
    """Azurite is frozen for two seconds while a rescue writes and an event comes."""
    first, second = world.start(), world.start()
    world.stack.acs.add_fault(kind="drip", operation="media", recording_id=first.id, rate=800_000)
    first.end(plan(6_000_000, export="firewall"))
    eventually(lambda: first.chunk().get("heldUntil"))
    world.stack.azurite.pause()
    try:
        second.end(plan(300_000, export="firewall"))
        world.stack.clock.sleep(2)
    finally:
        world.stack.azurite.resume()
    assert first.whole(seconds=40)["route"] == "rescued"
    assert second.whole(seconds=40)["route"] == "rescued"


def test_a_host_that_is_away_when_the_event_comes_gets_it_later(strict_world: World) -> None:
    """Event Grid tries again; the app, once back, saves what it missed."""
    world = strict_world
    recorded = world.start()
    world.stack.host.stop()
    try:
        recorded.end(plan(400_000, export="firewall"))
        world.stack.acs.wait_idle()
    finally:
        world.stack.restart_host()
    for delivery in world.stack.eventgrid.deliveries:
        if delivery.state == "pending":
            world.stack.eventgrid.redeliver(delivery.id)
    assert recorded.whole()["route"] == "rescued"


def test_what_is_verified_is_deleted_at_acs(strict_world: World) -> None:
    """DELETE_AT_ACS=true: after the last chunk and its metadata are in place, not before; a failure is tried again."""
    world = strict_world
    recorded = world.start()
    world.stack.acs.add_fault(kind="status", status=503, operation="delete", recording_id=recorded.id, count=1)
    recorded.end(plan(500_000, 200_000, export="firewall"))
    recorded.whole(seconds=40)
    # Deletion follows the close, on a plan of its own.
    eventually(lambda: [chunk.get("deletionAtAcs") for chunk in recorded.story()["chunks"]] == ["done", "done"])
    truth = world.stack.acs.truth(recorded.id)
    assert [chunk["deleted"] for chunk in truth["chunks"]] == [True, True]
    operations = [one["operation"] for one in world.stack.acs.requests() if one["recordingId"] == recorded.id]
    assert operations.index("delete") > max(i for i, one in enumerate(operations) if one in ("media", "metadata"))
    eventually(lambda: world.logged("deletion.failed", recording=recorded.key))


def test_media_that_lie_are_not_taken(world: World) -> None:
    """A web page, another range, a cut body: each is refused; a server that ignores ranges still serves."""
    acs = world.stack.acs
    recorded = world.start()
    for number, kind in enumerate(("html200", "wrong-range"), start=1):
        acs.add_fault(kind=kind, operation="media", recording_id=recorded.id, tries=(number,))
    acs.add_fault(kind="cut", operation="media", recording_id=recorded.id, tries=(3, 4), bytes=70_000)
    acs.add_fault(kind="ignore-range", operation="media", recording_id=recorded.id, tries=(5, 6))
    recorded.end(plan(900_000, export="firewall"))
    story = recorded.whole()
    assert story["route"] == "rescued"
    assert story["attempts"] >= 2
    struck = [one["fault"] for one in _media_requests(recorded)]
    assert struck == ["html200", "wrong-range", "cut", "cut", "ignore-range"]


def _media_requests(recorded: Recorded) -> list[dict[str, Any]]:
    requests = recorded.world.stack.acs.requests()
    return [one for one in requests if (one["recordingId"], one["operation"]) == (recorded.id, "media")]


def test_throttling_slows_down_and_ends_well(world: World) -> None:
    """429 with Retry-After: waited for, not hammered against."""
    recorded = world.start()
    world.stack.acs.add_fault(
        kind="status", status=429, code="8529", retry_after="1", operation="media", recording_id=recorded.id, count=1
    )
    recorded.end(plan(4_000_000, export="firewall"))
    story = recorded.whole()
    assert (story["route"], story["attempts"]) == ("rescued", 2)
    throttled, after, *_ = (datetime.fromisoformat(one["time"]) for one in _media_requests(recorded))
    assert after - throttled >= timedelta(seconds=1)
