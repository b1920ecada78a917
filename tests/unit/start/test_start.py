"""Starting a recording: the container is checked, ACS is asked, and what runs is never unknown to the ledger."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from shared.domain.errors import (
    AcsThrottled,
    AcsTimeout,
    AcsUnavailable,
    CallNotFound,
    ContainerNotReady,
    InvalidRequest,
    RecordingInProgress,
    StorageUnavailable,
)
from shared.domain.locations import ContainerUrl
from shared.domain.recording import RecordingState
from tests.support.fakes import CONTAINER, NOON, World, settings, watched
from tests.unit.rig import event

if TYPE_CHECKING:
    from collections.abc import Callable

    from shared.start.start import StartResult

CALL = {"serverCallId": "server-1"}


def world(**changes: Any) -> World:
    made = World(settings(**changes))
    made.acs.calls |= {"server-1", "other"}
    return made


def start(one: World, body: Any = CALL, *, key: str | None = None, **ports: Any) -> StartResult:
    return one.app(**ports).start.start(body, idempotency_key=key)


def failing(times: int, error: Exception, *names: str) -> Callable[..., Any]:
    left = [error] * times

    def around(name: str, call: Callable[[], Any], _arguments: tuple[Any, ...]) -> Any:
        if name in names and left:
            raise left.pop()
        return call()

    return around


def test_a_start_is_answered_and_written_down() -> None:
    one = world()
    place = f"{CONTAINER}/team"
    answer = start(one, CALL | {"recordingContent": "audioVideo", "containerUrl": place}).answer
    [recording_id] = one.acs.states
    key = answer["key"]
    assert answer == {
        "recordingId": recording_id,
        "key": key,
        "recordingState": "active",
        "recordingKind": "AzureCommunicationServices",
        "containerUrl": place,
        "recordingContent": "audioVideo",
        "recordingChannel": "mixed",
        "recordingFormat": "mp4",
    }
    assert one.acs.containers[recording_id] == ContainerUrl.parse(place)
    kept = one.ledger.recording(key)
    assert kept.started is not None
    assert (kept.started.locator, kept.started.locator_id, kept.started.by) == ("serverCallId", "server-1", "api")
    assert (kept.state, kept.container_url, kept.server_call_id) == (RecordingState.STARTED, place, "server-1")
    assert (kept.content_type, kept.channel_type, kept.format_type) == ("audiovideo", "mixed", "mp4")
    assert kept.event_check_at == NOON + timedelta(hours=4)
    assert one.ledger.open[key][2].due == kept.event_check_at


def test_only_a_server_call_id_is_kept_as_one() -> None:
    one = world()
    assert one.ledger.recording(start(one, {"roomId": "other"}).answer["key"]).server_call_id is None


def test_a_request_with_faults_asks_nobody_and_writes_nothing() -> None:
    one = world()
    with pytest.raises(InvalidRequest):
        start(one, {})
    assert (one.acs.states, one.ledger.documents) == ({}, {})


def test_a_container_that_is_not_ready_is_warned_of_or_refused() -> None:
    one = world()
    one.destination.exists = False
    [warning] = start(one).answer["warnings"]
    assert "container_missing" in warning
    one = world(preflight="enforce")
    one.destination.exists = False
    with pytest.raises(ContainerNotReady):
        start(one)
    assert (one.acs.states, one.ledger.documents) == ({}, {})


def test_the_same_idempotency_key_gives_the_same_answer_and_is_for_one_request() -> None:
    one = world()
    first, again = start(one, key="key-1"), start(one, key="key-1")
    assert (first.is_replay, again.is_replay) == (False, True)
    assert again.answer == first.answer
    assert len(one.acs.states) == 1
    with pytest.raises(InvalidRequest, match="another request"):
        start(one, {"serverCallId": "other"}, key="key-1")
    assert start(one, {"serverCallId": "other"}, key="key-2").answer != first.answer


def test_two_starts_with_one_key_at_the_same_moment_are_one_recording() -> None:
    """The second finds nothing remembered yet; ACS knows the repeatability id."""
    one = world()
    answers: list[StartResult] = []

    def both(name: str, call: Callable[[], Any], _arguments: tuple[Any, ...]) -> Any:
        if name == "start_recording" and not answers:
            answers.append(start(one, key="key-1"))
        return call()

    answers.append(start(one, key="key-1", acs=watched(one.acs, both)))
    assert answers[0].answer == answers[1].answer
    assert len(one.acs.states) == len(one.ledger.documents) == 1


def test_a_call_that_is_recorded_already_is_a_conflict_that_names_the_recording() -> None:
    one = world()
    key = start(one).answer["key"]
    with pytest.raises(RecordingInProgress, match=key):
        start(one)
    assert list(one.ledger.documents) == [key]


@pytest.mark.parametrize("is_ledger_down", [True, False])
def test_a_recording_of_another_program_has_no_key_here(*, is_ledger_down: bool) -> None:
    one = world()
    start(one)
    if not is_ledger_down:
        one.ledger.index.clear()
    around = failing(99, StorageUnavailable(), "entries") if is_ledger_down else failing(0, StorageUnavailable())
    with pytest.raises(RecordingInProgress) as caught:
        start(one, ledger=watched(one.ledger, around))
    assert "of this app" not in str(caught.value)


@pytest.mark.parametrize("error", [AcsUnavailable(), AcsTimeout()])
def test_a_lost_answer_is_asked_for_again_under_the_same_id(error: Exception) -> None:
    """The recording may run already: unknown to the ledger, its export could not be rescued."""
    one = world()

    def lost(name: str, call: Callable[[], Any], _arguments: tuple[Any, ...]) -> Any:
        answer = call()
        if name == "start_recording" and one.clock.paused == timedelta(0):
            raise error
        return answer

    start(one, acs=watched(one.acs, lost))
    assert len(one.acs.states) == len(one.ledger.documents) == 1


@pytest.mark.parametrize("error", [AcsUnavailable(), AcsTimeout()])
def test_an_outage_that_stays_is_answered_soon_and_leaves_the_intent(error: Exception) -> None:
    """ACS may have started it all the same: its event finds the intent."""
    one = world()
    with pytest.raises(type(error)):
        start(one, acs=watched(one.acs, failing(3, error, "start_recording")))
    assert one.clock.paused < timedelta(seconds=2)
    [key] = one.ledger.open
    one.app().intake.handle(event(subject="/recording/call/c/serverCallId/server-1/recordingId/some-id"))
    assert list(one.ledger.documents) == [key]


@pytest.mark.parametrize(
    "error", [AcsThrottled(retry_after=timedelta(seconds=9)), AcsUnavailable(retry_after=timedelta(9))]
)
def test_a_service_that_asks_for_a_pause_is_passed_on_at_once(error: Exception) -> None:
    one = world()
    with pytest.raises(type(error)):
        start(one, acs=watched(one.acs, failing(1, error, "start_recording")))
    assert one.clock.paused == timedelta(0)


def test_what_acs_refuses_leaves_neither_a_document_nor_an_id() -> None:
    one = world()
    with pytest.raises(CallNotFound):
        start(one, {"serverCallId": "unknown"})
    one.acs.connections["gone"] = "server-of-gone"
    with pytest.raises(CallNotFound):
        start(one, {"callConnectionId": "gone"})
    assert (one.ledger.documents, one.ledger.index) == ({}, {})


@pytest.mark.parametrize("of", ["create", "save", "put_entry"])
def test_a_ledger_that_fails_is_a_warning(of: str) -> None:
    """The recording runs: to answer with an error would have the caller start it again."""
    one = world()
    started = start(one, ledger=watched(one.ledger, failing(99, StorageUnavailable(), of)))
    assert started.answer["recordingId"] in one.acs.states
    assert "could not be written" in started.answer["warnings"][0]


def test_an_answer_that_cannot_be_remembered_is_given_all_the_same() -> None:
    one = world()
    ledger = watched(one.ledger, failing(99, StorageUnavailable(), "put_note"))
    assert start(one, key="key-1", ledger=ledger).answer["recordingId"] in one.acs.states
    assert one.ledger.notes == {}
    assert start(one, key="key-1").answer["recordingId"] in one.acs.states
    assert len(one.acs.states) == 1


def test_an_event_may_be_faster_than_the_start() -> None:
    one = world()

    def faster(name: str, call: Callable[[], Any], _arguments: tuple[Any, ...]) -> Any:
        started = call()
        if name == "start_recording":
            subject = f"/recording/call/c/serverCallId/server-1/recordingId/{started.recording_id}"
            one.app().intake.handle(event(subject=subject))
        return started

    answer = start(one, acs=watched(one.acs, faster)).answer
    [kept] = [one.ledger.recording(key) for key in one.ledger.documents]
    assert (kept.key, kept.recording_id) == (answer["key"], answer["recordingId"])
    assert kept.started is not None
    assert len(kept.chunks) == 1
