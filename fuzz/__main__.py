"""`make fuzz`: installs atheris if it can, and runs each target for some seconds; fails if one finds something.

`python -m fuzz [SECONDS]`: for each target; default 60.
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys

from fuzz.driver import FOUND, HERE, TARGETS

ATHERIS = "atheris==3.0.0"
_INSTALL_SECONDS = 180


def _has_atheris() -> bool:
    """Whether atheris can be imported, after an attempt to install it if it could not."""
    if importlib.util.find_spec("atheris"):
        return True
    print(f"Installing {ATHERIS} …", flush=True)
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--only-binary=:all:"]
    try:
        return subprocess.run([*install, ATHERIS], check=False, timeout=_INSTALL_SECONDS).returncode == 0
    except subprocess.TimeoutExpired:
        return False


def main(arguments: list[str]) -> int:
    """The exit code: 0 if nothing was found."""
    seconds = int(arguments[0]) if arguments else 60
    if not _has_atheris():
        print(
            f"{ATHERIS} cannot be had here (no wheel for this machine, or no package index): nothing was fuzzed.\n"
            "`make test` still throws Hypothesis's inputs and the corpus at the same targets (tests/security)."
        )
        return 0
    found = []
    for target in TARGETS:
        print(f"Fuzzing {target} for {seconds} s …", flush=True)
        command = [
            sys.executable,
            "-m",
            f"fuzz.fuzz_{target}",
            f"-max_total_time={seconds}",
            "-verbosity=0",
            "-print_final_stats=1",
        ]
        ended = subprocess.run(command, check=False, cwd=HERE.parent, timeout=seconds + 300)
        if ended.returncode:
            found.append(target)
    if found:
        print(f"Found something in: {', '.join(found)}. The inputs: {FOUND}/*/failed-*")
        return 1
    print("Nothing found.")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
