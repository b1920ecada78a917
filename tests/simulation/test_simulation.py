"""Thousands of worlds from their seeds; and mistakes put in on purpose, which must not get through."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from tests.simulation.alone import alone
from tests.simulation.many import digest, outcomes
from tests.simulation.mutations import MUTATIONS, Mutation, caught
from tests.simulation.run import simulate, tell
from tests.simulation.world import Violation

if TYPE_CHECKING:
    from collections.abc import Iterator

SEEDS = int(os.environ.get("SIMULATION_SEEDS", "2000"))


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """The app's log lines of a million effects are nobody's business."""
    logger = logging.getLogger("recorder")
    before = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    yield
    logger.setLevel(before)


@pytest.mark.timeout(600)
def test_no_world_breaks_an_invariant() -> None:
    """Nothing that could be had is lost, nothing is doubled, overwritten, wrong, unfinished or unsaid."""
    states: set[str] = set()
    crashes = 0
    failures = []
    for outcome in outcomes(1, SEEDS, processes=2):
        states.update(outcome.states)
        crashes += outcome.crashes
        if outcome.failure:
            failures.append(f"seed {outcome.seed}: {outcome.failure}")
    assert not failures, "\n".join([*failures, "replay: python -m tests.simulation --seeds 1 --start SEED --trace"])
    assert {"exported", "rescued", "delivered", "in_fallback", "lost"} <= states, "the worlds were too kind"
    assert crashes > SEEDS / 10


def test_a_seed_replays_exactly() -> None:
    """A seed is the whole world: told or not, it goes the same way."""
    for seed in (3, 7, 25):
        one, two = simulate(seed), tell(seed)
        assert (one.effects, one.crashes, one.states) == (two.effects, two.crashes, two.states)
        assert list(one.trace) == [line for line in two.trace if "· {" not in line]


def test_a_seed_is_the_same_world_everywhere() -> None:
    """Whatever ran before it in the process, and however this process orders its sets."""
    seeds = [8, 10, 11, 12, 16, 18, 20, 22, 1037]
    program = f"from tests.simulation.many import digest; print(digest({seeds}))"
    found = {digest(seeds), digest(seeds)}
    for order in ("1", "2"):
        environment = os.environ | {"PYTHONHASHSEED": order}
        ran = subprocess.run(
            [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
        )
        found.add(ran.stdout.strip())
    assert len(found) == 1


@pytest.mark.timeout(60)
def test_a_wait_that_nobody_ends_fails_at_once() -> None:
    """In a world that one thread runs; other threads wait as ever."""
    pool = ThreadPoolExecutor(1)
    pool.submit(int).result()  # its thread is there
    with alone():
        with pytest.raises(Violation, match="waits for ever"):
            threading.Event().wait()
        with pytest.raises(Violation, match="waits for ever"):
            Future[None]().result(timeout=60)
        began = pool.submit(threading.Event().wait, 0.01)
    assert began.result() is False
    pool.shutdown()


@pytest.mark.timeout(300)
@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_a_mistake_is_caught(mutation: Mutation) -> None:
    """Each mistake is shown by one of a few hundred seeds."""
    assert caught(mutation) is not None
