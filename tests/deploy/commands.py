"""The commands of hooks, pages and workflows, read as trees: what they call, with which flags, in which order."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import tree_sitter_bash
import tree_sitter_powershell
import yaml
from tree_sitter import Language, Node, Parser

from tests.deploy.tree import text, walk

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_BASH = Parser(Language(tree_sitter_bash.language()))
_POWERSHELL = Parser(Language(tree_sitter_powershell.language()))
PROGRAMS = ("az", "azd")
FILLER = "x"


@dataclass(frozen=True)
class Command:
    """One call. `words` are its arguments: quotes taken off, what the shell puts in replaced by `x`."""

    where: str
    words: tuple[str, ...]

    @property
    def shape(self) -> tuple[str, ...]:
        """What twins must have in common: sub-command, flags, queries, names of parameters."""
        kept: list[str] = []
        before = ""
        for word in self.words:
            if word.startswith("-") or not any(one.startswith("-") for one in kept) or before in ("--query", "-o"):
                kept.append(word)
            elif re.match(r"\w+=", word):
                kept.append(word.partition("=")[0] + "=")
            elif before in ("--name", "--template-file", "--method"):
                kept.append(word)
            before = word
        return tuple(kept)


def has_error(path: Path) -> bool:
    """Whether a script is no shell, or no PowerShell."""
    parser = _POWERSHELL if path.suffix == ".ps1" else _BASH
    return parser.parse(path.read_bytes()).root_node.has_error


def of_script(path: Path) -> list[Command]:
    """The calls of `az` and `azd` in a script, in its order."""
    if path.suffix == ".ps1":
        return list(_powershell(path.read_text(), path.name))
    return list(_shell(path.read_text(), path.name))


def of_page(path: Path) -> list[Command]:
    """Those in a page's blocks of shell."""
    found: list[Command] = []
    for block in re.findall(r"^ *```sh\n(.*?)^ *```", path.read_text(), re.MULTILINE | re.DOTALL):
        found += _shell(block, path.name)
    return found


def of_workflow(path: Path) -> list[Command]:
    """Those in a workflow's steps. `${{ … }}` is put in by GitHub."""
    found: list[Command] = []
    for job in yaml.safe_load(path.read_text())["jobs"].values():
        for step in job["steps"]:
            found += _shell(re.sub(r"\$\{\{.*?\}\}", FILLER, step.get("run", "")), path.name)
    return found


def every(root: Path) -> list[Command]:
    """All of them."""
    found: list[Command] = []
    for script in sorted([*(root / "scripts").glob("*.sh"), *(root / "scripts").glob("*.ps1")]):
        found += of_script(script)
    for page in (root / "README.md", *sorted((root / "docs").glob("*.md"))):
        found += of_page(page)
    for workflow in sorted((root / ".github" / "workflows").glob("*.yml")):
        found += of_workflow(workflow)
    return found


def _shell(source: str, where: str) -> Iterator[Command]:
    for node in walk(_BASH.parse(source.encode()).root_node):
        if node.type == "command":
            name, *rest = [
                one for one in node.named_children if one.type not in ("variable_assignment", "file_redirect")
            ]
            if text(name) in PROGRAMS:
                words = [_word(one) for one in rest if "redirect" not in one.type]
                yield Command(where, (text(name), *words))


def _word(node: Node) -> str:
    """An argument as the program gets it, `x` for each value that the shell puts in."""
    if node.type in ("simple_expansion", "expansion", "command_substitution"):
        return FILLER
    if node.type == "raw_string":
        return text(node)[1:-1]
    if node.type in ("string", "concatenation"):
        start, end = (1, -1) if node.type == "string" else (0, None)
        source, base = node.text or b"", node.start_byte
        for child in reversed(node.named_children):
            if child.type != "string_content":
                left, right = child.start_byte - base, child.end_byte - base
                source = source[:left] + _word(child).encode() + source[right:]
        return source.decode()[start:end].replace('\\"', '"')
    return text(node).replace("\\$", "$")


def _powershell(source: str, where: str) -> Iterator[Command]:
    for node in walk(_POWERSHELL.parse(source.encode()).root_node):
        if node.type != "command":
            continue
        name, *rest = node.named_children
        if text(name) not in PROGRAMS:
            continue
        line = "".join(f" {text(one)}" for one in rest)
        line = re.sub(r"\$\((?:[^()]|\([^()]*\))*\)|\((?:Part)[^()]*\)|\$\{?[\w:]+\}?", FILLER, line)
        line = re.sub(r"2>\s*x", "", line.replace("`\n", " "))
        words = re.findall(r"\"((?:`.|[^\"`])*)\"|'([^']*)'|([^\s\"'`]+)", line)
        yield Command(where, (text(name), *("".join(word) for word in words)))
