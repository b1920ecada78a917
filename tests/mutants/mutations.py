"""What is mutated, by cosmic-ray's operators, and what is left out because it cannot be a mistake (`_harmless`)."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cosmic_ray.ast import ast_nodes, get_ast_from_path
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator, operator_names

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
GROUPS = {
    "domain": "shared/domain/*.py",
    "store": "shared/store.py",
    "worker": "shared/worker/*.py",
    "sweep": "shared/sweep/*.py",
    "index": "shared/index.py",
}
# Of each comparison its opposite and its neighbour; no arithmetic but plus, minus, times.
_COMPARISONS = (
    *("Eq_NotEq", "NotEq_Eq", "Lt_LtE", "Lt_GtE", "LtE_Lt", "LtE_Gt"),
    *("Gt_GtE", "Gt_LtE", "GtE_Gt", "GtE_Lt", "Is_IsNot", "IsNot_Is"),
)
_OPERATORS = {f"core/ReplaceComparisonOperator_{name}" for name in _COMPARISONS} | {
    "core/ReplaceBinaryOperator_Add_Sub",
    "core/ReplaceBinaryOperator_Sub_Add",
    "core/ReplaceBinaryOperator_Mul_Div",
    "core/ReplaceUnaryOperator_Delete_Not",
    "core/AddNot",
    "core/ReplaceTrueWithFalse",
    "core/ReplaceFalseWithTrue",
    "core/ReplaceAndWithOr",
    "core/ReplaceOrWithAnd",
    "core/ReplaceBreakWithContinue",
    "core/ReplaceContinueWithBreak",
    "core/ExceptionReplacer",
    "core/NumberReplacer",
    "core/ZeroIterationForLoop",
}


@dataclass(frozen=True)
class Mutant:
    """One mistake: the n-th place where an operator fits in a module. `line`: where."""

    group: str
    module: str
    operator: str
    occurrence: int
    line: int

    @property
    def name(self) -> str:
        """Of this mutant alone, as long as its module does not change."""
        return f"{self.module}:{self.line} {self.operator.removeprefix('core/')}[{self.occurrence}]"

    def source(self) -> str | None:
        """The module with the mistake in it; None where it is no program, or the same one."""
        text = path_of(self.module).read_text()
        changed = mutate_code(text, get_operator(self.operator)(), self.occurrence)
        try:
            is_same = ast.dump(ast.parse(changed)) == ast.dump(ast.parse(text))
        except SyntaxError:
            return None
        return None if is_same else str(changed)

    def described(self) -> str:
        """Its name, and the line as it is without it."""
        return f"{self.name}: {path_of(self.module).read_text().splitlines()[self.line - 1].strip()[:90]}"


def path_of(module: str) -> Path:
    """The module's file."""
    return ROOT / Path(*module.split(".")).with_suffix(".py")


def mutants(groups: list[str]) -> list[Mutant]:
    """All of these groups, but for the harmless ones."""
    found = []
    for group in groups:
        for path in sorted(ROOT.glob(GROUPS[group])):
            if path.name != "__init__.py":
                found += _of(group, ".".join(path.relative_to(ROOT).with_suffix("").parts))
    return found


def _of(group: str, module: str) -> list[Mutant]:
    tree = get_ast_from_path(path_of(module))
    harmless = _harmless(ast.parse(path_of(module).read_text()))
    found = []
    for name in operator_names():
        if name not in _OPERATORS:
            continue
        operator = get_operator(name)()
        positions = [start for node in ast_nodes(tree) for start, _ in operator.mutation_positions(node)]
        for number, (line, column) in enumerate(positions):
            if not any(start <= (line, column) < end for start, end in harmless):
                found.append(Mutant(group, module, name, number, line))
    return found


def _harmless(tree: ast.Module) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """Where a change is no mistake that a test could show.

    Annotations, a signature's bare `*`, `if TYPE_CHECKING`, the flags of `@dataclass`, what a log line is given.
    """
    spans = []
    for node in ast.walk(tree):
        for one in _parts_without_effect(node):
            assert one.end_lineno is not None
            assert one.end_col_offset is not None
            spans.append(((one.lineno, one.col_offset), (one.end_lineno, one.end_col_offset)))
        if isinstance(node, ast.FunctionDef) and node.args.kwonlyargs:
            first = node.args.kwonlyargs[0]
            before = [*node.args.posonlyargs, *node.args.args]
            start = (before[-1].lineno, before[-1].col_offset) if before else (node.lineno, node.col_offset)
            spans.append((start, (first.lineno, first.col_offset)))
    return spans


def _parts_without_effect(node: ast.AST) -> Iterator[ast.expr]:
    if isinstance(node, ast.arg) and node.annotation:
        yield node.annotation
    elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.returns:
        yield node.returns
    elif isinstance(node, ast.AnnAssign):
        yield node.annotation
    elif isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
        yield node.test
    elif isinstance(node, ast.ClassDef):
        yield from (one for one in node.decorator_list if isinstance(one, ast.Call))
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "log":
        yield node
