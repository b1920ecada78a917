"""Ids, messages and addresses that look like markup stay text: no element and no script comes of them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from local.acs.documents import moment
from tests.pages.scene import MARKUP, rejected_event
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from playwright.sync_api import Dialog

    from tests.pages.browser import Reader
    from tests.pages.scene import Scene


@pytest.fixture
def quiet(reader: Reader) -> Reader:
    """Fails if any script of a text runs, or any element of it appears."""

    def heard(dialog: Dialog) -> None:
        reader.complaints.append(f"a script ran: {dialog.message}")
        dialog.dismiss()

    reader.page.on("dialog", heard)
    return reader


def is_text_only(reader: Reader) -> bool:
    return reader.page.locator("main img, main script, main iframe, [onerror], [onclick]").count() == 0


def test_hostile_ids_of_an_event_are_shown_as_text(quiet: Reader, scene: Scene) -> None:
    """An event names the call and the file as it likes."""
    recorded = scene.world.start()
    call, server_call = quote(f"call{MARKUP}", safe=""), quote(MARKUP, safe="")
    event = {
        "id": "hostile-1",
        "subject": f"/recording/call/{call}/serverCallId/{server_call}/recordingId/{recorded.id}",
        "eventType": "Microsoft.Communication.RecordingFileStatusUpdated",
        "eventTime": moment(scene.world.stack.clock.now()),
        "dataVersion": "1.0",
        "data": {
            "recordingStorageInfo": {
                "recordingChunks": [
                    {
                        "documentId": f"0-eus-d1-{MARKUP}",
                        "index": 0,
                        "endReason": MARKUP,
                        "contentLocation": f"https://evil.example/{quote(MARKUP)}",
                        "metadataLocation": "https://evil.example/m",
                        "deleteLocation": "https://evil.example/d",
                    }
                ]
            },
            "recordingStartTime": moment(scene.world.stack.clock.now()),
            "recordingDurationMs": 1000,
            "sessionEndReason": MARKUP,
        },
    }
    assert scene.world.deliver(event) == 202
    story = eventually(lambda: (one := recorded.story()) and one["chunks"] and one)
    assert MARKUP in json.dumps(story)
    quiet.open(f"/recordings/{recorded.key}")
    assert "<img src=x" in quiet.text()
    assert is_text_only(quiet)
    quiet.open("/")
    assert is_text_only(quiet)


def test_a_hostile_rejected_event_is_shown_as_text(quiet: Reader, scene: Scene) -> None:
    assert scene.world.deliver(rejected_event()) == 202
    quiet.open("/rejected")
    quiet.page.locator("summary").first.click()
    assert MARKUP in quiet.text("pre")
    assert is_text_only(quiet)


@pytest.mark.parametrize(
    "route",
    [
        f"/search?q={quote(MARKUP)}",
        f"/recordings/{quote(MARKUP, safe='')}",
        f"/all?callId={quote(MARKUP)}&state={quote(MARKUP)}&from={quote(MARKUP)}",
        f"/charts?days={quote(MARKUP)}",
        f"/{MARKUP}",
        "/recordings/..%2F..%2Fui",
        "javascript:alert(1)",
    ],
)
def test_hostile_addresses_open_nothing_but_text(quiet: Reader, route: str) -> None:
    quiet.open(route)
    assert quiet.text("h1")
    assert is_text_only(quiet)
    assert quiet.page.url.startswith(f"{quiet.gate.origin}/api/ui")


def test_another_page_may_not_frame_it(quiet: Reader) -> None:
    assert quiet.page.request.get(f"{quiet.gate.origin}/api/ui").headers["x-frame-options"] == "DENY"
