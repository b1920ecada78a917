"""`python -m tests.simulation --seeds 2000 --start 1`: runs seeds, prints those that fail; `--trace` tells the story.

A failing seed replays exactly: `python -m tests.simulation --seeds 1 --start SEED --trace`.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from typing import TYPE_CHECKING

from tests.simulation.many import outcomes
from tests.simulation.run import tell

if TYPE_CHECKING:
    from tests.simulation.run import Outcome


def main(arguments: list[str] | None = None) -> int:
    """Runs the program; 1 if a seed failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=2000, help="how many worlds")
    parser.add_argument("--start", type=int, default=1, help="the first seed")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--trace", action="store_true", help="tell the whole story of each seed")
    given = parser.parse_args(arguments)
    began = time.monotonic()
    failed: list[Outcome] = []
    states: Counter[str] = Counter()
    crashes = effects = 0
    seeds = range(given.start, given.start + given.seeds)
    found = map(tell, seeds) if given.trace else outcomes(given.start, given.seeds, processes=given.processes)
    for outcome in found:
        states.update(outcome.states)
        crashes += outcome.crashes
        effects += outcome.effects
        if given.trace:
            _say("\n".join(outcome.trace))
        if outcome.failure:
            failed.append(outcome)
            _say(f"seed {outcome.seed}: {outcome.failure}")
    taken = time.monotonic() - began
    ended = ", ".join(f"{count} {state}" for state, count in sorted(states.items()))
    _say(f"{given.seeds} seeds in {taken:.1f} s: {effects} effects, {crashes} crashes; chunks: {ended}")
    if failed:
        _say(f"{len(failed)} failed; replay one: python -m tests.simulation --seeds 1 --start {failed[0].seed} --trace")
    return 1 if failed else 0


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
