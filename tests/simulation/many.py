"""Many seeds, on several processors."""

from __future__ import annotations

import hashlib
import logging
import multiprocessing
from dataclasses import replace
from typing import TYPE_CHECKING

from tests.simulation.run import Outcome, simulate

if TYPE_CHECKING:
    from collections.abc import Iterator


def outcomes(start: int, count: int, *, processes: int) -> Iterator[Outcome]:
    """The outcomes of seeds from `start` on, in order."""
    seeds = range(start, start + count)
    if processes < 2 or count < 20:
        _quiet()
        yield from map(_without_trace, seeds)
        return
    with multiprocessing.get_context("spawn").Pool(processes, initializer=_quiet) as pool:
        yield from pool.imap(_without_trace, seeds, chunksize=10)


def digest(seeds: list[int]) -> str:
    """One hash of all that happened in these worlds, down to each line of their traces."""
    _quiet()
    return hashlib.sha256(repr([simulate(seed) for seed in seeds]).encode()).hexdigest()


def _without_trace(seed: int) -> Outcome:
    outcome = simulate(seed)
    return replace(outcome, trace=())


def _quiet() -> None:
    logging.getLogger("recorder").setLevel(logging.CRITICAL + 1)
