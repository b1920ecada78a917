"""Many seeds, on several processors."""

from __future__ import annotations

import logging
import multiprocessing
from dataclasses import replace

from tests.simulation.run import Outcome, simulate


def outcomes(start: int, count: int, *, processes: int) -> list[Outcome]:
    """The outcomes of seeds from `start` on, in order."""
    seeds = range(start, start + count)
    if processes < 2 or count < 20:
        _quiet()
        return [simulate(seed) for seed in seeds]
    with multiprocessing.get_context("spawn").Pool(processes, initializer=_quiet) as pool:
        return pool.map(_without_trace, seeds, chunksize=20)


def _without_trace(seed: int) -> Outcome:
    outcome = simulate(seed)
    return replace(outcome, trace=())


def _quiet() -> None:
    logging.getLogger("recorder").setLevel(logging.CRITICAL + 1)
