"""`make simulate`: worlds from seeds, on every core; every invariant checked, and what was never reached."""

from __future__ import annotations

import argparse
import gc
import logging
import os
import re
import sys
import time
import traceback
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial

from tests.simulation import reached

reached.watch()

from tests.simulation.exempt import EXEMPT  # noqa: E402 - what is watched is imported after that
from tests.simulation.run import run_world  # noqa: E402


@dataclass
class Result:
    """What became of some worlds."""

    worlds: int = 0
    crashes: int = 0
    days: float = 0.0
    visits: Counter[str] = field(default_factory=Counter)
    broken: list[tuple[int, str]] = field(default_factory=list)

    def add(self, other: Result) -> None:
        """Both together."""
        self.worlds += other.worlds
        self.crashes += other.crashes
        self.days += other.days
        self.visits.update(other.visits)
        self.broken += other.broken


def _some(seeds: range, *, is_deep: bool) -> Result:
    logging.getLogger("recorder").setLevel(logging.CRITICAL + 1)
    result = Result()
    gc.disable()  # a world is one heap of cycles: collecting them amid it costs a tenth of the time
    for seed in seeds:
        result.worlds += 1
        if result.worlds % 10 == 0:
            gc.collect()
        try:
            world = run_world(seed, is_deep=is_deep)
        except BaseException as error:  # noqa: BLE001 - the seed is reported, whatever happened in its world
            result.broken.append((seed, f"{error}"[:1000] + "\n" + traceback.format_exc()[-1500:]))
            continue
        result.crashes += world.crashes
        result.days += world.lived / timedelta(days=1)
        result.visits.update(world.visits)
    result.visits.update(reached.taken())
    return result


def run(seeds: int, start: int, processes: int, *, is_deep: bool) -> Result:
    """All of them, in so many processes."""
    result = Result()
    size = max(1, min(25, seeds // processes))
    parts = [range(at, min(at + size, start + seeds)) for at in range(start, start + seeds, size)]
    with ProcessPoolExecutor(processes) as pool:
        for done in pool.map(partial(_some, is_deep=is_deep), parts):
            result.add(done)
            for seed, problem in done.broken:
                print(f"seed {seed}: {problem}", flush=True)
    return result


def main() -> int:
    """Runs the worlds; 1 where an invariant did not hold, 2 where something was not reached that has to be."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=2000)
    parser.add_argument("--start", type=int, default=1)
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--all-reached", action="store_true", help="2 where anything is not reached and not exempt")
    parser.add_argument("--deep", action="store_true", help="over the real adapters and SDKs, on a storage in memory")
    given = parser.parse_args()
    begun = time.monotonic()
    result = run(given.seeds, given.start, given.processes, is_deep=given.deep)
    took = time.monotonic() - begun
    missing = reached.never(result.visits)
    unexplained = [f"{kind}: {one}" for kind, found in missing.items() for one in found if not _exempt(kind, one)]
    lines = [f"never reached, {one}" for one in unexplained]
    counted = ", ".join(f"{kind} {len(found)}" for kind, found in missing.items())
    lines.append(f"not reached: {counted}; without a reason in exempt.py: {len(unexplained)}")
    lines.append(
        f"{result.worlds} worlds from seed {given.start}: {len(result.broken)} broken; {result.days:.0f} days, "
        f"{result.crashes} crashes; {took:.0f} s, {result.worlds / took / given.processes:.1f} worlds a second and core"
    )
    print("\n".join(lines))
    if result.broken:
        return 1
    return 2 if unexplained and given.all_reached else 0


def _exempt(kind: str, one: str) -> bool:
    """Whether it is listed; a branch without its line number, which any edit moves."""
    plain = re.sub(r":\d+ ", " ", one, count=1)
    return any(plain in listed for listed in EXEMPT[kind].values())


if __name__ == "__main__":
    sys.exit(main())
