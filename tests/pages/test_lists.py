"""Find a recording by any id; the unfinished by deadline; lost and damaged; all of them by filters."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.waiting import eventually

if TYPE_CHECKING:
    from tests.pages.browser import Reader
    from tests.pages.scene import Scene


def listed(reader: Reader) -> list[str]:
    """The keys' beginnings, as they are shown."""
    return [text.split()[-1] for text in reader.page.locator(".row-link").all_inner_texts()]


def test_the_unfinished_are_listed_with_the_nearest_deadline_first(reader: Reader, scene: Scene) -> None:
    shown = listed(reader)
    assert {one.key[:8] for one in (scene.saving, scene.held, scene.held_too, scene.running)} <= set(shown)
    assert shown[0] == scene.saving.key[:8]
    assert scene.exported.key[:8] not in shown


def test_a_row_says_state_cause_bytes_and_what_is_left_of_the_window(reader: Reader, scene: Scene) -> None:
    row = reader.page.locator(f"[data-key='{scene.saving.key}']")
    assert row.locator(".badge").inner_text() == "Saving"
    assert "23 h" in row.locator(".row-left").inner_text()
    bar = row.locator(".row-left [role=progressbar]")
    assert 90 <= int(bar.get_attribute("aria-valuenow") or 0) <= 100
    assert (bar.bounding_box() or {"width": 0})["width"] > 50
    held = reader.page.locator(f"[data-key='{scene.held.key}']")
    assert held.locator(".badge").inner_text() == "Safe"
    assert "1.8 MB" in held.locator(".row-bytes").inner_text()


def test_the_tiles_sum_up_what_is_unfinished(reader: Reader, scene: Scene) -> None:
    saving = scene.world.get("/api/recordings?state=saving").json()["recordings"]
    tiles = reader.text(".tiles").split()
    assert tiles[: tiles.index("The")] == ["Not", "safe", "yet", str(len(saving))]
    assert "23" in tiles


@pytest.mark.parametrize("kind", ["id", "key", "callId", "serverCallId"])
def test_a_recording_is_found_by_any_of_its_ids(reader: Reader, scene: Scene, kind: str) -> None:
    """By the field at the top, from the keyboard; one hit opens at once."""
    ids = {"id": scene.held.id, "key": scene.held.key, "callId": scene.held.call.call_id}
    identity = ids.get(kind, scene.held.call.server_call_id)
    reader.page.keyboard.press("/")
    reader.page.keyboard.insert_text(identity)
    reader.page.keyboard.press("Enter")
    reader.page.wait_for_selector(f"h1:has-text('Recording {scene.held.key[:8]}')")
    assert reader.page.url.endswith(f"#/recordings/{scene.held.key}")


def test_an_id_that_is_not_known_says_which_ids_are(reader: Reader) -> None:
    reader.open("/search?q=nothing-like-it")
    assert "No recording is known by this id" in reader.text()
    assert "server call id" in reader.text()


def test_what_is_lost_has_a_view_of_its_own(reader: Reader, scene: Scene) -> None:
    reader.open("/trouble")
    assert scene.lost.key[:8] in listed(reader)
    assert scene.exported.key[:8] not in listed(reader)
    assert "Lost" in reader.text("main h2")


def test_all_recordings_are_listed_newest_first_and_filtered(reader: Reader, scene: Scene) -> None:
    reader.open("/all")
    assert {one.key[:8] for one in (scene.exported, scene.lost, scene.running)} <= set(listed(reader))
    reader.page.get_by_label("State").select_option("complete")
    reader.page.get_by_role("button", name="Apply").click()
    reader.page.wait_for_url("**/ui#/all?state=complete*")
    reader.ready()
    assert scene.exported.key[:8] in listed(reader)
    assert not {one.key[:8] for one in (scene.lost, scene.running)} & set(listed(reader))
    reader.page.get_by_label("State").select_option("all")
    reader.page.get_by_label("Id of a call").fill(scene.lost.call.call_id)
    reader.page.get_by_role("button", name="Apply").click()
    reader.page.wait_for_url("**callId=*")
    eventually(lambda: listed(reader) == [scene.lost.key[:8]], what="the list of one call")


def test_a_filter_that_the_api_refuses_is_explained_beside_the_form(reader: Reader) -> None:
    reader.open("/all?route=nonsense")
    assert "The API does not accept these filters" in reader.text()
    assert "route" in reader.text("[role=alert] li")
    assert reader.page.get_by_label("State").is_visible()


def test_an_address_that_leads_nowhere_says_so(reader: Reader) -> None:
    for route in ("/nothing", "/recordings", "/recordings/a/b", "/recordings/%E0%A4%A"):
        assert "leads nowhere" in reader.open(route).text()
