"""`python -m bench.chaos`."""

from __future__ import annotations

import argparse
import logging
import random
import sys
from pathlib import Path

from bench.chaos.director import Director
from bench.chaos.report import as_json, as_text
from bench.chaos.scenario import Options


def _options(arguments: list[str]) -> tuple[Options, Path | None, Path | None]:
    parser = argparse.ArgumentParser(prog="python -m bench.chaos", description=__doc__)
    parser.add_argument("--recordings", type=int, default=Options.recordings)
    parser.add_argument("--workers", type=int, default=Options.workers, help="processes of the host")
    parser.add_argument("--seconds", type=float, default=Options.seconds, help="bound of the whole run")
    parser.add_argument("--trouble", type=float, default=Options.trouble, help="seconds of trouble, of the above")
    parser.add_argument("--seed", type=int, default=None, help="default: drawn, and printed")
    parser.add_argument("--json", type=Path, default=None, help="also write the report there")
    parser.add_argument("--log-dir", type=Path, default=None, help="keep the host's log there")
    given = parser.parse_args(arguments)
    seed = random.SystemRandom().randrange(1_000_000) if given.seed is None else given.seed
    options = Options(
        recordings=given.recordings,
        workers=given.workers,
        seconds=given.seconds,
        trouble=given.trouble,
        seed=seed,
    )
    return options, given.json, given.log_dir


def main(arguments: list[str]) -> int:
    """0 only if every recording is whole and nothing is left over."""
    options, file, log_dir = _options(arguments)
    logging.getLogger("local.acs").setLevel(logging.ERROR)  # exports that fail are wanted here
    print(f"chaos: {options.recordings} recordings, {options.workers} workers, --seed {options.seed}", flush=True)
    result = Director(options, say=lambda line: print(line, flush=True), log_dir=log_dir).run()
    print(as_text(result), flush=True)
    if file:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(as_json(result), encoding="utf-8")
    return 0 if result.is_proved else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
