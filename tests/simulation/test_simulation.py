"""Worlds from seeds: whatever happens in them, nothing is lost that was there in time, and nothing stays owed."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from shared.domain import byte_facts, recording_facts, steps
from shared.domain import facts as f
from shared.domain.recording import ChunkState
from shared.store import RecordingStore
from shared.worker.worker import Worker
from tests.simulation.run import run_world
from tests.simulation.scheduler import ViolationError

if TYPE_CHECKING:
    from collections.abc import Iterator

_SEEDS = 240


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    logger = logging.getLogger("recorder")
    before = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    yield
    logger.setLevel(before)


@pytest.mark.timeout(900)
def test_every_invariant_holds_in_every_world_and_everything_is_reached() -> None:
    """In a process of its own, as `make simulate`: branches are counted by how modules are loaded."""
    command = [sys.executable, "-m", "tests.simulation", "--seeds", str(_SEEDS), "--all-reached"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert f"{_SEEDS} worlds from seed 1: 0 broken" in done.stdout


def test_a_seed_is_the_same_world_every_time() -> None:
    one, other = run_world(3), run_world(3)
    assert (one.calls, one.trace, one.visits) == (other.calls, other.trace, other.visits)
    assert one.ledger.recordings() == other.ledger.recordings()


@pytest.mark.timeout(600)
def test_every_invariant_holds_over_the_real_adapters_and_sdks() -> None:
    calls = sum(run_world(seed, is_deep=True).calls for seed in range(1, 6))
    assert calls > 1000


def _survives(seeds: int) -> bool:
    for seed in range(1, seeds):
        try:
            run_world(seed)
        except (Exception, ViolationError):  # noqa: BLE001 - whatever shows the mistake
            return False
    return True


# --- mistakes, each put into the real code alone: the worlds have to show them (`make mutants` tries many more)


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
    assert not _survives(150)


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


def test_functions_that_interleave_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that believes what it read before another one wrote: found only where two are at it at once."""
    real: Any = RecordingStore._write

    def blind(self: Any, version: Any, after: Any) -> Any:
        fresh = self.ledger.load(after.key) if version is not None else None
        return real(self, replace(version, etag=fresh.etag) if fresh and version.is_open else version, after)

    monkeypatch.setattr(RecordingStore, "_write", blind)
    assert not _survives(150)


def test_a_sweep_that_never_comes_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Worker, "_replanned", lambda _self, version: version)
    assert not _survives(150)
