"""What a replay says, chunk by chunk."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from shared.domain.recording import Check, CheckResult, ChunkState, Lease, Manifest, Step
from tests.support.fakes import World
from tests.unit.builders import FOLDER, HOUR, NOON, chunk, recording
from tests.unit.loop_rig import put

S = ChunkState
GONE = Check(CheckResult.MISSING, NOON)
OVER = NOON - HOUR

CASES: list[tuple[ChunkState, dict[str, Any], str, str]] = [
    (S.PENDING, {}, "going", "fetched from ACS now"),
    (S.EXPECTED, {"exports": (f"{FOLDER}/a.mp3",)}, "going", "the reported export is looked at now"),
    (S.IN_FALLBACK, {"blob": "a.mp3"}, "going", "delivered from the fallback now"),
    (S.UNDELIVERABLE, {"blob": "a.mp3"}, "going", "delivered from the fallback now"),
    (S.LOST, {}, "going", "fetched from ACS now"),
    (S.LOST, {"abandon_after": OVER}, "going", "looked for once more in destination and fallback"),
    (S.DAMAGED, {"blob": "a.mp3", "check": GONE, "before_damage": S.RESCUED}, "going", "fetched from ACS now"),
    (
        S.DAMAGED,
        {"blob": "a", "check": GONE, "before_damage": S.RESCUED, "sources": ()},
        "going",
        "looked for once more",
    ),
    (S.RESCUED, {"blob": "a.mp3", "metadata_state": "saved"}, "nothing_to_do", "nothing to do: in place"),
    (
        S.RESCUED,
        {"blob": "a.mp3", "digest_state": "unavailable", "metadata_state": "saved"},
        "going",
        "its bytes are read",
    ),
    (
        S.PENDING,
        {"lease": Lease(Step.FETCH, "m", NOON + timedelta(minutes=6))},
        "held",
        "held by a worker (fetch) until 12:06Z; should that worker be gone, it goes on by itself then",
    ),
    (S.PENDING, {"lease": Lease(Step.FETCH, "m", NOON - HOUR)}, "going", "fetched from ACS now"),
]


@pytest.mark.parametrize(("state", "changes", "outcome", "reason"), CASES)
def test_what_goes_on_and_why_not(state: ChunkState, changes: dict[str, Any], outcome: str, reason: str) -> None:
    world = World()
    one = recording(chunk(0, state, **changes), manifest=Manifest("written"))
    put(world, one)
    foreseen = world.app().replay.foreseen(one).described()
    assert world.ledger.recording(one.key) == one
    answer = world.app().replay.replay(one.key, by="key:night").described()
    assert answer == foreseen
    assert (answer["outcome"], answer["chunks"][0]["outcome"]) == (outcome, outcome)
    assert answer["chunks"][0]["reason"].startswith(reason)
    assert answer["reason"] == answer["chunks"][0]["reason"]
    assert ("until" in answer["chunks"][0]) == (outcome == "held")
    kinds = [entry.kind for entry in world.ledger.recording(one.key).timeline]
    assert kinds == (["replayed"] if outcome == "going" else [])


def test_one_chunk_that_goes_on_is_a_recording_that_goes_on() -> None:
    world = World()
    held = Lease(Step.FETCH, "m", NOON + HOUR)
    chunks = (chunk(0), chunk(1, lease=held), chunk(2, S.RESCUED, blob="c.mp3", metadata_state="saved"))
    one = recording(*chunks)
    put(world, one)
    answer = world.app().replay.replay(one.key).described()
    assert answer["outcome"] == "going"
    assert [chunk["outcome"] for chunk in answer["chunks"]] == ["going", "held", "nothing_to_do"]
    assert answer["chunks"][1]["until"] == "2026-11-22T13:00:00.000Z"


def test_a_recording_without_chunks_is_asked_for_at_acs() -> None:
    world = World()
    one = recording(event_check_at=NOON + HOUR)
    put(world, one)
    answer = world.app().replay.replay(one.key).described()
    assert answer == {
        "outcome": "going",
        "reason": "ACS is asked now whether it is still being recorded",
        "chunks": [],
    }


def test_a_manifest_that_was_given_up_goes_on_though_all_files_are_in_place() -> None:
    world = World()
    one = recording(chunk(0, S.RESCUED, blob="c.mp3", metadata_state="saved"), manifest=Manifest("given_up"))
    world.ledger.archive(replace(one, closed_at=NOON), etag=None)
    answer = world.app().replay.replay(one.key).described()
    assert (answer["outcome"], answer["chunks"][0]["outcome"]) == ("going", "nothing_to_do")
    assert answer["reason"].startswith("all files are in place")
