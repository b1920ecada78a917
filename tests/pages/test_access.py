"""Access: axe finds no violation in any view, the keyboard reaches everything, a phone needs no sideways scroll."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from local.node import MODULES
from tests.pages.browser import DESKTOP, PHONE, Reader
from tests.pages.gate import KEY

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

    from tests.pages.gate import Gate
    from tests.pages.scene import Scene

AXE = MODULES / "axe-core" / "axe.min.js"
LISTS = ["/", "/causes", "/trouble", "/all", "/charts", "/rejected", "/doctor", "/search?q=no"]
VIEWS = [*LISTS, "held", "exported", "lost"]


def violations(page: Page) -> list[str]:
    """What axe finds, one line a rule, with the first element."""
    page.evaluate(AXE.read_text())
    found: dict[str, Any] = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [f"{one['id']}: {one['help']}: {one['nodes'][0]['html'][:200]}" for one in found["violations"]]


@pytest.fixture(params=[(DESKTOP, "light"), (PHONE, "light"), (DESKTOP, "dark"), (PHONE, "dark")], ids=str)
def anybody(request: pytest.FixtureRequest, browser: Browser, gate: Gate) -> Iterator[Reader]:
    size, scheme = request.param
    reader = Reader(browser, gate, size=size, scheme=scheme)
    yield reader.open(key=KEY)
    reader.close()


def route_of(view: str, scene: Scene) -> str:
    return view if view.startswith("/") else f"/recordings/{getattr(scene, view).key}"


def test_axe_finds_no_violation_in_any_view(anybody: Reader, scene: Scene) -> None:
    """With everything folded open; and no view is wider than the screen."""
    found = {}
    for view in VIEWS:
        anybody.open(route_of(view, scene))
        for summary in anybody.page.locator("summary").all():
            summary.click()
        found[view] = violations(anybody.page)
        if anybody.page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"):
            found[view].append("the page scrolls sideways")
    assert found == {view: [] for view in VIEWS}


def test_axe_finds_no_violation_in_form_dialog_and_errors(anybody: Reader, scene: Scene) -> None:
    page = anybody.page
    anybody.open(f"/recordings/{scene.held.key}")
    page.get_by_role("button", name="Replay").click()
    page.get_by_role("dialog").wait_for()
    assert violations(page) == []
    anybody.open("/recordings/" + "0" * 32)
    assert violations(page) == []
    anybody.gate.is_down = True
    page.get_by_role("link", name="Charts").click()
    page.wait_for_selector("[role=alert]")
    assert violations(page) == []
    anybody.gate.is_down = False
    anybody.open(key="wrong")
    assert violations(page) == []


def test_axe_sees_what_is_wrong(reader: Reader) -> None:
    """The check can fail: a button without a name, and a pale text."""
    reader.page.evaluate("document.querySelector('main').append(document.createElement('button'))")
    reader.page.evaluate("document.querySelector('h1').style.color = '#eee'")
    assert {line.partition(":")[0] for line in violations(reader.page)} >= {"button-name", "color-contrast"}


def test_the_keyboard_reaches_and_opens_a_recording(reader: Reader, scene: Scene) -> None:
    page = reader.page
    seen = []
    for _ in range(40):
        page.keyboard.press("Tab")
        seen.append(page.evaluate("document.activeElement.getAttribute('href') ?? document.activeElement.tagName"))
        if seen[-1] == f"#/recordings/{scene.saving.key}":
            break
    assert seen[-1] == f"#/recordings/{scene.saving.key}", seen
    page.keyboard.press("Enter")
    page.wait_for_selector(f"h1:has-text('{scene.saving.key[:8]}')")
    assert page.title() == "Recording · Recorder"
    page.wait_for_selector("#title:focus")


def test_the_first_tab_skips_to_the_content(stranger: Reader) -> None:
    stranger.open(key=KEY)
    stranger.page.keyboard.press("Tab")
    assert stranger.page.evaluate("document.activeElement.className") == "skip"
    stranger.page.keyboard.press("Enter")
    assert stranger.page.evaluate("document.activeElement.id") == "main"


def test_a_dialog_holds_the_focus_and_escape_closes_it(reader: Reader, scene: Scene) -> None:
    page = reader.page
    reader.open(f"/recordings/{scene.held.key}")
    button = page.get_by_role("button", name="Replay")
    button.focus()
    page.keyboard.press("Enter")
    page.get_by_role("dialog").wait_for()
    for _ in range(4):
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement === document.body || !!document.activeElement.closest('dialog')")
    page.keyboard.press("Escape")
    assert page.get_by_role("dialog").count() == 0
    assert button.evaluate("node => node === document.activeElement")


def test_states_are_said_by_text_and_icon_not_by_colour_alone(reader: Reader) -> None:
    for badge in reader.page.locator(".badge").all():
        assert badge.inner_text().strip()
        assert badge.locator("svg").count() == 1
