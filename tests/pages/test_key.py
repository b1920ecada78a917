"""The key: taken from the address at once, kept in the tab, sent as a header; or a sign-in's cookie in its place."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from local.services import guide
from tests.pages.gate import COOKIE, KEY
from tests.pages.test_access import LISTS

if TYPE_CHECKING:
    from tests.pages.browser import Reader
    from tests.pages.scene import Scene

STORED = "sessionStorage.getItem('recorder.key')"


def test_the_shell_asks_for_a_key_and_shows_no_data(stranger: Reader) -> None:
    stranger.open()
    assert stranger.text("h1") == "A key, please"
    assert stranger.page.locator(".row").count() == 0


def test_a_key_in_the_address_is_removed_at_once_and_sent_as_a_header_only(stranger: Reader) -> None:
    stranger.open(key=quote(KEY, safe=""))
    assert stranger.text("h1") == "Unfinished"
    assert stranger.page.url == f"{stranger.gate.origin}/api/ui#/"
    assert stranger.page.evaluate(STORED) == KEY
    assert stranger.page.evaluate("localStorage.length") == 0
    assert stranger.context.cookies() == []
    asked = [one for one in stranger.gate.asked if not one.target.startswith("/api/ui")]
    assert asked
    assert {one.headers.get("x-functions-key") for one in asked} == {KEY}
    for one in stranger.gate.asked:
        assert "a-key-that" not in one.target
        assert "a-key-that" not in one.headers.get("referer", "")
    stranger.page.go_back()
    assert "key" not in stranger.page.url


def test_a_key_in_the_address_of_an_open_page_is_taken_too(stranger: Reader) -> None:
    stranger.open()
    stranger.page.evaluate(f"location.hash = '#key={quote(KEY, safe='')}&/doctor'")
    stranger.page.wait_for_selector("h1:has-text('Doctor')")
    assert stranger.page.url.endswith("/api/ui#/doctor")


def test_a_key_is_given_in_the_form_and_the_view_that_was_asked_for_opens(stranger: Reader) -> None:
    stranger.open("/all")
    stranger.page.get_by_label("Function key").fill(KEY)
    stranger.page.get_by_role("button", name="Open").click()
    stranger.page.wait_for_selector("h1:has-text('All recordings')")


def test_a_wrong_key_is_refused_and_forgotten(stranger: Reader) -> None:
    stranger.open(key="wrong")
    assert "did not accept that key" in stranger.text()
    assert stranger.page.evaluate(STORED) is None


def test_what_cannot_be_a_key_is_not_kept(stranger: Reader) -> None:
    stranger.open(key="%F0%9F%92%A5%0D%0AX-Other:%201")
    assert stranger.text("h1") == "A key, please"
    assert stranger.page.evaluate(STORED) is None


def test_the_key_can_be_forgotten(reader: Reader) -> None:
    reader.page.get_by_role("button", name="Forget the key").click()
    reader.page.wait_for_selector("h1:has-text('A key, please')")
    assert reader.page.evaluate(STORED) is None
    assert reader.page.locator(".row").count() == 0


def test_another_tab_does_not_have_the_key(reader: Reader) -> None:
    tab = reader.context.new_page()
    tab.goto(f"{reader.gate.origin}/api/ui")
    tab.wait_for_selector("h1:has-text('A key, please')")


def test_a_sign_in_in_front_needs_no_key(stranger: Reader) -> None:
    stranger.context.add_cookies([{"name": COOKIE, "value": "x", "url": stranger.gate.origin, "httpOnly": True}])
    stranger.open()
    assert stranger.text("h1") == "Unfinished"
    assert all("x-functions-key" not in one.headers for one in stranger.gate.asked)


@pytest.mark.parametrize("route", LISTS)
def test_no_view_shows_anything_without_a_key(stranger: Reader, route: str) -> None:
    stranger.open(route)
    assert stranger.text("h1") == "A key, please"


def test_the_address_that_make_start_prints_opens_the_page(stranger: Reader, scene: Scene) -> None:
    stack = scene.world.stack
    printed = guide(stack.services, host_url=stack.host_url)
    [address] = re.findall(r"The page\s+(\S+)", printed)
    stranger.page.goto(address)
    stranger.ready()
    assert stranger.text("h1") == "Unfinished"
    assert stranger.page.url == f"{stack.host_url}/api/ui#/"
