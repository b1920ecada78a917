"""Imports run downwards only; the core knows no port, clock, random source or logger."""

from __future__ import annotations

import ast
from pathlib import Path

import shared

ROOT = Path(shared.__file__).parent
FLOORS: tuple[tuple[str, ...], ...] = (
    ("domain",),
    ("ports",),
    ("logs", "telemetry", "index", "store", "sightings"),
    ("transfer", "settings"),
    ("adapters", "worker", "intake", "start", "sweep", "api"),
    ("app",),
    ("http",),
    ("handlers",),
)
FLOOR = {name: height for height, names in enumerate(FLOORS) for name in names}
NOT_IN_DOMAIN = {"logging", "random", "time", "os", "threading", "socket", "secrets"}


def modules() -> list[Path]:
    return sorted(path for path in ROOT.rglob("*.py") if path != ROOT / "__init__.py")


def room_of(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"shared.{alias.name}" for alias in node.names} if node.module == "shared" else {node.module}
    return found


def test_every_module_has_a_floor() -> None:
    assert {room_of(path) for path in modules()} == set(FLOOR)


def test_imports_run_downwards_only() -> None:
    upwards = []
    for path in modules():
        here = room_of(path)
        for name in imports(path):
            parts = name.split(".")
            if parts[0] != "shared" or len(parts) == 1:
                continue
            if FLOOR[parts[1]] > FLOOR[here]:
                upwards.append(f"{path.relative_to(ROOT)} imports {name}")
    assert upwards == []


def test_the_domain_imports_nothing_but_the_domain() -> None:
    for path in (ROOT / "domain").glob("*.py"):
        for name in imports(path):
            assert not name.startswith("shared.") or name.startswith("shared.domain"), f"{path.name}: {name}"
            assert name.split(".")[0] not in NOT_IN_DOMAIN, f"{path.name}: {name}"


def test_the_domain_does_not_ask_for_the_time() -> None:
    for path in (ROOT / "domain").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            assert not (
                isinstance(node, ast.Attribute)
                and node.attr in ("now", "utcnow", "today")
                and isinstance(node.value, ast.Name)
                and node.value.id in ("datetime", "date")
            ), path.name
