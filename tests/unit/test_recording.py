"""The life of a chunk: the table, and nothing beside it."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.recording import (
    AT_RISK_STATES,
    IN_PLACE_STATES,
    SAFE_STATES,
    TRANSITIONS,
    UNFINISHED_STATES,
    ChunkState,
    Recording,
    RecordingState,
    states_diagram,
)
from tests.unit.builders import NOON, RECORDINGS, chunk, recording

S = ChunkState
ALLOWED = {
    (S.EXPECTED, S.EXPORTED),
    (S.EXPECTED, S.PENDING),
    (S.EXPECTED, S.LOST),
    (S.PENDING, S.RESCUING),
    (S.PENDING, S.EXPORTED),
    (S.PENDING, S.LOST),
    (S.RESCUING, S.PENDING),
    (S.RESCUING, S.RESCUED),
    (S.RESCUING, S.IN_FALLBACK),
    (S.RESCUING, S.EXPORTED),
    (S.RESCUING, S.LOST),
    (S.IN_FALLBACK, S.DELIVERED),
    (S.IN_FALLBACK, S.PENDING),
    (S.LOST, S.EXPORTED),
    (S.LOST, S.RESCUED),
    (S.LOST, S.IN_FALLBACK),
}


@pytest.mark.parametrize(("before", "after"), list(product(S, S)), ids=lambda state: state.value)
def test_a_chunk_goes_the_ways_of_the_table_and_no_other(before: ChunkState, after: ChunkState) -> None:
    one = chunk(state=before)
    if (before, after) in ALLOWED:
        moved = one.to(after, size=5)
        assert (moved.state, moved.size, moved.key) == (after, 5, one.key)
    else:
        with pytest.raises(ValueError, match=f"from {before} to {after}"):
            one.to(after)


def test_every_state_is_in_the_table_and_can_be_reached() -> None:
    assert set(TRANSITIONS) == set(S)
    reached = {S.EXPECTED, S.PENDING} | {target for targets in TRANSITIONS.values() for target in targets}
    assert reached == set(S)


def test_safe_bytes_become_unsafe_only_where_somebody_removes_them_from_the_fallback() -> None:
    for state in SAFE_STATES:
        assert TRANSITIONS[state] - SAFE_STATES == ({S.PENDING} if state is S.IN_FALLBACK else set())
    assert SAFE_STATES | AT_RISK_STATES | {S.LOST} == set(S)
    assert not SAFE_STATES & AT_RISK_STATES
    assert IN_PLACE_STATES | {S.IN_FALLBACK} == SAFE_STATES


def test_what_is_in_place_stays() -> None:
    assert all(not TRANSITIONS[state] for state in IN_PLACE_STATES)


@pytest.mark.parametrize("state", S)
def test_a_chunk_knows_whether_it_is_safe_and_finished(state: ChunkState) -> None:
    one = chunk(state=state)
    assert one.is_safe is (state in SAFE_STATES)
    assert one.is_finished is (state in IN_PLACE_STATES or state is S.LOST)
    assert chunk(state=state, next_try_at=NOON).is_finished is (state in IN_PLACE_STATES)  # a lost one is looked for


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        ([], RecordingState.STARTED),
        ([S.EXPECTED], RecordingState.SAVING),
        ([S.PENDING, S.EXPORTED], RecordingState.SAVING),
        ([S.RESCUING, S.LOST], RecordingState.SAVING),
        ([S.PENDING, S.IN_FALLBACK], RecordingState.SAVING),
        ([S.IN_FALLBACK, S.EXPORTED], RecordingState.SAFE),
        ([S.IN_FALLBACK, S.LOST], RecordingState.SAFE),
        ([S.EXPORTED, S.RESCUED, S.DELIVERED], RecordingState.COMPLETE),
        ([S.EXPORTED, S.LOST], RecordingState.LOST),
        ([S.LOST], RecordingState.LOST),
    ],
)
def test_a_recordings_state_is_that_of_its_worst_chunk(states: list[ChunkState], expected: RecordingState) -> None:
    assert recording(*(chunk(i, state) for i, state in enumerate(states))).state is expected


def test_a_recording_that_was_closed_without_a_chunk_was_never_heard_of() -> None:
    """Nothing says that bytes were lost, or that there were any."""
    assert recording(closed_at=NOON).state is RecordingState.NEVER_HEARD


@given(st.lists(st.sampled_from(S), max_size=5))
def test_a_recording_is_unfinished_as_long_as_a_chunk_is(states: list[ChunkState]) -> None:
    one = recording(*(chunk(i, state) for i, state in enumerate(states)))
    is_unfinished = not states or any(not each.is_finished for each in one.chunks)
    assert (one.state in UNFINISHED_STATES) is is_unfinished


def test_a_chunk_is_replaced_by_its_key() -> None:
    one = recording(chunk(0), chunk(1), chunk(2))
    changed = replace(one.chunks[1], tries=7)
    after = one.with_chunk(changed)
    assert [each.tries for each in after.chunks] == [0, 7, 0]
    assert after.chunk(changed.key) == changed
    assert one.chunk("unknown") is None
    with pytest.raises(ValueError, match="no chunk"):
        one.with_chunk(chunk(9))


@given(RECORDINGS, st.text(max_size=5))
def test_notes_and_alerts_are_kept_once(one: Recording, text: str) -> None:
    noted = one.with_note(text).with_alert(text)
    assert noted.notes.count(text) == 1
    assert noted.alerts.count(text) >= 1
    assert noted.with_note(text).with_alert(text) == noted


def test_notes_are_no_more_than_anybody_reads() -> None:
    one = recording()
    for number in range(1_000):
        one = one.with_note(str(number))
    assert len(one.notes) == 100


def test_the_architecture_tells_of_each_state_of_a_recording() -> None:
    text = (Path(__file__).parents[2] / "docs" / "architecture.md").read_text()
    told = re.search(r"A recording is `started`.*?\n\n", text, re.DOTALL)
    assert told is not None
    assert re.findall(r"`([a-z_]+)`", told[0]) == [state.value for state in RecordingState]


def test_the_architecture_shows_this_very_table() -> None:
    text = (Path(__file__).parents[2] / "docs" / "architecture.md").read_text()
    shown = re.search(r"```mermaid\n(stateDiagram.*?)\n```", text, re.DOTALL)
    assert shown is not None
    assert shown[1] == states_diagram()
