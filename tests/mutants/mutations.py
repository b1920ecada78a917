"""What can be mutated, by cosmic-ray's operators: those that change what the code does, and not its annotations."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cosmic_ray.ast import ast_nodes, get_ast_from_path
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator, operator_names

ROOT = Path(__file__).parents[2]
GROUPS = {
    "domain": (
        "lifecycle",
        "byte_facts",
        "plan_facts",
        "recording_facts",
        "planning",
        "reopen",
        "steps",
        "backoff",
        "journal",
        "places",
    ),
    "store": ("store",),
    "worker": (
        "worker",
        "verify",
        "finder",
        "fetch",
        "deliver",
        "prove",
        "finish",
        "metadata",
        "missing_event",
        "publish",
        "checks",
    ),
    "sweep": ("sweep",),
    "intake": ("merge", "intake"),
}
# Of each comparison its opposite and its neighbour; no arithmetic but plus, minus, times; nothing on annotations.
_COMPARISONS = (
    "Eq_NotEq",
    "NotEq_Eq",
    "Lt_LtE",
    "Lt_GtE",
    "LtE_Lt",
    "LtE_Gt",
    "Gt_GtE",
    "Gt_LtE",
    "GtE_Gt",
    "GtE_Lt",
    "Is_IsNot",
    "IsNot_Is",
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
    def path(self) -> Path:
        """The module's file."""
        return ROOT / Path(*self.module.split(".")).with_suffix(".py")

    def source(self) -> str:
        """The module with the mistake in it."""
        changed = mutate_code(self.path.read_text(), get_operator(self.operator)(), self.occurrence)
        assert changed is not None, "it fits nowhere"
        return str(changed)

    def described(self) -> str:
        """Where it is, and the line as it is without it."""
        text = self.path.read_text().splitlines()[self.line - 1].strip()
        return f"{self.module}:{self.line} {self.operator.removeprefix('core/')}[{self.occurrence}]: {text[:90]}"


def mutants() -> list[Mutant]:
    """All of them."""
    found = []
    for group, names in GROUPS.items():
        for name in names:
            module = f"shared.{name}" if group == "store" else f"shared.{group}.{name}"
            found += _of(group, module)
    return found


def _of(group: str, module: str) -> list[Mutant]:
    tree = get_ast_from_path(ROOT / Path(*module.split(".")).with_suffix(".py"))
    found = []
    for name in operator_names():
        if name not in _OPERATORS:
            continue
        operator = get_operator(name)()
        positions = [start for node in ast_nodes(tree) for start, _ in operator.mutation_positions(node)]
        found += [Mutant(group, module, name, number, line) for number, (line, _) in enumerate(positions)]
    return found
