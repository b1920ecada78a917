"""Starting a recording: the container is checked, ACS asked once, and what runs is never unknown to us."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from shared.domain import naming
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
from shared.start.start import Started
from tests.support.fakes import CONTAINER, NOON, World, settings, watched
from tests.unit.watch_rig import told

if TYPE_CHECKING:
    from collections.abc import Callable

CALL = {"serverCallId": "call"}


def world(**changes: Any) -> World:
    made = World(settings(**changes))
    made.acs.calls |= {"call", "other"}
    return made


def start(one: World, body: Any = CALL, *, key: str | None = None, **ports: Any) -> Started:
    return one.app(**ports).start.start(body, idempotency_key=key)


def test_a_start_is_answered_and_written_down() -> None:
    one = world()
    started = start(one, CALL | {"recordingContent": "audioVideo", "containerUrl": f"{CONTAINER}/team"})
    [recording_id] = one.acs.states
    assert started == Started(
        {
            "recordingId": recording_id,
            "key": naming.recording_key(recording_id),
            "recordingState": "active",
            "recordingKind": "AzureCommunicationServices",
            "containerUrl": f"{CONTAINER}/team",
            "recordingContent": "audioVideo",
            "recordingChannel": "mixed",
            "recordingFormat": "mp4",
        }
    )
    assert one.acs.containers[recording_id] == ContainerUrl.parse(f"{CONTAINER}/team")
    kept = one.ledger.recording(naming.recording_key(recording_id))
    assert kept.started_here
    assert kept.state is RecordingState.STARTED
    assert (kept.content_type, kept.channel_type, kept.format_type) == ("audiovideo", "mixed", "mp4")
    assert kept.container_url == f"{CONTAINER}/team"
    assert kept.server_call_id == "call"
    assert kept.check_at == NOON + timedelta(hours=4)
    assert kept.marker in one.ledger.open


def test_only_a_server_call_id_is_kept_as_one() -> None:
    one = world()
    started = start(one, {"roomId": "other"})
    assert one.ledger.recording(started.answer["key"]).server_call_id is None


def test_a_request_with_faults_asks_nobody() -> None:
    one = world()
    with pytest.raises(InvalidRequest):
        start(one, {})
    assert one.acs.states == {}


def test_an_unknown_call_is_told() -> None:
    with pytest.raises(CallNotFound):
        start(world(), {"serverCallId": "unknown"})


def test_a_container_that_is_not_ready_is_warned_of_or_refused() -> None:
    one = world()
    one.destination.exists = False
    [warning] = start(one).answer["warnings"]
    assert "container_missing" in warning
    one = world(preflight="enforce")
    one.destination.exists = False
    with pytest.raises(ContainerNotReady):
        start(one)
    assert one.acs.states == {}


def test_the_same_key_gives_the_same_answer() -> None:
    one = world()
    first = start(one, key="key-1")
    again = start(one, key="key-1")
    assert (first.is_replay, again.is_replay) == (False, True)
    assert again.answer == first.answer
    assert len(one.acs.states) == 1
    assert start(one, {"serverCallId": "other"}, key="key-2").answer != first.answer


def test_a_key_is_for_one_request() -> None:
    one = world()
    start(one, key="key-1")
    with pytest.raises(InvalidRequest, match="another request"):
        start(one, {"serverCallId": "other"}, key="key-1")


def test_two_starts_with_one_key_at_the_same_moment_are_one_recording() -> None:
    """The second finds nothing remembered yet; ACS knows the repeatability id."""
    one = world()
    answers: list[Started] = []

    def both(name: str, call: Callable[[], Any], arguments: tuple[Any, ...]) -> Any:
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


def failing(times: int, error: Exception, of: str) -> Callable[..., Any]:
    left = [error] * times

    def around(name: str, call: Callable[[], Any], arguments: tuple[Any, ...]) -> Any:
        if name == of and left:
            raise left.pop()
        return call()

    return around


def test_a_conflict_is_told_without_the_ledger_too() -> None:
    one = world()
    start(one)
    ledger = watched(one.ledger, failing(9, StorageUnavailable(), "get_note"))
    with pytest.raises(RecordingInProgress) as caught:
        start(one, ledger=ledger)
    assert "of this app" not in str(caught.value)
    with pytest.raises(CallNotFound):
        start(one, {"serverCallId": "unknown"})


def test_a_recording_of_somebody_else_has_no_key_here() -> None:
    one = world()
    start(one)
    one.ledger.notes.clear()
    with pytest.raises(RecordingInProgress) as caught:
        start(one)
    assert "of this app" not in str(caught.value)


@pytest.mark.parametrize("error", [AcsUnavailable(), AcsTimeout()])
def test_a_lost_answer_is_asked_for_again_under_the_same_id(error: Exception) -> None:
    """The recording may run already: unknown to us, nobody would look after it."""
    one = world()

    def lost(name: str, call: Callable[[], Any], arguments: tuple[Any, ...]) -> Any:
        answer = call()
        if len(one.acs.states) == 1 and one.clock.paused == timedelta(0):
            raise error
        return answer

    start(one, acs=watched(one.acs, lost))
    assert len(one.acs.states) == len(one.ledger.documents) == 1


@pytest.mark.parametrize("error", [AcsUnavailable(), AcsTimeout()])
def test_an_outage_that_stays_is_told_soon(error: Exception) -> None:
    one = world()
    with pytest.raises(type(error)):
        start(one, acs=watched(one.acs, failing(3, error, "start_recording")))
    assert one.clock.paused < timedelta(seconds=2)
    start(one, acs=watched(one.acs, failing(2, error, "start_recording")))


@pytest.mark.parametrize(
    "error", [AcsThrottled(retry_after=timedelta(seconds=9)), AcsUnavailable(retry_after=timedelta(9))]
)
def test_who_is_told_to_wait_is_told_on(error: Exception) -> None:
    one = world()
    with pytest.raises(type(error)):
        start(one, acs=watched(one.acs, failing(1, error, "start_recording")))
    assert one.clock.paused == timedelta(0)


@pytest.mark.parametrize("of", ["save", "put_note", "put_marker"])
def test_a_ledger_that_fails_after_the_start_is_a_warning(of: str) -> None:
    """The recording runs: to answer with an error would have the caller start it again."""
    one = world()
    started = start(one, ledger=watched(one.ledger, failing(99, StorageUnavailable(), of)))
    assert started.answer["recordingId"] in one.acs.states
    assert "could not be written" in started.answer["warnings"][0]


def test_an_answer_that_cannot_be_remembered_is_given_all_the_same() -> None:
    one = world()
    calls = watched(one.ledger, failing_second_note())
    assert start(one, key="key-1", ledger=calls).answer["recordingId"] in one.acs.states
    assert not any(name.startswith("starts/") for name in one.ledger.notes)


def failing_second_note() -> Callable[..., Any]:
    def around(name: str, call: Callable[[], Any], arguments: tuple[Any, ...]) -> Any:
        if name == "put_note" and str(arguments[0]).startswith("starts/"):
            raise StorageUnavailable
        return call()

    return around


def test_an_event_may_be_faster_than_the_start() -> None:
    one = world()

    def faster(name: str, call: Callable[[], Any], arguments: tuple[Any, ...]) -> Any:
        started = call()
        one.app().watch.handle(told(recordingId=started.recording_id))
        return started

    started = start(one, acs=watched(one.acs, faster))
    kept = one.ledger.recording(started.answer["key"])
    assert kept.started_here
    assert len(kept.chunks) == 1
