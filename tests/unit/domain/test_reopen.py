"""What a replay sets going, as a table over the states; and what it leaves alone."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from shared.domain import facts as f
from shared.domain.context import Context
from shared.domain.errors import Blame
from shared.domain.lifecycle import decide
from shared.domain.recording import Chunk, ChunkState, Lease, Manifest, Plan, Recording, Step
from shared.domain.steps import Rules, chunk_step, recording_steps
from tests.unit.builders import HOUR, NOON, chunk, recording

S = ChunkState
LATER = NOON + HOUR
TRIED: dict[str, Any] = {"attempts": 12, "failures": 9, "is_last_attempt_done": True, "generation": 5}
DONE: dict[str, Any] = {
    "blob": "20261122/call-1/guid/0-audiomp3.mp3",
    "size": 9,
    "sha256": "aa",
    "digest_state": "done",
    "metadata_state": "saved",
    "metadata_blob": "20261122/call-1/guid/0-acsmetadata.json",
}
OVER: dict[str, Any] = {"at_risk_from": NOON - 3 * HOUR, "abandon_after": NOON - 2 * HOUR}


def replayed(given: Recording, *, by: str = "operator") -> Recording:
    return decide(given, f.Replayed(), Context(now=NOON, random=0.5, rules=Rules(), by=by))


TABLE = {
    "expected": (chunk(0, S.EXPECTED, next_attempt_at=LATER, **TRIED), S.EXPECTED, Step.VERIFY),
    "pending": (chunk(0, S.PENDING, next_attempt_at=LATER, **TRIED), S.PENDING, Step.FETCH),
    "exhausted": (chunk(0, S.PENDING, is_exhausted=True, next_attempt_at=LATER, **TRIED), S.PENDING, Step.LAST_LOOK),
    "in fallback": (chunk(0, S.IN_FALLBACK, next_attempt_at=LATER, **DONE, **TRIED), S.IN_FALLBACK, Step.DELIVER),
    "given up": (chunk(0, S.UNDELIVERABLE, next_attempt_at=None, **DONE, **TRIED), S.IN_FALLBACK, Step.DELIVER),
    "lost, at ACS": (chunk(0, S.LOST, finished_at=NOON - HOUR, **TRIED), S.PENDING, Step.FETCH),
    "unconfirmed, at ACS": (chunk(0, S.UNCONFIRMED, finished_at=NOON, **TRIED), S.PENDING, Step.FETCH),
    "lost for good": (chunk(0, S.LOST, finished_at=NOON - HOUR, **OVER, **TRIED), S.LOST, Step.LAST_LOOK),
    "lost, no source": (chunk(0, S.LOST, sources=(), finished_at=NOON, **TRIED), S.LOST, Step.LAST_LOOK),
    "metadata waits": (
        chunk(0, S.RESCUED, next_attempt_at=LATER, **(DONE | {"metadata_state": "pending"}), **TRIED),
        S.RESCUED,
        Step.METADATA,
    ),
    "metadata given up": (
        chunk(0, S.RESCUED, next_attempt_at=None, **(DONE | {"metadata_state": "absent"}), **TRIED),
        S.RESCUED,
        Step.METADATA,
    ),
    "no digest": (
        chunk(0, S.EXPORTED, next_attempt_at=None, **(DONE | {"sha256": None, "digest_state": "unavailable"}), **TRIED),
        S.EXPORTED,
        Step.PROVE,
    ),
    "worker gone": (chunk(0, lease=Lease(Step.FETCH, "1", NOON - HOUR), **TRIED), S.PENDING, Step.FETCH),
}


@pytest.mark.parametrize(("given", "state", "step"), TABLE.values(), ids=list(TABLE))
def test_each_chunk_is_set_going_by_its_own_state(given: Chunk, state: ChunkState, step: Step) -> None:
    """Now, under a plan of its own, at the pace of the beginning; the count of attempts is kept."""
    [one] = replayed(recording(given)).chunks
    assert (one.state, chunk_step(one), one.next_attempt_at, one.generation) == (state, step, NOON, 6)
    assert (one.failures, one.attempts, one.is_last_attempt_done, one.lease) == (0, 12, False, None)


IN_PLACE = chunk(0, S.DELIVERED, next_attempt_at=None, finished_at=NOON, **DONE)


@pytest.mark.parametrize(
    "given",
    [
        recording(chunk(lease=Lease(Step.FETCH, "1", LATER))),
        recording(IN_PLACE, closed_at=NOON, manifest=Manifest("written", "m")),
        recording(
            replace(IN_PLACE, metadata_state="absent", metadata_sources=()),
            closed_at=NOON,
            manifest=Manifest("written", "m"),
        ),
    ],
    ids=["a worker is at it", "all is done", "there are no metadata"],
)
def test_where_nothing_is_to_do_nothing_is_changed(given: Recording) -> None:
    assert replayed(given) is given


def test_of_several_chunks_each_goes_its_own_way_and_a_worker_is_left_to_its_own() -> None:
    held = chunk(1, lease=Lease(Step.FETCH, "1", LATER))
    after = replayed(recording(TABLE["lost, at ACS"][0], held, replace(IN_PLACE, key="k", index=2)))
    assert after.chunks[1:] == (held, replace(IN_PLACE, key="k", index=2))
    assert after.chunks[0].state is S.PENDING


def test_what_is_taken_up_again_opens_the_recording_and_its_manifest() -> None:
    given = recording(TABLE["given up"][0], closed_at=NOON - HOUR, manifest=Manifest("given_up", "m"))
    after = replayed(given)
    assert (after.closed_at, after.manifest) == (None, Manifest("pending", "m"))
    assert (after.timeline[-1].kind, after.timeline[-1].by) == ("replayed", "operator")


@pytest.mark.parametrize("plan", ["finishing", "cleaning", "publishing"])
def test_what_failed_on_the_whole_recording_is_due_now(plan: str) -> None:
    given = recording(replace(IN_PLACE, leftovers=("x",)), **{plan: Plan(LATER, 7)})
    after = replayed(given)
    assert getattr(after, plan) == Plan()
    if plan != "publishing":
        assert all(due.at <= NOON for due in recording_steps(after, Rules()))


@pytest.mark.parametrize("closed_at", [None, NOON - HOUR])
def test_a_recording_without_an_event_is_asked_for_now(closed_at: Any) -> None:
    """One that was closed without one, too."""
    given = recording(started=None, event_check_at=LATER, ended_seen_at=NOON - HOUR, closed_at=closed_at)
    after = replayed(given)
    assert (after.event_check_at, after.closed_at) == (NOON, None)


def test_an_alert_is_raised_again_where_the_cause_lasts_and_not_before() -> None:
    """A replay says that a person has mended it: what is wrong after it is news."""
    failure = f.Failure("storage_access_denied", Blame.DESTINATION, "403", needs_person=True)
    given = recording(chunk(0, S.IN_FALLBACK, **DONE))
    moments = iter(timedelta(minutes=number) for number in range(9))

    def failed(one: Recording) -> Recording:
        fact = f.Failed(one.chunks[0].key, one.chunks[0].generation, Step.DELIVER, failure)
        return decide(one, fact, Context(now=NOON + next(moments), random=0.5, rules=Rules()))

    once = failed(failed(given))
    assert [alert.name for alert in once.outbox] == ["storage_access_denied"]
    again = decide(once, f.Replayed(), Context(now=NOON + next(moments), random=0.5, rules=Rules()))
    assert len(again.outbox) == 1
    assert [alert.name for alert in failed(failed(again)).outbox] == ["storage_access_denied"] * 2
