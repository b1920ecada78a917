"""`python -m bench.load`."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from bench.load.run import Load, Options


def main(arguments: list[str]) -> int:
    """0 only if all events were acknowledged, all recordings rescued, and memory stayed flat."""
    parser = argparse.ArgumentParser(prog="python -m bench.load", description=__doc__)
    parser.add_argument("--events", type=int, default=Options.events, help="recordings that end at once")
    parser.add_argument("--bytes", type=int, default=Options.size, help="size of each recording's media")
    parser.add_argument("--workers", type=int, default=Options.workers, help="processes of the host")
    parser.add_argument("--seconds", type=float, default=Options.seconds, help="bound of the run")
    parser.add_argument("--seed", type=int, default=Options.seed)
    parser.add_argument("--json", type=Path, default=None, help="also write the numbers there")
    parser.add_argument("--log-dir", type=Path, default=None, help="keep the host's log there")
    given = parser.parse_args(arguments)
    options = Options(
        events=given.events, size=given.bytes, workers=given.workers, seconds=given.seconds, seed=given.seed
    )
    print(f"load: {options.events} failed exports of {options.size:,} bytes, {options.workers} workers", flush=True)
    numbers, faults = Load(options, say=lambda line: print(line, flush=True), log_dir=given.log_dir).run()
    for name, value in numbers.items():
        print(f"  {name}: {value}")
    if given.json:
        given.json.parent.mkdir(parents=True, exist_ok=True)
        given.json.write_text(json.dumps({"numbers": numbers, "faults": faults}, indent=1) + "\n", encoding="utf-8")
    for fault in faults:
        print(f"NOT SO: {fault}")
    print("all acknowledged, all rescued, memory flat" if not faults else f"NOT so: {len(faults)} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
