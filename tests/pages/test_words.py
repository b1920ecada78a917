"""The page has a sentence for each word of the API: a new cause, alert or kind of entry needs one."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import shared
from shared.api import ui
from shared.api.causes import HINTS
from shared.domain.recording import ChunkState, RecordingState

WORDS = (ui.FOLDER / "words.js").read_text()


def sentences(table: str) -> set[str]:
    """The words that a table of words.js has."""
    return set(re.findall(r"^  (\w+):", WORDS.partition(f"const {table} = {{")[2].partition("};")[0], re.MULTILINE))


def named(function: str) -> set[str]:
    """What the product's calls of `noted` or `alerted` name by a literal."""
    found = set()
    for path in Path(shared.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == function and len(node.args) > 1:
                name = node.args[1]
                found |= {str(name.value)} if isinstance(name, ast.Constant) else set()
    return found


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ("RECORDING", {state.value for state in RecordingState}),
        ("CHUNK", {state.value for state in ChunkState}),
        ("CAUSES", set(HINTS)),
        ("CAUSES", named("alerted")),
        ("KINDS", named("noted")),
    ],
    ids=["recordings", "chunks", "causes", "alerts", "timeline"],
)
def test_every_word_has_a_sentence(table: str, words: set[str]) -> None:
    assert len(words) > 5
    assert words - sentences(table) == set()
