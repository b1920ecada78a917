"""The address of an alert in docs/operations.md."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.pages.browser import Reader
    from tests.pages.scene import Scene


def test_the_link_of_an_alert_lists_what_it_is_about(reader: Reader, scene: Scene) -> None:
    """`#/cause/CODE`: the recordings with that cause, and no others."""
    cause = scene.held.story()["cause"]
    reader.open(f"/cause/{cause}")
    shown = [text.split()[-1] for text in reader.page.locator(".row-link").all_inner_texts()]
    assert scene.held.key[:8] in shown
    assert scene.saving.key[:8] not in shown
