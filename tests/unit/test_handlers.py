"""What each function does with what its trigger decoded: errors of HTTP become answers, all others go to the host."""

from __future__ import annotations

import asyncio
import json
import threading
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import azure.functions as func
import pytest

import function_app
from shared import app as app_module
from shared import handlers, http
from shared.domain.errors import StorageUnavailable
from shared.domain.facets import facets
from shared.domain.naming import recording_key
from shared.domain.recording import ChunkState, Manifest
from shared.index import finished_entry
from shared.ports import OpenEntry, WorkItem
from shared.settings import SettingsError
from shared.worker.message import encode_message
from tests.support.fakes import MediaFile, World, watched
from tests.unit.builders import HOUR, MEDIA, METADATA, NOON, chunk, recording
from tests.unit.rig import event, mp3

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from shared.api.responses import Response


@pytest.fixture
def world() -> Iterator[World]:
    """The process's app, over fakes."""
    made = World()
    made.acs.calls.add("call")
    app_module._built[:] = [made.app()]
    yield made
    app_module._built.clear()


@pytest.fixture
def broken(world: World) -> World:
    """The same, where every call of the ledger fails in a way nobody thought of."""

    def failing(name: str, call: Callable[[], Any], arguments: tuple[Any, ...]) -> Any:
        raise KeyError("SECRET of +15551234567")

    app_module._built[:] = [world.app(ledger=watched(world.ledger, failing))]
    return world


def post(body: Any, **headers: str) -> Response:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return handlers.start_recording(data, {name.replace("_", "-"): value for name, value in headers.items()})


def test_a_start_is_created_with_its_location(world: World) -> None:
    given = post({"serverCallId": "call"}, content_type="application/json; charset=utf-8")
    document = json.loads(given.body)
    assert given.status == 201
    assert given.headers == {"Location": f"/api/recordings/{document['key']}"}
    assert given.mimetype == "application/json"
    assert handlers.get_recording(document["recordingId"]).status == 200
    assert [one["key"] for one in json.loads(handlers.list_recordings("/api/recordings").body)["recordings"]] == [
        document["key"]
    ]


def test_a_repeated_start_says_so(world: World) -> None:
    first = post({"serverCallId": "call"}, idempotency_key="k")
    again = post({"serverCallId": "call"}, idempotency_key="k")
    assert again.body == first.body
    assert again.headers["Idempotent-Replayed"] == "true"
    assert "Idempotent-Replayed" not in first.headers


@pytest.mark.parametrize(
    ("body", "headers", "status", "code"),
    [
        (b"", {}, 400, "not_json"),
        (b"{", {}, 400, "not_json"),
        (b"\xff", {}, 400, "not_json"),
        (b"[" * 60_000, {}, 400, "not_json"),
        (b"9" * 5_000, {}, 400, "not_json"),
        (b"x" * (64 * 1024 + 1), {}, 413, "body_too_large"),
        (b"{}", {"content_type": "text/plain"}, 415, "wrong_media_type"),
        (b"{}", {"content_type": "application/x-www-form-urlencoded"}, 415, "wrong_media_type"),
        (b"{}", {"content_type": "application/json"}, 400, "invalid_request"),
        (b"{}", {"content_type": "application/vnd.x+json"}, 400, "invalid_request"),
        (b"{}", {"idempotency_key": "a b"}, 400, "invalid_request"),
        (b'{"serverCallId": "unknown"}', {}, 404, "call_not_found"),
    ],
)
def test_a_request_that_cannot_be_carried_out_is_a_problem(
    world: World, body: bytes, headers: dict[str, str], status: int, code: str
) -> None:
    given = post(body, **headers)
    assert (given.status, json.loads(given.body)["code"]) == (status, code)
    assert given.mimetype == "application/problem+json"


def test_an_unknown_recording_and_a_bad_query_are_problems(world: World) -> None:
    assert handlers.get_recording("unknown").status == 404
    assert handlers.list_recordings("/api/recordings?state=odd&limit=x&cursor=!").status == 400


def test_a_replay_says_what_it_set_going_or_that_there_is_nothing_to_do(world: World) -> None:
    one = recording(chunk(0, next_attempt_at=NOON + HOUR))
    world.ledger.create(one, entry=OpenEntry(one.key, NOON, None, "saving"))
    given = handlers.replay_recording("recording-1", {})
    assert (given.status, given.mimetype) == (202, "application/json")
    document = json.loads(given.body)
    assert document["chunks"][0]["nextAttemptAt"] == "2026-11-22T12:00:00.000Z"
    reason = "fetched from ACS now"
    chunks = [{"index": 0, "outcome": "going", "reason": reason}]
    assert document["replay"] == {"outcome": "going", "reason": reason, "chunks": chunks}
    assert len(world.queue.waiting) == 1
    done = chunk(0, ChunkState.RESCUED, metadata_state="saved")
    closed = recording(done, key=recording_key("done"), manifest=Manifest("written"), closed_at=NOON)
    world.ledger.archive(closed, etag=None)
    given = handlers.replay_recording(closed.key, {})
    assert (given.status, json.loads(given.body)["replay"]["outcome"]) == (200, "nothing_to_do")
    given = handlers.replay_recording("unknown", {})
    assert (given.status, given.mimetype) == (404, "application/problem+json")
    assert json.loads(given.body)["code"] == "recording_unknown"


def test_an_unexpected_error_is_answered_without_its_text_and_logged(
    broken: World, caplog: pytest.LogCaptureFixture
) -> None:
    given = handlers.get_recording("x")
    assert given.status == 500
    assert "SECRET" not in given.body.decode()
    assert "http.failed" in caplog.text
    assert "5551234567" not in caplog.text


def test_an_unexpected_error_of_another_trigger_goes_to_the_host(
    broken: World, caplog: pytest.LogCaptureFixture
) -> None:
    """Event Grid delivers again, the queue too; the cause is logged here, for only the last exception crosses."""
    body = encode_message(WorkItem("0" * 32, "0" * 16, 1))
    actions: list[Callable[[], None]] = [
        lambda: handlers.recording_file_status_updated(event()),
        handlers.sweep,
        lambda: asyncio.run(handlers.work(body, message_id="1")),
    ]
    for action in actions:
        caplog.clear()
        with pytest.raises(KeyError):
            action()
        assert "function.failed" in caplog.text


def test_an_event_is_recorded(world: World) -> None:
    handlers.recording_file_status_updated(event())
    assert len(world.ledger.open) == 1


def test_the_timer_sweeps(world: World) -> None:
    world.queue.poison = [b"nonsense"]
    handlers.sweep()
    assert world.queue.poison == []


def rescuable(world: World) -> bytes:
    one = recording(chunk(0))
    world.ledger.create(one, entry=OpenEntry(one.key, NOON, None, "saving"))
    world.media.files[MEDIA.format(chunk(0).document_id)] = MediaFile(mp3())
    world.media.files[METADATA.format(chunk(0).document_id)] = MediaFile(b"{}")
    return encode_message(WorkItem(one.key, one.chunks[0].key, 1))


def test_a_message_is_handled_in_a_thread_of_our_own_that_logs_for_its_invocation(world: World) -> None:
    """Sync functions of the host have few threads; rescues must not take them."""
    seen: list[str] = []
    context = SimpleNamespace(invocation_id="invocation", thread_local_storage=threading.local())

    def noting(name: str, call: Callable[[], Any], arguments: tuple[Any, ...]) -> Any:
        seen.append(f"{threading.current_thread().name} {context.thread_local_storage.invocation_id}")
        return call()

    app_module._built[:] = [world.app(media=watched(world.media, noting))]
    asyncio.run(handlers.work(rescuable(world), message_id="1", context=context))
    assert world.ledger.recording(recording().key).chunks[0].state is ChunkState.RESCUED
    assert all(one.startswith("rescue") and one.endswith(" invocation") for one in seen)
    assert seen


def test_a_foreign_message_is_dropped_and_logged(world: World, caplog: pytest.LogCaptureFixture) -> None:
    asyncio.run(handlers.work(b"nonsense", message_id="1"))
    assert "work.foreign" in caplog.text
    assert world.ledger.open == {}


def test_settings_that_are_not_usable_are_told_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """And the app comes up by itself once they are mended: nothing is remembered."""
    monkeypatch.setenv("AzureWebJobsStorage", "")
    monkeypatch.delenv("RECORDING_CONTAINER_URL", raising=False)
    for _ in range(2):
        given = handlers.get_recording("x")
        assert (given.status, json.loads(given.body)["code"]) == (500, "not_configured")
        with pytest.raises(SettingsError):
            handlers.sweep()


def test_a_storage_that_is_away_is_503(world: World) -> None:
    def failing(name: str, call: Callable[[], Any], arguments: tuple[Any, ...]) -> Any:
        raise StorageUnavailable

    app_module._built[:] = [world.app(ledger=watched(world.ledger, failing))]
    for given in (handlers.get_recording("x"), handlers.replay_recording("x", {})):
        assert given.status == 503
        assert given.headers["Retry-After"] == "5"


# --- through the functions themselves


def called(function: Any, *arguments: Any) -> Any:
    """The user's function behind a decorated one."""
    return function._function.get_user_function()(*arguments)


def test_the_functions_hand_over_what_they_got(world: World) -> None:
    context = SimpleNamespace()
    request = func.HttpRequest(
        "POST", "/api/recordings", headers={"Content-Type": "application/json"}, body=b'{"serverCallId": "call"}'
    )
    answer = called(function_app.start_recording, request, context)
    assert (answer.status_code, answer.mimetype) == (201, "application/json")
    key = json.loads(answer.get_body())["key"]
    assert answer.headers["Location"] == f"/api/recordings/{key}"
    one = func.HttpRequest("GET", "/x", route_params={"recordingId": key}, body=b"")
    assert called(function_app.get_recording, one).status_code == 200
    again = func.HttpRequest("POST", "/x", route_params={"recordingId": key}, body=b"anything at all")
    assert called(function_app.replay_recording, again, context).status_code == 202
    some = func.HttpRequest("GET", "/api/recordings?limit=0", body=b"")
    assert called(function_app.list_recordings, some).status_code == 400
    assert called(function_app.recording_file_status_updated, event(), context) is None
    assert called(function_app.sweep, None, context) is None


@pytest.mark.parametrize(
    "function", [function_app.rescue_chunk, function_app.rescue_urgent_chunk, function_app.background_work]
)
def test_all_queues_lead_to_the_same_worker(world: World, function: Any) -> None:
    message = SimpleNamespace(get_body=lambda: rescuable(world), id=None)
    assert asyncio.run(called(function, message, SimpleNamespace())) is None
    assert world.ledger.recording(recording().key).chunks[0].state is ChunkState.RESCUED


def test_who_replays_and_verifies_is_in_the_timeline(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEBSITE_AUTH_ENABLED", "True")
    headers = {"x-ms-client-principal-id": "someone", "content-type": "application/json"}
    done = chunk(0, ChunkState.RESCUED, metadata_state="saved", blob="a.mp3", size=3)
    one = recording(done, manifest=Manifest("written"), closed_at=NOON)
    world.ledger.create(one, entry=OpenEntry(one.key, NOON, None, "complete", facets(one)))
    name, metadata = finished_entry(one) or ("", {})
    world.ledger.put_entry(name, metadata)
    asked = [
        http.verify_recording(one.key, headers),
        http.verify_recordings(b'{"dryRun": false, "state": "all"}', headers),
        http.replay_recordings(b'{"dryRun": false, "state": "all"}', headers),
        handlers.replay_recording(one.key, headers),
    ]
    assert [given.status for given in asked] == [202, 200, 200, 202]
    timeline = world.ledger.recording(one.key).timeline
    by = {(entry.kind, entry.by, entry.count) for entry in timeline if entry.kind in ("replayed", "verification")}
    assert by == {("verification", "entra:someone", 2), ("replayed", "entra:someone", 2)}
