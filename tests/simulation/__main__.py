"""`make simulate`: worlds from seeds, on both cores; every invariant checked."""

from __future__ import annotations

import argparse
import logging
import sys
import time
import traceback
from concurrent.futures import ProcessPoolExecutor

from tests.simulation.run import run_world


def _one(seed: int) -> tuple[int, int, str | None]:
    logging.getLogger("recorder").setLevel(logging.CRITICAL)
    try:
        world = run_world(seed)
    except BaseException as error:  # noqa: BLE001 - the seed is reported, whatever happened in its world
        return seed, 0, f"{error}"[:2000] + "\n" + traceback.format_exc()[-1500:]
    return seed, world.crashes, None


def main() -> int:
    """Runs the worlds; 1 where an invariant did not hold in one of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=2000)
    parser.add_argument("--start", type=int, default=1)
    parser.add_argument("--processes", type=int, default=2)
    given = parser.parse_args()
    begun = time.monotonic()
    failures, crashes = 0, 0
    with ProcessPoolExecutor(given.processes) as pool:
        for seed, died, problem in pool.map(_one, range(given.start, given.start + given.seeds), chunksize=10):
            crashes += died
            if problem:
                failures += 1
                print(f"seed {seed}: {problem}")  # noqa: T201 - a program for a terminal
    took = time.monotonic() - begun
    print(f"{given.seeds} worlds from seed {given.start}: {failures} broken, {crashes} crashes, {took:.0f} s")  # noqa: T201
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
