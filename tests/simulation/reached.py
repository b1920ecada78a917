"""What a run reached: every branch of `decide`, every outcome of every step, every alert, a death at every change.

`watch` makes Python load the modules below with a counter at each branch (both ways of an `if` and of a conditional
expression, the beginning of each function). It must be called before anything of `shared` is imported.
"""

from __future__ import annotations

import ast
import importlib.machinery
import importlib.util
import re
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType

ROOT = Path(__file__).parents[2]
# What `decide` is made of, and what calls it.
DECIDE = ("lifecycle", "byte_facts", "plan_facts", "recording_facts", "planning", "reopen", "steps", "backoff")
WATCHED = frozenset(
    {f"shared.domain.{name}" for name in DECIDE}
    | {"shared.store", "shared.worker.worker", "shared.sweep.sweep", "shared.intake.merge"}
)
# Every step, and what it can come to.
OUTCOMES = {
    "verify": "ExportFound ExportDoubtful Stored ExportNotFound ExportEmpty StorageRefused StorageError",
    "fetch": "Stored Stored:fallback Stored:unproven ExportFound Failed TimeBudgetSpentError",
    "last_look": "ExportFound ExportDoubtful Stored Stored:fallback NowhereFound Failed",
    "deliver": "Copied Copied:same CopyMissing DestinationConflict StorageRefused StorageError TimeBudgetSpentError",
    "metadata": "MetadataSaved MediaError StorageError ExportNotFound",
    "prove": "Proved StorageError BlobMissing",
    "finish": "Finished Finished:none StorageRefused StorageError",
    "clean": "Cleaned StorageError",
    "delete_at_acs": "Deleted Deleted:refused LengthConfirmed MediaError",
    "ask_acs": "AcsAnswered:active AcsAnswered:inactive AcsAnswered:unknown AcsError",
    "warn": "Warned",
    "publish": "Published AlertNotSent",
}
_FAMILIES = (
    "TimeBudgetSpentError",
    "DestinationConflict",
    "BlobMissing",
    "ExportNotFound",
    "ExportEmpty",
    "StorageRefused",
    "StorageError",
    "MediaError",
    "AcsError",
    "AlertNotSent",
)

places: list[str] = []
counts: list[int] = []


def _hit(number: int) -> None:
    counts[number] += 1


class _Counters(ast.NodeTransformer):
    """Puts a counter at each branch."""

    def __init__(self, module: str, lines: Sequence[str]) -> None:
        self._module = module
        self._lines = lines

    def _counter(self, node: Any, way: str) -> ast.expr:
        line = self._lines[node.lineno - 1].strip()
        places.append(f"{self._module}:{node.lineno} {way}: {line[:70]}")
        counts.append(0)
        call = ast.Call(ast.Name("_hit", ast.Load()), [ast.Constant(len(places) - 1)], [])
        return ast.fix_missing_locations(ast.copy_location(call, node))

    def _statement(self, node: Any, way: str) -> ast.stmt:
        return ast.copy_location(ast.Expr(self._counter(node, way)), node)

    def visit_If(self, node: ast.If) -> ast.If:
        if isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            return node
        yes, no = self._statement(node, "yes"), self._statement(node, "no")
        self.generic_visit(node)
        node.body.insert(0, yes)
        node.orelse.insert(0, no)
        return node

    def visit_IfExp(self, node: ast.IfExp) -> ast.IfExp:
        yes, no = self._counter(node, "yes"), self._counter(node, "no")
        self.generic_visit(node)
        node.body, node.orelse = self._after(yes, node.body), self._after(no, node.orelse)
        return node

    @staticmethod
    def _after(counter: ast.expr, value: ast.expr) -> ast.expr:
        both = ast.Tuple([counter, value], ast.Load())
        second = ast.Subscript(both, ast.Constant(1), ast.Load())
        return ast.fix_missing_locations(ast.copy_location(second, value))

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        begun = self._statement(node, "begun")
        self.generic_visit(node)
        has_text = isinstance(node.body[0], ast.Expr) and isinstance(node.body[0].value, ast.Constant)
        node.body.insert(1 if has_text else 0, begun)
        return node


class _Loader(importlib.machinery.SourceFileLoader):
    def get_code(self, fullname: str) -> Any:
        source = Path(self.path).read_text()
        tree = _Counters(fullname.removeprefix("shared."), source.splitlines()).visit(ast.parse(source))
        return compile(tree, self.path, "exec")

    def exec_module(self, module: ModuleType) -> None:
        module.__dict__["_hit"] = _hit
        super().exec_module(module)


class _Finder:
    @staticmethod
    def find_spec(name: str, path: Any = None, target: Any = None) -> Any:
        if name not in WATCHED:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec is not None and spec.origin:
            spec.loader = _Loader(name, spec.origin)
        return spec


def watch() -> None:
    """Counts branches from now on, in what is imported from now on."""
    assert not WATCHED & set(sys.modules), "it is imported already"
    sys.meta_path.insert(0, _Finder())


def taken() -> Counter[str]:
    """The branches that were taken since this was last asked."""
    found = Counter({place: count for place, count in zip(places, counts, strict=True) if count})
    counts[:] = [0] * len(counts)
    return found


def outcome_of(error: BaseException) -> str:
    """The family of an error, by the nearest of its classes that `OUTCOMES` names."""
    names = [one.__name__ for one in type(error).__mro__]
    return next((name for name in _FAMILIES if name in names), names[0])


def never(visits: Counter[str]) -> dict[str, list[str]]:
    """What was not reached at all, by kind. `visits`: of all worlds together."""
    text = (ROOT / "docs" / "operations.md").read_text()
    # `alert.lost_` is a prefix in a query, the rest of the table are names.
    alerts = sorted(set(re.findall(r"`alert\.([a-z_]+[a-z])`", text)))
    outcomes = [f"{step} {one}" for step, named in OUTCOMES.items() for one in named.split()]
    effects = sorted(name.removeprefix("effect ") for name in visits if name.startswith("effect "))
    return {
        "branches": [place for place in places if not visits[place]],
        "outcomes": [one for one in outcomes if not visits[f"step {one}"]],
        "alerts": [name for name in alerts if not visits[f"alert {name}"]],
        "deaths": [where for where in effects if not visits[f"crash {where}"]],
    }
