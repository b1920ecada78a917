"""Which unit tests reach which lines of `shared`, and how long each takes: measured once, kept in `.local/mutants`."""

from __future__ import annotations

import ast
import hashlib
import json
import time
from typing import TYPE_CHECKING, Any

from tests.mutants.mutations import ROOT, path_of
from tests.mutants.warm import FAILED, SURVIVED, in_children

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.mutants.mutations import Mutant

_KEPT = ROOT / ".local" / "mutants" / "covering.json"
# These test documents, imports, processes, the time that something takes, and what no mutant is in.
_LEFT_OUT = {"test_imports.py", "test_docs.py", "test_bench.py", "test_app.py", "test_function_app.py"} | {
    "test_settings.py",
    "test_10_hostile_input_is_cheap.py",
}
_LEFT_OUT_FOLDERS = {"telemetry"}


class Covering:
    """The map of one state of the tree."""

    def __init__(self, files: dict[str, Any]) -> None:
        self.seconds: dict[str, float] = {}
        self._reaching: dict[str, dict[int, list[str]]] = {}
        for tests in files.values():
            for test, measured in tests.items():
                self.seconds[test] = measured["seconds"]
                for module, lines in measured["lines"].items():
                    for line in lines:
                        self._reaching.setdefault(module, {}).setdefault(line, []).append(test)

    def tests_of(self, mutant: Mutant, *, most: float) -> list[str]:
        """The tests that reach the mutant's statement, those of the module and of its folder first, then the cheapest.

        Of what runs when its module is imported: those that reach any line of the module, then all. Not more than
        `most` seconds of them.
        """
        lines = _statement(mutant)
        module = self._reaching.get(mutant.module, {})
        if lines is None:
            anywhere = {test for tests in module.values() for test in tests}
            rank = {test: 0 if test in anywhere else 1 for test in self.seconds}
        else:
            rank = {test: 0 for line in lines for test in module.get(line, [])}
        own = mutant.module.rsplit(".", maxsplit=1)[-1]
        folder = f"unit/{mutant.group}"
        ordered = sorted(
            rank, key=lambda test: (rank[test], f"test_{own}.py" not in test, folder not in test, self.seconds[test])
        )
        chosen, total = [], 0.0
        for test in ordered:
            if total + self.seconds[test] <= most:
                chosen.append(test)
                total += self.seconds[test]
        return chosen


def _statement(mutant: Mutant) -> range | None:
    """The lines of the smallest statement around the mutant's line; None where it runs at the import."""
    found: ast.stmt | None = None
    is_in_function = False

    def look(node: ast.AST, *, inside: bool) -> None:
        nonlocal found, is_in_function
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.stmt) and child.lineno <= mutant.line <= (child.end_lineno or 0):
                found, is_in_function = child, inside
                is_body = isinstance(child, ast.FunctionDef) and mutant.line >= child.body[0].lineno
                look(child, inside=inside or is_body)
            elif not isinstance(child, ast.stmt):
                look(child, inside=inside)

    look(ast.parse(path_of(mutant.module).read_text()), inside=False)
    if not is_in_function or found is None:
        return None
    body = getattr(found, "body", None)
    last = body[0].lineno - 1 if body and isinstance(body, list) and mutant.line < body[0].lineno else found.end_lineno
    return range(found.lineno, max(last or 0, found.lineno) + 1)


def covering(*, processes: int) -> Covering:
    """Measures the test files that changed since the last time; all, where `shared` or what tests share did."""
    common = _digest(
        [*ROOT.glob("shared/**/*.py"), *ROOT.glob("tests/support/**/*.py"), *ROOT.glob("tests/unit/*rig.py")]
    )
    kept = json.loads(_KEPT.read_text()) if _KEPT.exists() else {}
    files = {str(one.relative_to(ROOT)): common + _digest([one]) for one in _test_files()}
    stale = [name for name, digest in files.items() if kept.get(name, {}).get("digest") != digest]
    print(f"measuring what {len(stale)} test files reach", flush=True)
    _KEPT.parent.mkdir(parents=True, exist_ok=True)
    for name, code, said, _ in in_children(_measure, stale, allowance=lambda _: 600, processes=processes):
        if code == SURVIVED:
            kept[name] = {"digest": files[name], "tests": json.loads(_part(name).read_text())}
            _part(name).unlink()
        else:
            print(f"left out, as it fails while it is measured: {name} {said}", flush=True)
            kept[name] = {"digest": "", "tests": {}}
        _KEPT.write_text(json.dumps(kept))
    return Covering({name: kept[name]["tests"] for name in files})


def _test_files() -> Iterator[Path]:
    for path in sorted((ROOT / "tests" / "unit").rglob("test_*.py")):
        if path.name not in _LEFT_OUT and path.parent.name not in _LEFT_OUT_FOLDERS:
            yield path


def _digest(paths: list[Path]) -> str:
    return hashlib.sha256(b"".join(one.read_bytes() for one in sorted(paths))).hexdigest()[:16]


def _part(name: str) -> Path:
    return _KEPT.parent / f"{name.replace('/', '.')}.json"


def _measure(name: str) -> int:
    import coverage  # noqa: PLC0415 - only a child measures
    import pytest  # noqa: PLC0415

    measuring = coverage.Coverage(data_file=None, config_file=False, source=[str(ROOT / "shared")])
    seconds: dict[str, float] = {}

    class Switch:
        @pytest.hookimpl(wrapper=True)
        def pytest_runtest_protocol(self, item: Any) -> Any:
            measuring.switch_context(item.nodeid)
            begun = time.monotonic()
            result = yield
            seconds[item.nodeid] = round(time.monotonic() - begun, 4)
            return result

    measuring.start()
    done = pytest.main([*PLAIN, name], plugins=[Switch()])
    measuring.stop()
    if done != 0:
        return FAILED
    data = measuring.get_data()
    tests: dict[str, Any] = {test: {"seconds": took, "lines": {}} for test, took in seconds.items()}
    for path in data.measured_files():
        module = ".".join(path.removeprefix(f"{ROOT}/").removesuffix(".py").split("/"))
        for line, contexts in data.contexts_by_lineno(path).items():
            for test in contexts:
                if test:
                    tests[test]["lines"].setdefault(module, []).append(line)
    _part(name).write_text(json.dumps(tests))
    return SURVIVED


PLAIN = ["-x", "-q", "--no-header", "-p", "no:cacheprovider", "--show-capture=no", "--tb=no", "--hypothesis-seed=0"]
