"""The states of a chunk, and the picture of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from shared.domain.journal import alerted, noted
from shared.domain.lifecycle import states_diagram
from shared.domain.recording import SAFE_STATES, TRANSITIONS, ChunkState, RecordingState
from tests.unit.builders import HOUR, NOON, chunk, recording

if TYPE_CHECKING:
    from datetime import datetime


def test_the_diagram_in_the_documentation_is_the_table() -> None:
    page = Path(__file__).parents[3] / "docs" / "architecture.md"
    assert f"```mermaid\n{states_diagram()}\n```" in page.read_text()


def test_every_state_is_in_the_table_and_can_be_reached() -> None:
    assert set(TRANSITIONS) == set(ChunkState)
    reached = {ChunkState.EXPECTED, ChunkState.PENDING}
    while more := {target for state in reached for target in TRANSITIONS[state]} - reached:
        reached |= more
    assert reached == set(ChunkState)


def test_bytes_that_are_safe_become_unsafe_only_where_a_look_finds_them_gone() -> None:
    """From the fallback: fetched again, or lost. From the destination: damaged, by a check that a person asked for."""
    ways = {
        (state, target)
        for state in SAFE_STATES
        for target in TRANSITIONS[state]
        if target not in SAFE_STATES and target is not ChunkState.DAMAGED
    }
    assert ways == {
        (ChunkState.IN_FALLBACK, ChunkState.PENDING),
        (ChunkState.IN_FALLBACK, ChunkState.LOST),
        (ChunkState.UNDELIVERABLE, ChunkState.PENDING),
    }


S, R = ChunkState, RecordingState
WORST = [
    ((), None, R.STARTED),
    ((), NOON, R.NO_EVENT),
    ((S.EXPORTED, S.RESCUED, S.DELIVERED), NOON, R.COMPLETE),
    ((S.EXPORTED, S.IN_FALLBACK), None, R.SAFE),
    ((S.EXPORTED, S.UNDELIVERABLE), NOON, R.SAFE),
    ((S.LOST, S.IN_FALLBACK), None, R.LOST),
    ((S.LOST, S.UNDELIVERABLE), NOON, R.LOST),
    ((S.DAMAGED, S.LOST, S.PENDING), None, R.DAMAGED),
    ((S.UNCONFIRMED, S.IN_FALLBACK), None, R.UNCONFIRMED),
    ((S.UNCONFIRMED, S.PENDING), None, R.SAVING),
    ((S.LOST, S.EXPORTED), NOON, R.LOST),
    ((S.LOST, S.UNCONFIRMED), NOON, R.LOST),
    ((S.UNCONFIRMED, S.RESCUED), NOON, R.UNCONFIRMED),
    ((S.LOST, S.PENDING), None, R.LOST),
    ((S.IN_FALLBACK, S.EXPECTED), None, R.SAVING),
]


@pytest.mark.parametrize(("states", "closed_at", "expected"), WORST)
def test_a_recordings_state_is_that_of_its_worst_chunk(
    states: tuple[ChunkState, ...], closed_at: datetime | None, expected: RecordingState
) -> None:
    chunks = (chunk(index, state) for index, state in enumerate(states))
    assert recording(*chunks, closed_at=closed_at).state is expected


def test_a_chunk_is_replaced_by_its_key_and_no_other_is_taken_in() -> None:
    one = recording(chunk(0), chunk(1))
    changed = replace(one.chunks[1], attempts=3)
    assert one.with_chunk(changed).chunks == (one.chunks[0], changed)
    with pytest.raises(ValueError, match="has no chunk"):
        one.with_chunk(chunk(2))


def test_a_timeline_folds_what_repeats_and_is_bounded_except_for_alerts() -> None:
    one = recording(chunk(0), chunk(1))
    for number in range(5):
        one = noted(one, "attempt_failed", at=NOON + number * HOUR, chunk=one.chunks[0], code="media_unavailable")
    [entry] = one.timeline
    assert (entry.count, entry.at, entry.last_at) == (5, NOON, NOON + 4 * HOUR)
    for number in range(1000):
        one = noted(one, f"kind-{number}", at=NOON)
    assert len(one.timeline) == 600
    one = alerted(one, "lost", at=NOON, chunk=one.chunks[1])
    assert (one.timeline[-1].kind, one.outbox[-1].name) == ("alert.lost", "lost")
