"""The README of the emulator does as it says."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

from local.acs import FULL
from local.acs import __main__ as program
from local.acs.event_form import form_json
from local.acs.faults import KINDS
from local.acs.formats import SHAPES
from local.acs.model import EXPORT_KINDS

if TYPE_CHECKING:
    from local.acs import AcsEmulator

README = (Path(program.__file__).parent / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_every_curl_command_works_as_written(acs: AcsEmulator) -> None:
    script = "\n".join(block for block in blocks("sh") if "curl" in block)
    script = script.replace("curl -sS", "curl -sS --fail-with-body --noproxy '*' -w '\\n'")
    done = subprocess.run(
        ["bash", "-eu", "-o", "pipefail", "-c", script],
        env={"PATH": os.environ["PATH"], "ACS": acs.origin},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr
    assert '"export": "firewall"' in done.stdout


def test_the_python_example_works_as_written() -> None:
    (example,) = blocks("python")
    names: dict[str, Any] = {}
    exec(example, names)  # noqa: S102 - our own README
    assert names["chunk"]["bytes"] == 50_000
    assert [event["eventType"].rpartition(".")[2] for event in names["events"]] == [
        "CallStarted",
        "RecordingFileStatusUpdated",
    ]


def test_every_flag_is_in_the_table_with_its_default_s_variable() -> None:
    flags = re.findall(r"\| `(--[\w-]+)` \| `(\w+)`", README)
    options = [action.option_strings[-1] for action in program.parser({})._actions if action.dest != "help"]
    assert [flag for flag, _ in flags] == options
    assert all(name == "ACS_EMULATOR_" + flag[2:].upper().replace("-", "_") for flag, name in flags)


def test_every_choice_of_an_event_form_is_in_its_table() -> None:
    rows = re.findall(r"^\| `(\w+)` \|", README.partition("## The forms of the event")[2], re.MULTILINE)
    assert rows == list(form_json(FULL))


def test_every_kind_of_fault_export_and_media_is_documented() -> None:
    shapes = [shape for shapes in SHAPES.values() for shape in shapes]
    assert [kind for kind in (*KINDS, *EXPORT_KINDS, *shapes) if f"`{kind}`" not in README] == []
