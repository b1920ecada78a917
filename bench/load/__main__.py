"""`python -m bench.load`. Its report is written every 15 s and at the end, whatever ends it."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.load.run import Load, Options
from bench.measure import machine
from bench.report import RESULTS


class _Report:
    """The JSON of a run: options, machine, numbers and faults; `state`: under way, partial or whole."""

    def __init__(self, path: Path, options: Options) -> None:
        self._path = path
        self._about = {"at": datetime.now(UTC).isoformat(timespec="seconds"), "machine": machine()}
        self._about |= {"options": asdict(options)}

    def write(self, load: Load, *, state: str) -> None:
        """In one step, for the run may be killed at any moment."""
        found: dict[str, Any] = {**self._about, "state": state, "numbers": {**load.numbers}, "faults": [*load.faults]}
        self._path.parent.mkdir(parents=True, exist_ok=True)
        new = self._path.with_suffix(".new")
        new.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
        new.replace(self._path)


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def main(arguments: list[str]) -> int:
    """0 only if all events were acknowledged, all recordings rescued, and memory stayed flat."""
    parser = argparse.ArgumentParser(prog="python -m bench.load", description=__doc__)
    parser.add_argument("--events", type=int, default=Options.events, help="recordings that end at once")
    parser.add_argument("--bytes", type=int, default=Options.size, help="size of each recording's media")
    parser.add_argument("--workers", type=int, default=Options.workers, help="processes of the host")
    parser.add_argument("--urgent", type=float, default=Options.urgent, help="share of them with two hours left")
    parser.add_argument("--seconds", type=float, default=Options.seconds, help="bound of the run")
    parser.add_argument("--seed", type=int, default=Options.seed)
    parser.add_argument("--json", type=Path, default=None, help="the report; default: bench/results/load-EVENTS.json")
    parser.add_argument("--log-dir", type=Path, default=None, help="keep the host's log there")
    given = parser.parse_args(arguments)
    options = Options(
        events=given.events,
        size=given.bytes,
        workers=given.workers,
        seconds=given.seconds,
        seed=given.seed,
        urgent=given.urgent,
    )
    report = _Report(given.json or RESULTS / f"load-{options.events}.json", options)

    def say(line: str) -> None:
        print(line, flush=True)
        report.write(load, state="under way")

    print(f"load: {options.events} failed exports of {options.size:,} bytes, {options.workers} workers", flush=True)
    load = Load(options, say=say, log_dir=given.log_dir)
    try:
        load.run()
    finally:
        report.write(load, state="whole" if load.is_whole else "partial")
    for name, value in load.numbers.items():
        print(f"  {name}: {value}")
    for fault in load.faults:
        print(f"NOT SO: {fault}")
    print("all acknowledged, all rescued, memory flat" if not load.faults else f"NOT so: {len(load.faults)} faults")
    return 1 if load.faults else 0


if __name__ == "__main__":
    # What ends a run from outside (`timeout`, a build server) lets it tell what it has.
    signal.signal(signal.SIGTERM, _interrupt)
    sys.exit(main(sys.argv[1:]))
