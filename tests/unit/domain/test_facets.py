"""What lists know of a recording: a function of the document, and the same after its way through metadata."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given

from shared.domain.errors import Blame
from shared.domain.facets import began_at, facets, from_metadata, holdup, to_metadata
from shared.domain.journal import alerted
from shared.domain.recording import ChunkState, Problem, Recording, Started
from tests.unit.builders import HOUR, NOON, RECORDINGS, chunk, recording

S = ChunkState
OLD = Problem("media_not_found", Blame.ACS, "404", NOON - HOUR)
NEW = Problem("storage_full", Blame.DESTINATION, "409", NOON)


@given(RECORDINGS)
def test_metadata_brings_back_what_was_known(one: Recording) -> None:
    """ASCII without control characters: it goes into HTTP headers."""
    known = facets(one)
    metadata = to_metadata(known)
    assert from_metadata(metadata) == known
    assert all(value.isascii() and value.isprintable() and name.isidentifier() for name, value in metadata.items())


@pytest.mark.parametrize("damaged", ["began", "finished", "state", "container"])
def test_metadata_that_lacks_something_is_none(damaged: str) -> None:
    metadata = to_metadata(facets(recording(chunk())))
    assert from_metadata({name: value for name, value in metadata.items() if name != damaged}) is None
    assert from_metadata(metadata | {"began": "yesterday"}) is None
    assert from_metadata({}) is None


@pytest.mark.parametrize(
    ("said", "began"),
    [
        (None, NOON),
        (NOON - 3 * HOUR, NOON - 3 * HOUR),
        (NOON + HOUR, NOON),
        (NOON - timedelta(days=30), NOON),
    ],
)
def test_a_recording_began_when_its_event_says_so_where_that_can_be(said: object, began: object) -> None:
    """Never after it was known of: a forged time puts no recording into a year that nobody looks at."""
    assert began_at(recording(created_at=NOON, recording_start=said)) == began


def test_one_that_was_started_here_began_then() -> None:
    started = Started("roomId", "room", "audio", "mixed", "mp3", NOON)
    assert began_at(recording(created_at=NOON, recording_start=NOON - HOUR, started=started)) == NOON


@pytest.mark.parametrize(
    ("chunks", "expected"),
    [
        ((chunk(),), None),
        ((chunk(last_error=OLD), chunk(1, last_error=NEW)), NEW),
        ((chunk(last_error=OLD), chunk(1, S.RESCUED, last_error=NEW, metadata_state="saved")), OLD),
        ((chunk(0, S.RESCUED, last_error=NEW, metadata_state="pending", failures=2),), NEW),
        ((chunk(0, S.RESCUED, last_error=NEW, metadata_state="pending"),), None),
        ((chunk(0, S.IN_FALLBACK, last_error=NEW),), NEW),
        ((chunk(0, S.LOST, last_error=OLD), chunk(1, S.EXPORTED, last_error=NEW, metadata_state="saved")), OLD),
    ],
)
def test_the_newest_failure_that_was_not_overcome_holds_a_recording_up(
    chunks: tuple[object, ...], expected: Problem | None
) -> None:
    assert holdup(recording(*chunks)) == expected  # type: ignore[arg-type]  # chunks


def test_a_recording_without_an_event_is_held_up_by_that() -> None:
    silent = recording(event_check_at=NOON)
    assert holdup(silent) is None
    problem = holdup(alerted(silent, "event_overdue", at=NOON))
    assert problem is not None
    assert (problem.code, problem.blame) == ("event_overdue", Blame.ACS)


@pytest.mark.parametrize(
    ("states", "is_closed", "outcome"),
    [
        ((), False, None),
        ((S.PENDING,), False, None),
        ((S.PENDING, S.IN_FALLBACK), False, None),
        ((S.IN_FALLBACK, S.RESCUED), False, "inFallback"),
        ((S.UNDELIVERABLE,), True, "inFallback"),
        ((S.EXPORTED,), True, "exported"),
        ((S.EXPORTED, S.RESCUED), True, "rescued"),
        ((S.EXPORTED, S.RESCUED, S.DELIVERED), True, "delivered"),
        ((S.EXPORTED, S.LOST), True, "lost"),
        ((S.UNCONFIRMED,), True, "unconfirmed"),
        ((), True, "no_event"),
    ],
)
def test_each_recording_that_is_safe_or_over_has_one_outcome(
    states: tuple[ChunkState, ...], outcome: str | None, *, is_closed: bool
) -> None:
    chunks = [chunk(number, state) for number, state in enumerate(states)]
    assert facets(recording(*chunks, closed_at=NOON if is_closed else None)).outcome == outcome


def test_the_time_from_event_to_safe_is_that_of_the_last_chunk() -> None:
    first = chunk(0, S.RESCUED, reported_at=NOON, safe_at=NOON + timedelta(seconds=5))
    last = chunk(1, S.EXPORTED, reported_at=NOON + HOUR, safe_at=NOON + HOUR)
    assert facets(recording(first, last)).seconds == 3600
    assert facets(recording(first, replace(last, state=S.LOST))).seconds is None
    assert facets(recording(first, chunk(1))).seconds is None
