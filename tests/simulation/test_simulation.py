"""Worlds from seeds: crashes, outages, lost answers, doubled messages; nothing is lost, and nothing stays owed."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from shared.domain import byte_facts, recording_facts, steps
from shared.domain import facts as f
from shared.domain.recording import ChunkState
from shared.store import RecordingStore
from tests.simulation.run import run_world

if TYPE_CHECKING:
    import pytest

_SEEDS = 150


def test_every_invariant_holds_in_every_world() -> None:
    crashes = sum(run_world(seed).crashes for seed in range(1, _SEEDS + 1))
    assert crashes > _SEEDS


def _survives(seeds: int) -> bool:
    for seed in range(1, seeds):
        try:
            run_world(seed)
        except Exception:  # noqa: BLE001 - whatever shows the mistake
            return False
    return True


# --- mistakes, each put into the real code alone: the worlds have to show them


def test_chunks_that_a_write_forgets_are_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    real: Any = RecordingStore._write

    def forgetful(self: Any, version: Any, after: Any) -> Any:
        return real(self, version, replace(after, chunks=after.chunks[:1]))

    monkeypatch.setattr(RecordingStore, "_write", forgetful)
    assert not _survives(60)


def test_alerts_that_a_failing_topic_takes_along_are_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(
        recording_facts.DECISIONS, f.StepFailed, lambda recording, _fact, _c: replace(recording, outbox=())
    )
    assert not _survives(_SEEDS)


def test_copies_that_stay_in_the_fallback_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "is_cleanable", lambda _chunk: False)
    assert not _survives(60)


def test_a_wrong_place_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    real: Any = byte_facts._in_place

    def wrong(recording: Any, chunk: Any, state: Any, c: Any, **changes: Any) -> Any:
        elsewhere = {"blob": "elsewhere"} if state is ChunkState.RESCUED else {}
        return real(recording, chunk, state, c, **changes | elsewhere)

    monkeypatch.setattr(byte_facts, "_in_place", wrong)
    assert not _survives(60)
