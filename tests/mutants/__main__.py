"""`make mutants`: a sample of the mutants, each before the unit tests alone and before the simulation alone."""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from random import Random
from typing import TYPE_CHECKING

from tests.mutants.mutations import GROUPS, ROOT, Mutant, mutants

if TYPE_CHECKING:
    from collections.abc import Iterable


def shown(mutant: Mutant, net: str, *, worlds: int, seconds: int) -> bool:
    """Whether the net shows the mutant; one that never ends is shown, too."""
    command = [sys.executable, "-m", "tests.mutants.judge", mutant.module, net, str(worlds)]
    try:
        done = subprocess.run(
            command, input=mutant.source(), cwd=ROOT, capture_output=True, text=True, timeout=seconds, check=False
        )
    except subprocess.TimeoutExpired:
        return True
    return done.returncode != 0


def main() -> int:
    """Prints the survivors and the scores; 0 whatever they are."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sample", type=int, default=0, help="so many of them, drawn by --seed; 0: all")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--nets", default="unit,simulation")
    parser.add_argument("--groups", default=",".join(GROUPS))
    parser.add_argument("--worlds", type=int, default=2000, help="from seed 1")
    parser.add_argument("--seconds", type=int, default=900, help="for one mutant before one net")
    parser.add_argument("--processes", type=int, default=2)
    given = parser.parse_args()
    every = [one for one in mutants() if one.group in given.groups.split(",")]
    drawn = Random(given.seed).sample(every, given.sample) if given.sample else every  # noqa: S311 - no secret
    print(f"{len(drawn)} of {len(every)} mutants", flush=True)  # noqa: T201 - a program for a terminal
    for net in given.nets.split(","):
        with ThreadPoolExecutor(given.processes) as pool:
            judge = partial(shown, net=net, worlds=given.worlds, seconds=given.seconds)
            results = pool.map(judge, drawn)
            _report(net, zip(drawn, results, strict=True))
    return 0


def _report(net: str, results: Iterable[tuple[Mutant, bool]]) -> None:
    seen: Counter[str] = Counter()
    total: Counter[str] = Counter()
    for mutant, is_shown in results:
        total[mutant.group] += 1
        seen[mutant.group] += is_shown
        if not is_shown:
            print(f"{net}: survived: {mutant.described()}", flush=True)  # noqa: T201
    scores = ", ".join(f"{group} {seen[group]}/{count}" for group, count in total.items())
    print(f"{net}: {sum(seen.values())} of {sum(total.values())} shown ({scores})", flush=True)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())
