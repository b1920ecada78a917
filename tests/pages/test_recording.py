"""One recording: timeline, files, proofs, text for support; and the actions on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.e2e.support import plan
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from tests.pages.browser import Reader
    from tests.pages.scene import Scene


def test_files_are_shown_with_their_proofs(reader: Reader, scene: Scene) -> None:
    reader.open(f"/recordings/{scene.exported.key}")
    story = scene.of(scene.exported.key)
    assert reader.page.locator(".chunk").count() == 2
    first = reader.text(".chunk")
    assert "Exported" in first
    assert "400,000 bytes" in first
    assert "Your container" in first
    assert story["chunks"][0]["sha256"][:12] in first
    assert story["manifest"]["blob"][-8:] in reader.text(".summary")


def test_what_was_asked_for_and_both_ends_of_the_window_are_shown(reader: Reader, scene: Scene) -> None:
    summary = reader.open(f"/recordings/{scene.saving.key}").text(".summary")
    assert "audio, mp3, mixed" in summary
    assert "Window ends, earliest" in summary
    assert "Window ends, latest" in summary
    assert "23 h" in summary


def test_the_timeline_can_be_narrowed_to_what_failed(reader: Reader, scene: Scene) -> None:
    reader.open(f"/recordings/{scene.held.key}")
    moments = reader.page.locator(".moment")
    everything = moments.count()
    assert "Stored in the fallback" in reader.text(".timeline")
    box = reader.page.get_by_label("Failed only")
    box.check()
    failed = moments.count()
    assert 0 < failed < everything
    assert "Stored in the fallback" not in reader.text(".timeline")
    assert "container_missing" in reader.text(".timeline")
    reader.page.wait_for_timeout(5_500)  # over a refresh
    assert box.is_checked()
    assert moments.count() < everything
    box.uncheck()
    assert moments.count() >= everything


def test_every_error_is_shown_with_its_trace_id(reader: Reader, scene: Scene) -> None:
    reader.open(f"/recordings/{scene.held.key}")
    reader.page.locator(".errors summary").first.click()
    trace = scene.of(scene.held.key)["chunks"][0]["lastError"]["traceId"]
    assert "trace" in reader.text(".error-list")
    assert len(trace) > 20


def test_the_text_for_support_is_copied(reader: Reader, scene: Scene) -> None:
    reader.open(f"/recordings/{scene.saving.key}")
    reader.page.get_by_role("button", name="Copy the text").click()
    reader.page.wait_for_selector("#toast:has-text('Copied')")
    copied = reader.page.evaluate("navigator.clipboard.readText()")
    story = scene.of(scene.saving.key)
    for value in (story["recordingId"], story["callId"], story["serverCallId"], story["chunks"][0]["documentId"]):
        assert value in copied
    assert "media_unavailable" in copied
    assert "skype.com" not in copied
    assert "sig=" not in copied


def test_a_replay_asks_first_and_says_what_it_set_going(reader: Reader, scene: Scene) -> None:
    before = len(scene.world.logged("recording.replayed", recording=scene.held_too.key))
    reader.open(f"/recordings/{scene.held_too.key}")
    reader.page.get_by_role("button", name="Replay").click()
    dialog = reader.page.get_by_role("dialog", name="Replay this recording?")
    assert "No alert and no entry is erased" in dialog.inner_text()
    assert len(scene.world.logged("recording.replayed", recording=scene.held_too.key)) == before
    dialog.get_by_role("button", name="Cancel").click()
    assert dialog.count() == 0
    reader.page.get_by_role("button", name="Replay").click()
    dialog.get_by_role("button", name="Replay").click()
    dialog.locator(".results li").first.wait_for()
    assert "Set going" in dialog.inner_text()
    assert "Would go on" not in dialog.inner_text()
    assert "File 1: delivered from the fallback now" in dialog.inner_text()
    eventually(lambda: len(scene.world.logged("recording.replayed", recording=scene.held_too.key)) == before + 1)
    dialog.get_by_role("button", name="Close").click()
    reader.page.wait_for_selector(".moment:has-text('Replay asked for')")


def test_a_recording_that_runs_is_paused_resumed_and_stopped(reader: Reader, scene: Scene) -> None:
    recorded = scene.world.start()
    reader.open(f"/recordings/{recorded.key}")
    for name, state in (("Pause", "inactive"), ("Resume", "active"), ("Stop", None)):
        reader.page.locator(".actions").get_by_role("button", name=name).click()
        dialog = reader.page.get_by_role("dialog", name=f"{name} this recording?")
        dialog.get_by_role("button", name=name).click()
        dialog.locator(".panel.good").wait_for()
        assert state is None or state in dialog.inner_text()
        dialog.get_by_role("button", name="Close").click()
    reader.page.wait_for_selector(".moment:has-text('stopped')")


def test_an_action_that_fails_says_why(reader: Reader, scene: Scene) -> None:
    """ACS no longer knows a recording that has ended; the page does not know that yet."""
    recorded = scene.world.start()
    reader.open(f"/recordings/{recorded.key}")
    recorded.end(plan(1_000, publish_event=False))
    reader.page.locator(".actions").get_by_role("button", name="Pause").click()
    dialog = reader.page.get_by_role("dialog")
    dialog.get_by_role("button", name="Pause").click()
    dialog.get_by_role("alert").wait_for()
    assert "HTTP 4" in dialog.inner_text()
    assert "/pause" in dialog.inner_text()


def test_a_recording_that_is_not_known_is_a_404_on_the_page(reader: Reader) -> None:
    reader.open("/recordings/" + "0" * 32)
    assert "No such recording" in reader.text("[role=alert]")
    assert "HTTP 404" in reader.text("[role=alert]")
