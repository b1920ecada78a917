"""Stop, pause and resume: asked of ACS once, and in the timeline with the name of who asked."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from shared.api.actions import Verb
from shared.api.views import RecordingUnknown
from shared.domain import errors as e
from tests.support.fakes import World, watched
from tests.unit.rig import event


class Running:
    """A recording that was started by the app."""

    def __init__(self) -> None:
        self.world = World()
        self.world.acs.calls.add("call")
        self.app = self.world.app()
        self.answer = self.app.start.start({"serverCallId": "call"}, idempotency_key=None, by="key:ci").answer
        self.id = str(self.answer["recordingId"])

    def timeline(self) -> list[tuple[str, str]]:
        recording = self.world.ledger.recording(self.answer["key"])
        return [(entry.kind, entry.by) for entry in recording.timeline]


@pytest.mark.parametrize("identity", ["recordingId", "key"])
def test_each_verb_is_done_and_noted(identity: str) -> None:
    running = Running()
    for verb, state in ((Verb.PAUSE, "inactive"), (Verb.RESUME, "active"), (Verb.STOP, "inactive")):
        answer = running.app.actions.act(running.answer[identity], verb, by="entra:somebody")
        assert answer == {"recordingId": running.id, "key": running.answer["key"], "recordingState": state}
        assert running.world.acs.states[running.id] == state
    done = [("paused", "entra:somebody"), ("resumed", "entra:somebody"), ("stopped", "entra:somebody")]
    assert running.timeline() == [("started", "key:ci"), *done]


def test_what_acs_refuses_is_not_noted() -> None:
    running = Running()
    with pytest.raises(e.ActionNotAllowed):
        running.app.actions.act(running.id, Verb.RESUME, by="api")
    running.app.actions.act(running.id, Verb.STOP, by="api")
    for verb in Verb:
        with pytest.raises(e.RecordingNotFound):
            running.app.actions.act(running.id, verb, by="api")
    assert [kind for kind, _ in running.timeline()] == ["started", "stopped"]


def test_a_recording_that_this_app_does_not_know_is_not_asked_for() -> None:
    with pytest.raises(RecordingUnknown):
        Running().app.actions.act("unknown", Verb.STOP, by="api")


def test_a_start_without_an_answer_cannot_be_stopped_yet() -> None:
    running = Running()
    key = running.answer["key"]
    version = running.world.ledger.load(key)
    assert version is not None
    running.app.store.commit(key, version, lambda before: before and _without_id(before))
    with pytest.raises(e.RecordingNotFound, match="no recordingId yet"):
        running.app.actions.act(key, Verb.STOP, by="api")


def _without_id(recording: Any) -> Any:
    return replace(recording, recording_id=None)


def test_a_ledger_that_fails_afterwards_is_a_warning() -> None:
    """ACS has stopped: an error would have the caller stop again what is no more."""
    running = Running()

    def failing(name: str, call: Any, _arguments: Any) -> Any:
        if name == "save":
            raise e.StorageUnavailable
        return call()

    app = running.world.app(ledger=watched(running.world.ledger, failing))
    answer = app.actions.act(running.id, Verb.STOP, by="api")
    assert running.world.acs.states[running.id] == "inactive"
    assert "timeline" in answer["warnings"][0]


def test_a_closed_recording_keeps_its_state() -> None:
    """ACS may still know it: what it did is noted, and nothing is opened."""
    running = Running()
    subject = f"/recording/call/c/serverCallId/call/recordingId/{running.id}"
    running.app.intake.handle(event(subject=subject))
    before = running.world.ledger.recording(running.answer["key"])
    running.app.actions.act(running.id, Verb.STOP, by="api")
    after = running.world.ledger.recording(running.answer["key"])
    assert (after.state, after.chunks) == (before.state, before.chunks)
