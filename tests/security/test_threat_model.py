"""SECURITY.md names a test for each attack: every one of them is there."""

from __future__ import annotations

import re
from pathlib import Path

HERE = Path(__file__).resolve().parent
TEXT = (HERE.parent.parent / "SECURITY.md").read_text(encoding="utf-8")
TESTS = "\n".join(file.read_text(encoding="utf-8") for file in HERE.parent.rglob("test_*.py"))


def _rows() -> list[str]:
    """The last column of the table of attacks."""
    table = TEXT.partition("| attack |")[2].partition("\n\n")[0]
    return [line.split("|")[3] for line in table.splitlines()[2:]]


def test_every_row_names_a_test() -> None:
    assert len(_rows()) > 15
    assert all(row.strip() for row in _rows())


def test_every_file_named_is_there() -> None:
    named = set(re.findall(r"`((?:test_|targets)\w*\.py)`", TEXT))
    assert len(named) > 6
    assert all((HERE / name).is_file() for name in named)


def test_every_test_named_is_there() -> None:
    phrases = []
    for row in _rows():
        plain = re.sub(r"`[^`]*`:?|\([^)]*\)", ";", row.replace("`LOCAL", "LOCAL"))
        phrases += [part.strip(" …;") for part in re.split(r"[;…]", plain) if part.strip(" …;")]
    assert len(phrases) > 12
    for phrase in phrases:
        slug = re.sub(r"[^a-z0-9]+", "_", phrase.lower().replace("'", "")).strip("_")
        assert re.search(rf"def test_\w*{slug}", TESTS), phrase
