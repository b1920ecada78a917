"""What a compiler of Bicep checks: syntax, names, modules' parameters, outputs; and documentation, versions."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from tests.deploy.tree import Bicep, Block, Expr, all_files, parse, text, walk

if TYPE_CHECKING:
    from pathlib import Path

    from tree_sitter import Node

_OUTPUT = re.compile(r"\b(\w+)\.outputs\.(\w+)")
_TYPES: dict[str, type | tuple[type, ...]] = {"string": str, "int": int, "bool": bool, "object": dict, "array": list}
_NAMESPACES = {"az", "sys"}


def syntax(root: Path) -> list[str]:
    """Every file parses without an error node."""
    faults = []
    for name, file in all_files(root / "infra").items():
        wrong = [node for node in walk(file.root) if node.is_error or node.is_missing]
        faults += [f"{name}:{node.start_point[0] + 1}: not Bicep: {text(node)[:60]!r}" for node in wrong]
    return faults


def versions(root: Path) -> list[str]:
    """Every API version is the one of infra/api-versions.json, and that names no other."""
    known: dict[str, str] = json.loads((root / "infra" / "api-versions.json").read_text())
    faults, used = [], set()
    for name, file in all_files(root / "infra").items():
        for one in file.resources.values():
            used.add(one.type)
            if one.target != f"{one.type}@{known.get(one.type)}":
                faults.append(f"{name}: {one.target}, but api-versions.json has {known.get(one.type)}")
    return faults + [f"api-versions.json: {kind} is not used" for kind in known if kind not in used]


def documentation(root: Path) -> list[str]:
    """Every parameter and output has a description, and every parameter is used."""
    faults = []
    for name, file in all_files(root / "infra").items():
        faults += [f"{name}: {one} has no @description" for one in {*file.params, *file.outputs} - file.described]
        used = {text(node) for node in walk(file.root) if node.type == "identifier" and _is_use(node)}
        faults += [f"{name}: {one} is not used" for one in {*file.params, *file.variables} - used]
    return faults


def names(root: Path) -> list[str]:
    """Every name that an expression uses is declared in its file."""
    faults = []
    for name, file in all_files(root / "infra").items():
        known = file.declared | _NAMESPACES
        used = [node for node in walk(file.root) if node.type == "identifier" and _is_use(node)]
        faults += [f"{name}:{one.start_point[0] + 1}: {text(one)}" for one in used if text(one) not in known]
    return faults


def _is_use(node: Node) -> bool:
    """Whether an identifier is a value: not a declared name, a key, a function's or a type's name."""
    parent = node.parent
    if parent is None or parent.type == "decorator":
        return False
    first = parent.named_children[0] == node
    is_declaration = parent.type.endswith("_declaration") and first
    return not (is_declaration or (parent.type in ("object_property", "call_expression") and first))


def modules(root: Path) -> list[str]:
    """A module's file exists; its parameters are given by name, all required ones, of their types and values."""
    faults = []
    files = all_files(root / "infra")
    for name, file in files.items():
        for module in file.modules.values():
            path = (file.path.parent / module.target).resolve()
            called = files.get(path.relative_to((root / "infra").resolve()).as_posix()) if path.exists() else None
            if called is None:
                faults.append(f"{name}: {module.target} is not there")
            else:
                faults += [
                    f"{name}: {fault}" for fault in arguments(called, module.name, module.body.get("params", {}))
                ]
    return faults


def arguments(called: Bicep, caller: str, given: dict[str, Any]) -> list[str]:
    """What is wrong with `given` as the parameters of `called`."""
    faults = [f"{caller}: {one} is no parameter of {called.path.name}" for one in given if one not in called.params]
    for parameter in called.params.values():
        if parameter.is_required and parameter.name not in given:
            faults.append(f"{caller}: {parameter.name} of {called.path.name} is not given")
        literal = given.get(parameter.name)
        if parameter.name not in given or isinstance(literal, Expr):
            continue
        if not isinstance(literal, _TYPES.get(parameter.type, object)):
            faults.append(f"{caller}: {parameter.name} is a {parameter.type}, not {literal!r}")
        elif literal not in parameter.decorators.get("allowed", [literal]):
            faults.append(f"{caller}: {parameter.name} may not be {literal!r}")
    return faults


def outputs(root: Path) -> list[str]:
    """Every `MODULE.outputs.NAME` is an output of that module."""
    faults = []
    for name, file in all_files(root / "infra").items():
        for module, output in _OUTPUT.findall(text(file.root)):
            block = file.modules.get(module)
            if block is None or output not in _called(file, block).outputs:
                faults.append(f"{name}: {module}.outputs.{output} is not there")
    return faults


def _called(file: Bicep, module: Block) -> Bicep:
    return parse(file.path.parent / module.target)


def azd_parameters(root: Path) -> list[str]:
    """main.parameters.json names parameters of main.bicep, and gives their own defaults."""
    main = parse(root / "infra" / "main.bicep")
    given = json.loads((root / "infra" / "main.parameters.json").read_text())["parameters"]
    faults = [f"main.bicep has no {name}" for name in given if name not in main.params]
    faults += [f"{one.name} is not given" for one in main.params.values() if one.is_required and one.name not in given]
    for name in given.keys() & main.params.keys():
        [(_, has_default, default)] = re.findall(r"^\$\{(\w+)(=?)([^}]*)\}$", given[name]["value"])
        wanted = main.params[name].default
        wanted = str(wanted).lower() if isinstance(wanted, bool) else str(wanted)
        if has_default and default != wanted:
            faults.append(f"{name}: main.parameters.json says {default!r}, main.bicep {wanted!r}")
    return faults
