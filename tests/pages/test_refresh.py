"""The page refreshes itself, keeps what the reader does meanwhile, and says when it could not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.e2e.support import plan

if TYPE_CHECKING:
    from tests.pages.browser import Reader
    from tests.pages.scene import Scene


def test_a_recording_is_followed_to_its_end_without_a_touch(reader: Reader, scene: Scene) -> None:
    recorded = scene.world.start()
    reader.open(f"/recordings/{recorded.key}")
    assert reader.text(".summary .badge") == "Started"
    recorded.end(plan(60_000))
    reader.page.wait_for_selector(".summary .badge:has-text('Complete')", timeout=20_000)


def test_a_refresh_keeps_focus_selection_and_what_is_folded_open(reader: Reader, scene: Scene) -> None:
    reader.open(f"/recordings/{scene.held.key}")
    reader.page.locator(".errors summary").first.click()
    reader.page.get_by_label("Failed only").focus()
    reader.page.evaluate("getSelection().selectAllChildren(document.querySelector('#title'))")
    loaded = reader.text("#status")
    reader.page.wait_for_selector(f"#status:not(:has-text('{loaded}'))")
    assert reader.page.evaluate("document.activeElement.id") == "only-failed"
    assert scene.held.key[:8] in reader.page.evaluate("getSelection().toString()")
    assert reader.page.locator(".errors").first.get_attribute("open") is not None


def test_a_refresh_that_fails_says_since_when_and_the_page_recovers(reader: Reader, scene: Scene) -> None:
    reader.open(f"/recordings/{scene.saving.key}")
    reader.gate.is_down = True
    reader.page.wait_for_selector("#status.stale", timeout=20_000)
    assert "Could not refresh since" in reader.text("#status")
    assert "does not answer" in reader.text("#status")
    assert "Could not refresh since" in (reader.page.locator("[role=status]").first.text_content() or "")
    assert scene.saving.key[:8] in reader.text("h1")
    reader.gate.is_down = False
    reader.page.wait_for_selector("#status:not(.stale)", timeout=20_000)
    assert "Updated" in reader.text("#status")
    assert reader.page.locator("[role=status]").first.text_content() == "Refreshed again"


def test_a_first_load_that_fails_is_no_blank_page(reader: Reader) -> None:
    reader.gate.is_down = True
    reader.page.get_by_role("link", name="All recordings").click()
    reader.page.wait_for_selector("[role=alert]")
    assert "The app does not answer" in reader.text()
    reader.gate.is_down = False
    reader.page.wait_for_selector(".filters", timeout=20_000)


def test_a_screen_reader_is_not_told_of_each_refresh(reader: Reader, scene: Scene) -> None:
    reader.open(f"/recordings/{scene.saving.key}")
    loaded = reader.text("#status")
    reader.page.wait_for_selector(f"#status:not(:has-text('{loaded}'))")
    assert [one.text_content() for one in reader.page.locator("[role=status]").all()] == ["", ""]


def test_an_answer_that_is_not_understood_is_no_blank_page(reader: Reader) -> None:
    reader.page.route("**/api/causes", lambda route: route.fulfill(json={"another": "shape"}))
    reader.page.get_by_role("link", name="Causes").click()
    reader.page.wait_for_selector("[role=alert]")
    assert "does not understand the answer" in reader.text()
    assert len(reader.complaints) >= 1
    reader.complaints.clear()
    reader.page.unroute("**/api/causes")
    reader.page.wait_for_selector("[role=alert]", state="detached", timeout=15_000)
    reader.complaints.clear()


def test_nothing_is_asked_while_the_tab_is_hidden(reader: Reader, scene: Scene) -> None:
    reader.open(f"/recordings/{scene.saving.key}")
    hide = "Object.defineProperty(document, 'hidden', {value: %s, configurable: true});"
    tell = "document.dispatchEvent(new Event('visibilitychange'))"
    reader.page.evaluate(hide % "true" + tell)
    before = len(reader.gate.asked)
    reader.page.wait_for_timeout(6_500)
    assert len(reader.gate.asked) == before
    with reader.page.expect_request("**/api/recordings/*"):
        reader.page.evaluate(hide % "false" + tell)
