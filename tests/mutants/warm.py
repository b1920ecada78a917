"""A warm process that forks one child a mutant.

The parent has imported what the tests need of others, and nothing of `shared`: a child imports that with the mutated
source in the module's place (an import hook; no file is written). A child that exceeds its CPU time has shown its
mutant.
"""

from __future__ import annotations

import ast
import importlib.machinery
import os
import resource
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

SURVIVED, SHOWN, NO_MUTANT, FAILED = 0, 1, 3, 4
Item = TypeVar("Item")
_ROOT = Path(__file__).parents[2]
_MEMORY = 4 << 30
# Waiting is no CPU time: so many times the allowance passes before a child is taken for stuck.
_PATIENCE = 8


class _Loader(importlib.machinery.SourceFileLoader):
    source = ""

    def get_code(self, fullname: str) -> Any:  # noqa: ARG002 - the loader's
        return compile(self.source, self.path, "exec")


class _Finder:
    def __init__(self, name: str) -> None:
        self._name = name

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        if name != self._name:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec is not None and spec.origin:
            spec.loader = _Loader(name, spec.origin)
        return spec


def put(module: str, source: str) -> None:
    """From now on, an import of the module gives this source."""
    assert module not in sys.modules, "it was imported before it was changed"
    ast.parse(source)
    _Loader.source = source
    sys.meta_path.insert(0, _Finder(module))


def warm() -> None:
    """Imports, in a child, all that `shared` and the unit tests bring; in here, what of it is neither's."""
    receiving, sending = os.pipe()
    if os.fork() == 0:
        _quiet()
        import pytest  # noqa: PLC0415 - in the child

        pytest.main(["-q", "--collect-only", "-p", "no:cacheprovider", "tests/unit"])
        names = [name for name, module in sys.modules.items() if not _is_own(module)]
        with os.fdopen(sending, "w") as pipe:
            pipe.write("\n".join(names))
        os._exit(0)
    os.close(sending)
    with os.fdopen(receiving) as pipe:
        names = pipe.read().split("\n")
    os.wait()
    import pytest  # noqa: PLC0415 - first: it rewrites the assertions of its plugins

    for name in names:
        if name.split(".")[0] not in {"__main__", "py", "pytest_cov"}:
            try:
                __import__(name)
            except Exception:  # noqa: BLE001, S112 - a child imports it, then
                continue
    assert not any(name.split(".")[0] == "shared" for name in sys.modules)


def _is_own(module: Any) -> bool:
    path = getattr(module, "__file__", None) or ""
    return path.startswith(f"{_ROOT}/") and "site-packages" not in path


def in_children(
    work: Callable[[Item], int], items: Iterable[Item], *, allowance: Callable[[Item], int], processes: int
) -> Iterator[tuple[Item, int, str, float]]:
    """Of each item, as it ends: what `work` returned in a child, what it printed to stderr, and the seconds.

    `allowance`: CPU seconds; beyond them, SHOWN.
    """
    running: dict[int, tuple[Item, float, float, Any]] = {}
    waiting = iter(items)
    while True:
        while len(running) < processes and (item := next(waiting, None)) is not None:
            output = tempfile.TemporaryFile()  # noqa: SIM115 - closed when its child ends
            seconds = allowance(item)
            if (child := os.fork()) == 0:
                _child(work, item, seconds, output.fileno())
            running[child] = (item, time.monotonic(), time.monotonic() + _PATIENCE * seconds, output)
        if not running:
            return
        child, status = os.waitpid(-1, os.WNOHANG)
        if child:
            item, begun, _, output = running.pop(child)
            output.seek(0)
            code = os.waitstatus_to_exitcode(status)
            said = output.read().decode(errors="replace")[-400:] if code >= 0 else "exceeded its time"
            output.close()
            yield item, code if code >= 0 else SHOWN, said, time.monotonic() - begun
            continue
        for one, (_, _, until, _) in running.items():
            if time.monotonic() > until:
                os.kill(one, signal.SIGKILL)
        time.sleep(0.01)


def _child(work: Callable[[Item], int], item: Item, seconds: int, output: int) -> None:
    code = FAILED
    try:
        os.setpgid(0, 0)
        _quiet(output)
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 5))
        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
        code = work(item)
    finally:
        os._exit(code)


def _quiet(output: int | None = None) -> None:
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 1)
    os.dup2(nothing if output is None else output, 2)
