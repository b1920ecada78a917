"""Replays and verifications in bulk: what a body selects, a dry run first, page by page."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from shared.domain.errors import Blame, InvalidRequest, StorageUnavailable
from shared.domain.journal import PendingAlert
from shared.domain.naming import recording_key
from shared.domain.recording import ChunkState, Lease, Manifest, Problem, Step
from tests.support.fakes import World, watched
from tests.support.fakes.storage import Blob
from tests.unit.builders import CONTAINER_URL, FOLDER, HOUR, NOON, chunk, recording

if TYPE_CHECKING:
    from collections.abc import Callable

S = ChunkState
DENIED = Problem("storage_access_denied", Blame.DESTINATION, "403", NOON)
NAME = f"{FOLDER}/0-audiomp3.x.mp3"


@pytest.fixture
def world() -> World:
    return World()


def made(world: World, name: str, state: ChunkState = S.PENDING, *, is_closed: bool = False, **changes: Any) -> str:
    """A recording that began at noon less its name's number of hours; the clock stays where it is."""
    of_chunk: dict[str, Any] = {
        key: changes.pop(key) for key in ("last_error", "lease", "abandon_after", "sources") if key in changes
    }
    if state in (S.EXPORTED, S.RESCUED, S.DELIVERED):
        of_chunk |= {"blob": NAME, "size": 3, "etag": "1", "sha256": "aa", "metadata_state": "saved"}
    one = chunk(0, state, **({"next_attempt_at": NOON + HOUR} | of_chunk))
    plain = recording(one, key=recording_key(name), recording_id=name, created_at=NOON - int(name[1:]) * HOUR,
                      recording_start=None, closed_at=NOON if is_closed else None,
                      manifest=Manifest("written" if is_closed else "pending"), **changes)  # fmt: skip
    world.app().store.commit(plain.key, None, lambda _none: plain)
    world.queue.waiting.clear()
    return plain.key


def outcomes(answer: dict[str, Any]) -> dict[str, str]:
    return {one["recordingId"]: one["outcome"] for one in answer["results"]}


def state_of(world: World) -> dict[str, bytes]:
    return {key: data for key, (data, _) in world.ledger.documents.items()}


def test_a_dry_run_is_the_default_and_changes_nothing(world: World) -> None:
    made(world, "r1", last_error=DENIED)
    made(world, "r2", lease=Lease(Step.FETCH, "m", NOON + timedelta(minutes=6)))
    before = state_of(world)
    answer = world.app().replays.run({})
    assert (answer["dryRun"], answer["matched"], answer["going"]) == (True, 2, 1)
    assert outcomes(answer) == {"r1": "going", "r2": "held"}
    assert "held by a worker (fetch) until 12:06Z" in answer["results"][1]["reason"]
    assert (state_of(world), world.queue.waiting) == (before, [])
    done = world.app().replays.run({"dryRun": False}, by="key:night")
    assert {**done, "dryRun": True} == answer
    assert [one.item.recording_key for one in world.queue.waiting] == [recording_key("r1")]
    after = world.ledger.recording(recording_key("r1"))
    assert [(entry.kind, entry.by) for entry in after.timeline] == [("replayed", "key:night")]


SELECTED: list[tuple[dict[str, Any], set[str]]] = [
    ({}, {"r1", "r2", "r3", "r4", "r5"}),
    ({"state": "unfinished"}, {"r1", "r2", "r5"}),
    ({"state": "lost"}, {"r3"}),
    ({"state": "safe"}, {"r4"}),
    ({"state": "complete"}, {"r9"}),
    ({"state": "all"}, {"r1", "r2", "r3", "r4", "r5", "r9"}),
    ({"cause": "storage_access_denied"}, {"r2", "r4"}),
    ({"container": f"{CONTAINER_URL}-b"}, {"r5"}),
    ({"from": "2026-11-22T09:00:00Z"}, {"r1", "r2", "r3"}),
    ({"to": "2026-11-22T09:00:00Z"}, {"r4", "r5"}),
    ({"cause": "storage_access_denied", "to": "2026-11-22T09:00:00Z"}, {"r4"}),
]


@pytest.mark.parametrize(("body", "selected"), SELECTED)
def test_a_body_selects_by_cause_container_state_and_period(
    world: World, body: dict[str, Any], selected: set[str]
) -> None:
    made(world, "r1")
    made(world, "r2", last_error=DENIED)
    made(world, "r3", S.LOST, is_closed=True)
    made(world, "r4", S.UNDELIVERABLE, is_closed=True, last_error=DENIED)
    made(world, "r5", container_url=f"{CONTAINER_URL}-b")
    made(world, "r9", S.RESCUED, is_closed=True)
    answer = world.app().replays.run(body)
    assert set(outcomes(answer)) == selected
    assert answer["matched"] == len(selected)
    assert [one["recordingId"] for one in answer["results"]] == sorted(selected)  # newest first


def test_no_alert_is_erased_and_none_that_is_owed_is_lost(world: World) -> None:
    owed = PendingAlert(1, "storage_access_denied", "error", NOON, 0)
    key = made(world, "r1", last_error=DENIED, outbox=(owed,), alert_count=1)
    world.app().replays.run({"dryRun": False})
    after = world.ledger.recording(key)
    assert (after.outbox, after.alert_count) == ((owed,), 1)


def test_a_call_is_bounded_and_the_next_one_goes_on_where_it_ended(world: World) -> None:
    names = [f"r{number}" for number in range(1, 8)]
    for name in names:
        made(world, name)
    seen: list[str] = []
    body: dict[str, Any] = {"dryRun": False, "limit": 3}
    for _ in range(5):
        answer = world.app().replays.run(body)
        assert len(answer["results"]) <= 3
        seen += outcomes(answer)
        if "nextCursor" not in answer:
            break
        body["cursor"] = answer["nextCursor"]
    assert seen == names


def test_a_call_whose_time_is_over_says_where_to_go_on(world: World) -> None:
    names = [f"r{number}" for number in range(1, 5)]
    for name in names:
        made(world, name)

    def slow(name: str, call: Callable[[], Any], _arguments: tuple[Any, ...]) -> Any:
        if name == "save":
            world.clock.advance(timedelta(seconds=60))
        return call()

    app = world.app(ledger=watched(world.ledger, slow))
    first = app.replays.run({"dryRun": False})
    assert list(outcomes(first)) == ["r1", "r2"]
    second = app.replays.run({"dryRun": False, "cursor": first["nextCursor"]})
    assert list(outcomes(second)) == ["r3", "r4"]
    assert "nextCursor" not in second


def test_one_that_fails_for_longer_than_a_call_does_not_end_the_pages(world: World) -> None:
    """Its place is not known: a cursor in front of it would be empty, or come to it again for ever."""
    for name in ("r1", "r2", "r3"):
        made(world, name)
    loads: list[str] = []

    def failing(name: str, call: Callable[[], Any], arguments: tuple[Any, ...]) -> Any:
        if name == "load":
            loads.append(arguments[0])
            if loads.count(recording_key("r1")) > 1 and arguments[0] == recording_key("r1"):  # the first is the list's
                world.clock.advance(timedelta(seconds=120))
                raise StorageUnavailable("503")
        return call()

    app = world.app(ledger=watched(world.ledger, failing))
    answer = app.replays.run({"dryRun": False})
    assert outcomes(answer) == {"r1": "failed", "r2": "going"}
    last = app.replays.run({"dryRun": False, "cursor": answer["nextCursor"]})
    assert outcomes(last) == {"r3": "going"}
    assert "nextCursor" not in last


def test_one_that_fails_holds_no_other_up(world: World) -> None:
    for name in ("r1", "r2", "r3"):
        made(world, name)

    def failing(name: str, call: Callable[[], Any], arguments: tuple[Any, ...]) -> Any:
        if name == "save" and arguments[0].recording_id == "r2":
            raise StorageUnavailable("503")
        return call()

    answer = world.app(ledger=watched(world.ledger, failing)).replays.run({"dryRun": False})
    assert outcomes(answer) == {"r1": "going", "r2": "failed", "r3": "going"}
    assert answer["results"][1]["reason"].startswith("storage_unavailable")


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ([], {""}),
        (None, {""}),
        ({"cause": " media_not_found"}, {"cause"}),
        ({"dryrun": False}, {"dryrun"}),
        ({"dryRun": "no", "limit": "3", "state": 1, "color": 2}, {"dryRun", "limit", "state", "color"}),
        ({"state": "odd", "from": "yesterday", "container": "x"}, {"state", "from", "container"}),
        ({"limit": 0}, {"limit"}),
        ({"limit": 10**400}, {"limit"}),
        ({"limit": True}, {"limit"}),
        ({"cursor": "!"}, {"cursor"}),
        ({"from": "2026-11-22", "to": "2026-11-21", "": 1}, {"to", "(empty)"}),
    ],
)
def test_every_fault_of_a_body_is_named(world: World, body: Any, fields: set[str]) -> None:
    for use in (world.app().replays, world.app().verifications):
        with pytest.raises(InvalidRequest) as caught:
            use.run(body)
        assert {fault.field for fault in caught.value.faults} == fields


def test_verifications_count_first_and_then_look_at_what_is_finished(world: World) -> None:
    world.destination.blobs[NAME] = Blob(b"abc", "1", "audio/mpeg")
    made(world, "r1", S.RESCUED, is_closed=True)
    made(world, "r2", S.LOST, is_closed=True)
    made(world, "r3")
    before = state_of(world)
    answer = world.app().verifications.run({})
    assert outcomes(answer) == {"r1": "would_look", "r2": "nothing_to_do"}
    assert (answer["matched"], answer["damaged"], answer["results"][0]["files"]) == (2, 0, 1)
    assert state_of(world) == before
    looked = world.app().verifications.run({"dryRun": False}, by="key:night")
    assert outcomes(looked) == {"r1": "intact", "r2": "nothing_to_do"}
    assert looked["results"][0]["digest"] == "pending"
    del world.destination.blobs[NAME]
    gone = world.app().verifications.run({"dryRun": False, "state": "complete", "from": "2026-11-22"})
    assert (outcomes(gone), gone["damaged"]) == ({"r1": "missing"}, 1)
    assert outcomes(world.app().replays.run({"state": "damaged"})) == {"r1": "going"}
    # Damage is a cause, as any other failure.
    assert outcomes(world.app().replays.run({"cause": "damaged"})) == {"r1": "going"}


def test_what_is_in_place_and_cannot_be_closed_is_selected_as_unfinished(world: World) -> None:
    """Its manifest is refused: no chunk waits for anything, and the recording is not finished."""
    made(world, "r1", S.RESCUED)
    for body in ({}, {"state": "unfinished"}, {"state": "all"}):
        assert set(outcomes(world.app().replays.run(body))) == {"r1"}, body
