"""What the documentation promises is what the code has: alerts, errors, files."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.domain import errors

ROOT = Path(__file__).parents[2]
OPERATIONS = (ROOT / "docs" / "operations.md").read_text()
# Where an alert is named by the error that caused it: the kinds that lead there.
CAUSES = (*errors._NEEDS_PERSON, errors.ExportNotFound, errors.ExportEmpty, errors.ExportBroken)


def subclasses(kind: type[errors.RecorderError]) -> Iterator[type[errors.RecorderError]]:
    yield kind
    for below in kind.__subclasses__():
        yield from subclasses(below)


def calls(name: str) -> Iterator[ast.Call]:
    """Every call of a function or method `name` in the product."""
    for path in sorted((ROOT / "shared").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and name == getattr(node.func, "attr", getattr(node.func, "id", "")):
                yield node


def beginning(node: ast.expr) -> str | None:
    """The text that an argument begins with: a literal's, or an f-string's up to its first value."""
    if isinstance(node, ast.JoinedStr):
        node = node.values[0]
    return str(node.value) if isinstance(node, ast.Constant) else None


def alerts() -> set[str]:
    named = {beginning(call.args[1]) for call in calls("alerted") if len(call.args) > 1}
    return {name for name in named if name} | {kind.code for cause in CAUSES for kind in subclasses(cause)}


@pytest.mark.parametrize("name", sorted(alerts()))
def test_every_alert_has_its_line_in_the_runbook(name: str) -> None:
    assert f"`alert.{name}" in OPERATIONS


def test_the_alerts_are_found() -> None:
    assert {"event_overdue", "unproven", "deadline", "container_missing"} <= alerts()


def is_error(call: ast.Call) -> bool:
    return any(one.arg == "level" and getattr(one.value, "attr", "") == "ERROR" for one in call.keywords)


ERRORS = sorted({name for call in calls("log") if is_error(call) and (name := beginning(call.args[0]))})


@pytest.mark.parametrize("event", ERRORS)
def test_every_event_at_error_level_has_its_line_in_the_runbook(event: str) -> None:
    assert f"`{event}" in OPERATIONS


@pytest.mark.parametrize(
    "page",
    [ROOT / "README.md", ROOT / "SECURITY.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))],
    ids=lambda page: page.name,
)
def test_no_link_leads_nowhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
        assert (page.parent / target).exists(), target
