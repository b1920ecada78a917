"""Checks of the hooks as text: twins alike, their variables there, their templates called with the right parameters."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from tests.deploy import commands
from tests.deploy.check_language import arguments
from tests.deploy.tree import Expr, parse

# What a person or azd may set; everything else that a hook reads is an output of main.bicep.
FROM_OUTSIDE = {
    "ACS_RESOURCE_ID",
    "AZURE_ENV_NAME",
    "DELETE_RECORDINGS",
    "DELETE_RECORDINGS_OF",
    *(f"{of}_{what}" for of in ("ROLE", "PROOF") for what in ("TRIES", "PAUSE_SECONDS")),
    "ROLE_SETTLE_SECONDS",
}


# azd has no parser that can be installed here: what its reference has of the commands in use.
AZD = {
    "up": {"--no-prompt"},
    "provision": {"--preview"},
    "down": {"--purge"},
    "env new": set(),
    "env set": set(),
    "env get-values": set(),
    "auth login": {"--client-id", "--federated-credential-provider", "--tenant-id"},
}


def _scripts(root: Path) -> list[Path]:
    return sorted([*(root / "scripts").glob("*.sh"), *(root / "scripts").glob("*.ps1")])


def syntax(root: Path) -> list[str]:
    """Shell is shell (also by shellcheck), PowerShell is PowerShell, and nothing of bash alone is used."""
    faults = [f"{path.name}: cannot be parsed" for path in _scripts(root) if commands.has_error(path)]
    shell = [str(path) for path in _scripts(root) if path.suffix == ".sh"]
    checker = Path(sys.executable).parent / "shellcheck"
    said = subprocess.run(
        [checker, "--shell=sh", "--enable=quote-safe-variables", *shell],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return faults + ([said.stdout] if said.returncode else [])


def twins(root: Path) -> list[str]:
    """A hook's shell and its PowerShell make the same calls in the same order."""
    faults = []
    for path in _scripts(root):
        twin = path.with_suffix(".ps1" if path.suffix == ".sh" else ".sh")
        if not twin.exists():
            faults.append(f"{path.name} has no twin")
        elif path.suffix == ".sh":
            ours, theirs = ([one.shape for one in commands.of_script(file)] for file in (path, twin))
            faults += [
                f"{path.name}: {left} is {right} in its twin"
                for left, right in zip(ours, theirs, strict=False)
                if left != right
            ]
            if len(ours) != len(theirs):
                faults.append(f"{path.name}: {len(ours)} calls, its twin {len(theirs)}")
            if _literals(path) != _literals(twin):
                faults.append(f"{path.name}: {_literals(path) ^ _literals(twin)} are in one twin alone")
    return faults


def _literals(path: Path) -> set[str]:
    """What is asked and sent besides the calls: paths, headers, the synthetic event, kinds of resources."""
    found = re.findall(
        r"/api/[\w?=]+|/runtime/webhooks/\w+|aeg-event-type|x-functions-key|Microsoft\.\w+/\w+(?:/\w+)?|\[\{.*\}\]",
        path.read_text(),
    )
    return {one for one in found if "roleAssignments" not in one}


def variables(root: Path) -> list[str]:
    """Every variable of the environment that a hook reads is an output of main.bicep, or may be set by a person."""
    known = set(parse(root / "infra" / "main.bicep").outputs) | FROM_OUTSIDE
    faults = []
    for path in _scripts(root):
        source = re.sub(r"(?m)^\s*#.*$", "", path.read_text())
        pattern = r"\$env:([A-Z][A-Z_]+)" if path.suffix == ".ps1" else r"\$\{?([A-Z][A-Z_]+)"
        faults += [
            f"{path.name}: {name} is no output of main.bicep"
            for name in sorted(set(re.findall(pattern, source)) - known)
        ]
    return faults


def templates(root: Path) -> list[str]:
    """Where a command deploys a template, the file is there and gets its parameters by their names."""
    faults, found = [], 0
    for one in commands.every(root):
        if "--template-file" not in one.words or "deployment" not in one.words:
            continue
        found += 1
        path = root / one.words[one.words.index("--template-file") + 1]
        if not path.is_file():
            faults.append(f"{one.where}: {path.name} is not there")
            continue
        given: dict[str, Any] = {}
        if "--parameters" in one.words:
            for word in one.words[one.words.index("--parameters") + 1 :]:
                if word.startswith("-"):
                    break
                name, _, value = word.partition("=")
                given[name] = Expr(value)
        faults += arguments(parse(path), one.where, given)
    return faults if found else ["no template is deployed by any command"]


def azd_commands(root: Path) -> list[str]:
    """Every call of azd is one that its reference has, with flags that it has there."""
    faults = []
    for one in (given for given in commands.every(root) if given.words[0] == "azd"):
        name = next((known for known in AZD if " ".join(one.words[1:]).startswith(known)), None)
        flags = {word for word in one.words if word.startswith("-")}
        if name is None or not flags <= AZD[name]:
            faults.append(f"{one.where}: azd has no {' '.join(one.words[1:])}")
    return faults


def azd_project(root: Path) -> list[str]:
    """azure.yaml names the service that recorder.bicep tags, and hooks that are there for both systems."""
    project = yaml.safe_load((root / "azure.yaml").read_text())
    app = parse(root / "infra" / "app" / "recorder.bicep").resources["app"].body
    faults = []
    for name, service in project["services"].items():
        if f"'azd-service-name': '{name}'" not in app["tags"]:
            faults.append(f"azure.yaml: no resource is tagged {name}")
        if service != {"project": ".", "language": "python", "host": "function"}:
            faults.append(f"azure.yaml: {service}")
    if set(project["hooks"]) != {"preprovision", "postprovision", "postdeploy", "predown"}:
        faults.append(f"azure.yaml: hooks are {sorted(project['hooks'])}")
    for name, hook in project["hooks"].items():
        for system, shell, ending in (("posix", "sh", "sh"), ("windows", "pwsh", "ps1")):
            if hook[system] != {"shell": shell, "run": f"scripts/{name}.{ending}"}:
                faults.append(f"azure.yaml: {name} on {system} is {hook[system]}")
            elif not (root / hook[system]["run"]).is_file():
                faults.append(f"azure.yaml: {hook[system]['run']} is not there")
    return faults


def parameters_of_azd(root: Path) -> list[str]:
    """No output of main.bicep has the name of a variable that a parameter is read from: a second run would differ."""
    given = json.loads((root / "infra" / "main.parameters.json").read_text())["parameters"]
    read = {match for one in given.values() for match in re.findall(r"\$\{(\w+)", one["value"])}
    both = read & set(parse(root / "infra" / "main.bicep").outputs)
    return [f"{name} is an output and the source of a parameter" for name in sorted(both)]
