"""What is repaired on the page: a group by its cause, a recording by its verification, a rejected event."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from tests.e2e.support import plan
from tests.pages.scene import SECOND
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from tests.e2e.support import Recorded
    from tests.pages.browser import Reader
    from tests.pages.scene import Scene


def _waits_for(recorded: Recorded, cause: str) -> bool:
    return recorded.story().get("cause") == cause


def test_a_cause_is_shown_as_one_group_and_replayed_for_all(reader: Reader, scene: Scene) -> None:
    """A dry run says first what would happen; then both recordings are delivered to the container that is back."""
    world = scene.world
    held = [world.start(containerUrl=world.url(SECOND)) for _ in range(2)]
    world.blobs.delete_container(SECOND)
    for one in held:
        one.end(plan(40_000))
        eventually(partial(_waits_for, one, "container_missing"))
    page = reader.page
    page.get_by_role("link", name="Causes").click()
    card = page.locator(".card", has_text=SECOND)
    card.wait_for()
    assert card.locator(".card-number").inner_text() == "2"
    assert "Your container" in card.inner_text()
    assert "The container does not exist" in card.inner_text()
    card.get_by_role("button", name="Replay all 2").click()
    dialog = page.get_by_role("dialog", name="Replay 2 recordings?")
    dialog.locator(".results li").first.wait_for()
    assert "Would go on" in dialog.inner_text()
    assert not [line for one in held for line in world.logged("recording.replayed", recording=one.key)]
    world.blobs.create_container(SECOND)
    dialog.get_by_role("button", name="Replay all").click()
    dialog.locator(".panel.good").wait_for()
    assert "set going" in dialog.inner_text()
    dialog.get_by_role("button", name="Close").click()
    for one in held:
        assert one.whole()["state"] == "complete"
    page.wait_for_selector(f".card:has-text('{SECOND}')", state="detached", timeout=20_000)


def test_a_file_that_was_deleted_is_found_by_a_verification(reader: Reader, scene: Scene) -> None:
    recorded = scene.world.start().end(plan(30_000))
    blob = recorded.whole()["chunks"][0]["blob"]
    reader.open(f"/recordings/{recorded.key}")
    verify = reader.page.get_by_role("button", name="Verify")
    dialog = reader.page.get_by_role("dialog", name="Verify this recording?")
    verify.click()
    dialog.get_by_role("button", name="Verify").click()
    dialog.locator(".results .badge.good").wait_for()
    assert "Intact" in dialog.inner_text()
    dialog.get_by_role("button", name="Close").click()
    container = scene.world.blobs.get_container_client("recordings")
    container.delete_blob(blob.partition("/recordings/")[2])
    verify.click()
    dialog.get_by_role("button", name="Verify").click()
    dialog.locator(".results .badge.bad").wait_for()
    assert "Gone" in dialog.inner_text()
    dialog.get_by_role("button", name="Close").click()
    reader.page.wait_for_selector(".summary .badge:has-text('Damaged')")
    reader.open("/trouble")
    assert "Damaged" in reader.text()
    assert recorded.key[:8] in reader.text()


def test_a_rejected_event_is_looked_at_and_sent_again(reader: Reader, scene: Scene) -> None:
    reader.page.get_by_role("link", name="Rejected events").click()
    reader.page.wait_for_selector(".card")
    assert "No chunks" in reader.text(".card")
    reader.page.locator(".card summary").first.click()
    assert '"recordingChunks": []' in reader.text(".card pre")
    reader.page.get_by_role("button", name="Send again").first.click()
    dialog = reader.page.get_by_role("dialog")
    assert "as if Event Grid had delivered it now" in dialog.inner_text()
    dialog.get_by_role("button", name="Send again").click()
    dialog.locator(".panel").wait_for()
    assert "Rejected" in dialog.inner_text()
    assert eventually(lambda: scene.world.logged("event.replayed"))
    dialog.get_by_role("button", name="Close").click()
    reader.page.wait_for_selector(".card .note:has-text('Sent again')")
