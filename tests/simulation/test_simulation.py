"""Thousands of worlds from their seeds; and mistakes put in on purpose, which must not get through."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING

import pytest

from tests.simulation.many import outcomes
from tests.simulation.mutations import MUTATIONS, Mutation, caught
from tests.simulation.run import simulate, tell

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


@pytest.mark.timeout(300)
@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_a_mistake_is_caught(mutation: Mutation) -> None:
    """Each mistake is shown by one of a few hundred seeds."""
    assert caught(mutation) is not None
