"""Bicep files as Python values, from the tree that tree-sitter-bicep builds.

A literal becomes what it is in Python (str, int, bool, None, list, dict); anything that Azure computes becomes `Expr`,
its source text. No Bicep compiler can be installed from PyPI, npm or Debian: types of Azure's resources are not known
here, and a property that Azure does not have is found by `make check-deploy` alone.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import tree_sitter_bicep
from tree_sitter import Language, Node, Parser

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_LOOP_NAMES = ("identifier", "loop_variable", "loop_enumerator")
_PARSER = Parser(Language(tree_sitter_bicep.language()))


class Expr(str):
    """Source text of what is computed at deployment."""

    __slots__ = ()


@dataclass(frozen=True)
class Parameter:
    """A `param`. `default` is `None` where there is none and `is_required` is true."""

    name: str
    type: str
    default: Any
    is_required: bool
    decorators: dict[str, Any]


@dataclass(frozen=True)
class Block:
    """A `resource` or a `module`. `target` is the resource's type and version, or the module's path."""

    kind: str
    name: str
    target: str
    is_existing: bool
    condition: str | None
    is_loop: bool
    body: dict[str, Any]

    @property
    def type(self) -> str:
        """The resource's type, without its version."""
        return self.target.partition("@")[0]


@dataclass
class Bicep:
    """One file."""

    path: Path
    root: Node
    params: dict[str, Parameter] = field(default_factory=dict)
    variables: dict[str, Any] = field(default_factory=dict)
    variable_nodes: dict[str, Node] = field(default_factory=dict)
    resources: dict[str, Block] = field(default_factory=dict)
    modules: dict[str, Block] = field(default_factory=dict)
    outputs: dict[str, Any] = field(default_factory=dict)
    described: set[str] = field(default_factory=set)

    @cached_property
    def declared(self) -> set[str]:
        """Every name that an expression of this file may use."""
        loops = {text(one) for node in walk(self.root) if node.type == "for_statement" for one in loop_names(node)}
        return {*self.params, *self.variables, *self.resources, *self.modules, *loops}

    def of_type(self, kind: str) -> list[Block]:
        """The resources of that type which the file deploys."""
        return [one for one in self.resources.values() if one.type == kind and not one.is_existing]


def text(node: Node) -> str:
    """The source of a node."""
    return (node.text or b"").decode()


def walk(node: Node) -> Iterator[Node]:
    """The node and all below it."""
    yield node
    for child in node.children:
        yield from walk(child)


def loop_names(node: Node) -> list[Node]:
    """The names that `for NAME in` or `for (NAME, INDEX) in` binds."""
    names: list[Node] = []
    for child in node.children:
        if child.type == "in":
            return names
        names += [one for one in walk(child) if one.type in _LOOP_NAMES]
    return names


def value(node: Node) -> Any:
    """A literal as Python has it, else its source text as `Expr`."""
    if node.type == "string" and not any(one.type == "interpolation" for one in node.children):
        content = "".join(text(one) for one in node.named_children)
        return content if text(node).startswith("'''") else re.sub(r"\\(['\\$])", r"\1", content)
    if node.type in ("number", "boolean", "null"):
        return json.loads(text(node))
    if node.type == "array":
        return [value(one) for one in node.named_children if one.type != "comment"]
    if node.type == "object":
        pairs = [one.named_children for one in node.named_children if one.type == "object_property"]
        return {_key(pair[0]): value(pair[-1]) for pair in pairs}
    return Expr(text(node))


def _key(node: Node) -> str:
    return str(value(node)) if node.type == "string" else text(node)


def keys(node: Node) -> set[str]:
    """Every key of every object below a node."""
    return {_key(one.named_children[0]) for one in walk(node) if one.type == "object_property"}


def parse(path: Path) -> Bicep:
    """Reads one file. Syntax errors are left in `root` (`has_error`)."""
    found = Bicep(path, _PARSER.parse(path.read_bytes()).root_node)
    decorators: dict[str, Any] = {}
    for node in found.root.named_children:
        if node.type == "decorators":
            decorators = _decorators(node)
            continue
        _declaration(found, node, decorators)
        if node.type != "comment":
            decorators = {}
    return found


def _decorators(node: Node) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for call in walk(node):
        if call.type == "call_expression":
            name, arguments = call.named_children
            given = [value(one) for one in arguments.named_children]
            found[text(name)] = given[0] if given else True
    return found


def _declaration(found: Bicep, node: Node, decorators: dict[str, Any]) -> None:
    parts = [one for one in node.named_children if one.type != "comment"]
    if node.type == "parameter_declaration":
        name, kind, *default = parts
        given = value(default[0]) if default else None
        found.params[text(name)] = Parameter(text(name), text(kind), given, not default, decorators)
    elif node.type == "variable_declaration":
        name, *_, content = parts
        found.variables[text(name)] = value(content)
        found.variable_nodes[text(name)] = content
    elif node.type == "output_declaration":
        name, *_, content = parts
        found.outputs[text(name)] = value(content)
    elif node.type in ("resource_declaration", "module_declaration"):
        block = _block(node, parts)
        (found.resources if block.kind == "resource" else found.modules)[block.name] = block
        return
    else:
        return
    if decorators.get("description"):
        found.described.add(text(name))


def _block(node: Node, parts: list[Node]) -> Block:
    name, target, content = parts[0], parts[1], parts[-1]
    condition = None
    is_loop = False
    while content.type in ("if_statement", "for_statement"):
        if content.type == "if_statement":
            condition = text(content.named_children[0])
        else:
            is_loop = True
        content = content.named_children[-1]
    return Block(
        kind=node.type.partition("_")[0],
        name=text(name),
        target=str(value(target)),
        is_existing=any(text(one) == "existing" for one in node.children),
        condition=condition,
        is_loop=is_loop,
        body=value(content),
    )


def all_files(infra: Path) -> dict[str, Bicep]:
    """Every file below `infra`, by its path there."""
    return {path.relative_to(infra).as_posix(): parse(path) for path in sorted(infra.rglob("*.bicep"))}
