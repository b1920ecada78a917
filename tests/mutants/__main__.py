"""`make mutants`: mistakes in the core, one at a time, before the unit tests alone, or before the worlds alone.

Each runs in a child of one warm process; nothing is written into the tree. Results are in `.local/mutants/`.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections import Counter
from random import Random
from typing import Any

from tests.mutants.covering import covering
from tests.mutants.mutations import GROUPS, ROOT, Mutant, mutants
from tests.mutants.nets import Units, Worlds
from tests.mutants.warm import FAILED, NO_MUTANT, SHOWN, SURVIVED, in_children, warm

_KEPT = ROOT / ".local" / "mutants"


def main() -> int:
    """Prints the survivors and the scores; 0 whatever they are."""
    given = _arguments()
    every = mutants(given.groups.split(","))
    drawn = _drawn(every, given)
    print(f"{len(drawn)} of {len(every)} mutants", flush=True)
    warm()
    net = Worlds(given.worlds) if given.simulation else Units(covering(processes=given.processes), most=given.most)
    results = [one for one in _last(given) if one["code"] != SURVIVED]
    begun = time.monotonic()
    for mutant, code, said, seconds in in_children(
        net.judge, drawn, allowance=net.allowance, processes=given.processes
    ):
        results.append(
            {"name": mutant.name, "group": mutant.group, "code": code, "by": said.strip()[-300:], "s": seconds}
        )
        if code in {SURVIVED, FAILED}:
            print(f"{'survived' if code == SURVIVED else said}: {mutant.described()}", flush=True)
    if given.simulation and Worlds(given.worlds).run() != SURVIVED:
        raise SystemExit("a world is broken without any mutant")
    _KEPT.mkdir(parents=True, exist_ok=True)
    (_KEPT / f"{_net(given)}.json").write_text(json.dumps(results, indent=0))
    _report(results, (time.monotonic() - begun) / max(len(drawn), 1))
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make mutants", description=__doc__)
    parser.add_argument("--sample", type=int, default=0, help="so many of them, drawn by --seed; 0: all")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--again", action="store_true", help="only the survivors of the last run, into its score")
    parser.add_argument("--groups", default=",".join(GROUPS))
    parser.add_argument("--most", type=float, default=10, help="seconds of unit tests a mutant, the nearest first")
    parser.add_argument("--simulation", action="store_true", help="before the worlds, not before the unit tests")
    parser.add_argument("--worlds", type=int, default=200, help="from seed 1")
    parser.add_argument("--processes", type=int, default=2)
    return parser.parse_args()


def _net(given: argparse.Namespace) -> str:
    return "simulation" if given.simulation else "unit"


def _last(given: argparse.Namespace) -> list[dict[str, Any]]:
    return json.loads((_KEPT / f"{_net(given)}.json").read_text()) if given.again else []


def _drawn(every: list[Mutant], given: argparse.Namespace) -> list[Mutant]:
    if given.again:
        names = {one["name"] for one in _last(given) if one["code"] == SURVIVED}
        return [one for one in every if one.name in names]
    return Random(given.seed).sample(every, given.sample) if given.sample else every  # noqa: S311 - no secret


def _report(results: list[dict[str, Any]], seconds: float) -> None:
    seen = Counter(one["group"] for one in results if one["code"] == SHOWN)
    total = Counter(one["group"] for one in results if one["code"] in {SHOWN, SURVIVED})
    left_out = sum(one["code"] == NO_MUTANT for one in results)
    shown, count = sum(seen.values()), max(sum(total.values()), 1)
    middle = (shown + 1.92) / (count + 3.84)
    wide = 1.96 * math.sqrt(shown * (count - shown) / count + 0.96) / (count + 3.84)
    scores = ", ".join(f"{group} {seen[group]}/{number}" for group, number in total.items())
    print(f"{shown} of {count} shown: {shown / count:.1%} ({scores})")
    print(f"95 % interval of a sample {middle - wide:.1%} to {middle + wide:.1%}")
    print(f"{left_out} were no program or the same one; {seconds:.2f} s a mutant")


if __name__ == "__main__":
    sys.exit(main())
