"""Decisions as tables: the fence, and facts about bytes at any generation."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from shared.domain import facts as f
from shared.domain.context import Context
from shared.domain.errors import Blame
from shared.domain.journal import announced
from shared.domain.lifecycle import decide
from shared.domain.media import Proof
from shared.domain.planning import noted_failure
from shared.domain.recording import IN_PLACE_STATES, TRANSITIONS, ChunkState, Lease, Step
from shared.domain.steps import Rules, chunk_step, recording_steps
from tests.unit.builders import FOLDER, HOUR, NOON, chunk, recording

if TYPE_CHECKING:
    from collections.abc import Callable

NAME = f"{FOLDER}/0-audiomp3.x.mp3"
FAILURE = f.Failure("media_unavailable", Blame.ACS, "no")


def context(hours: float = 1) -> Context:
    return Context(now=NOON + hours * HOUR, random=0.5, rules=Rules())


@pytest.mark.parametrize("state", list(ChunkState))
def test_a_chunk_moves_along_the_table_only(state: ChunkState) -> None:
    for target in ChunkState:
        if target is state or target in TRANSITIONS[state]:
            assert chunk(state=state).to(target).state is target
        else:
            with pytest.raises(ValueError, match="does not go"):
                chunk(state=state).to(target)


@pytest.mark.parametrize("state", list(ChunkState))
def test_a_plan_of_another_generation_changes_nothing(state: ChunkState) -> None:
    lease = Lease(Step.FETCH, "m", NOON)
    given = recording(chunk(state=state, generation=5, lease=lease))
    key = given.chunks[0].key
    for generation in (4, 6):
        for fact in (
            f.Failed(key, generation, Step.FETCH, FAILURE),
            f.Continued(key, generation, Step.FETCH),
            f.WorkerDied(key, generation, lease),
            f.Overdue(key, generation),
            f.NowhereFound(key, generation),
            f.StepStarted(key, generation, Step.FETCH, "m", NOON),
            f.LeaseKept(key, generation, Step.FETCH, "m", NOON + HOUR),
        ):
            assert decide(given, fact, context()) is given


@pytest.mark.parametrize("generation", [1, 5, 9])
@pytest.mark.parametrize("state", list(ChunkState))
def test_bytes_in_the_destination_count_at_any_generation(state: ChunkState, generation: int) -> None:
    given = recording(chunk(state=state, generation=5, lease=Lease(Step.FETCH, "m", NOON + 2 * HOUR)))
    key = given.chunks[0].key
    is_done = state in IN_PLACE_STATES
    export = decide(given, f.ExportFound(key, generation, NAME, 9, '"1"', Proof.LENGTH), context())
    assert export.chunks[0].state is (state if is_done else ChunkState.EXPORTED)
    stored = f.Stored(key, generation, NAME, is_fallback=False, size=9, proof=Proof.LENGTH)
    assert decide(given, stored, context()).chunks[0].state is (state if is_done else ChunkState.RESCUED)


def test_an_unproven_copy_of_a_chunk_in_the_fallback_is_a_leftover() -> None:
    given = recording(chunk(state=ChunkState.IN_FALLBACK, fallback_blob="k/a.mp3", size=9, blob="a.mp3"))
    key = given.chunks[0].key
    for name, left in (("k/b.mp3", ("k/b.mp3",)), ("k/a.mp3", ())):
        stored = f.Stored(key, 1, name, is_fallback=True, size=3, proof=Proof.NONE, refusal=FAILURE)
        after = decide(given, stored, context(30)).chunks[0]
        assert after == replace(given.chunks[0], leftovers=left)


def test_a_fetch_fails_until_the_window_is_over_and_one_last_look_was_made() -> None:
    given, now = recording(chunk(is_confirmed=True)), 0.5
    for _ in range(5000):
        one = given.chunks[0]
        if chunk_step(one) is not Step.FETCH:
            break
        given = decide(given, f.Failed(one.key, one.generation, Step.FETCH, FAILURE), context(now))
        due = given.chunks[0].next_attempt_at
        assert due is not None
        now = max((due - NOON) / timedelta(hours=1), now)
    one = given.chunks[0]
    assert chunk_step(one) is Step.LAST_LOOK
    assert one.abandon_after < NOON + now * HOUR < one.abandon_after + HOUR
    lost = decide(given, f.NowhereFound(one.key, one.generation), context(now))
    assert lost.chunks[0].state is ChunkState.LOST
    assert lost.outbox[-1].name == "lost"


@pytest.mark.parametrize(
    "fact",
    [
        lambda key: f.ExportDoubtful(key, 5, NAME, 9, FAILURE),
        lambda key: f.NowhereFound(key, 5),
        lambda key: f.Failed(key, 5, Step.LAST_LOOK, FAILURE),
        lambda key: f.StepStarted(key, 5, Step.FETCH, "m", NOON),
    ],
)
def test_a_damaged_chunk_is_set_going_by_a_person_and_by_no_late_fact(fact: Callable[[str], f.Fact]) -> None:
    """It became a chunk to be looked for without a plan: nothing was ever due for it again."""
    given = recording(chunk(state=ChunkState.DAMAGED, generation=5, blob=NAME, next_attempt_at=None), closed_at=NOON)
    assert decide(given, fact(given.chunks[0].key), context()) is given


def test_a_lease_is_taken_for_the_step_that_is_due_and_for_no_other() -> None:
    """Another worker has done it: what is due by now is another step."""
    given = recording(chunk(state=ChunkState.RESCUED, generation=5, blob=NAME))
    assert decide(given, f.StepStarted(given.chunks[0].key, 5, Step.FETCH, "m", NOON + HOUR), context()) is given


@pytest.mark.parametrize("is_same_plan", [True, False])
def test_an_export_is_gone_on_with_by_its_own_plan_and_else_by_a_new_one(*, is_same_plan: bool) -> None:
    given = recording(chunk(generation=5, next_attempt_at=None))
    fact = f.ExportFound(given.chunks[0].key, 5 if is_same_plan else 4, NAME, 9, '"1"', Proof.DIGEST, sha256="0" * 64)
    after = decide(given, fact, context()).chunks[0]
    assert (after.generation, after.next_attempt_at) == (5 if is_same_plan else 6, NOON + HOUR)


@pytest.mark.parametrize(("state", "attempts"), [(ChunkState.PENDING, 4), (ChunkState.RESCUED, 3)])
def test_only_a_failure_before_the_bytes_are_in_place_counts_as_an_attempt(state: ChunkState, attempts: int) -> None:
    after = noted_failure(chunk(state=state, attempts=3, failures=2), FAILURE, context())
    assert (after.attempts, after.failures) == (attempts, 3)


def test_a_warning_is_due_so_long_before_the_earliest_risk() -> None:
    given = recording(chunk(0, at_risk_from=NOON + 9 * HOUR), chunk(1, at_risk_from=NOON + 8 * HOUR))
    [warning] = [due for due in recording_steps(given, Rules(alert_left=(6 * HOUR, HOUR))) if due.step is Step.WARN]
    assert warning.at == NOON + 2 * HOUR


def test_what_is_owed_to_the_topic_is_numbered_on() -> None:
    given = announced(recording(alert_count=3), "completed", at=NOON)
    assert [given.alert_count, given.outbox[0].seq, given.outbox[0].is_logged] == [4, 4, False]
    after = decide(given, f.StepFailed(Step.PUBLISH, FAILURE), context())
    again = decide(after, f.StepFailed(Step.PUBLISH, FAILURE), context())
    assert [after.publishing.failures, again.publishing.failures] == [1, 2]
