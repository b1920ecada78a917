"""One mutant before one net, in a process of its own. Exit code 0: it survived; 1: it was shown.

python -m tests.mutants.judge MODULE unit|simulation WORLDS < the mutated source
"""

from __future__ import annotations

import importlib.machinery
import logging
import sys
from typing import Any

# The nearest tests first: most mutants need no more.
_NEAR = {
    "domain": ["tests/unit/domain", "tests/unit/worker"],
    "store": ["tests/unit/test_store.py", "tests/unit/worker"],
    "worker": ["tests/unit/worker"],
    "sweep": ["tests/unit/sweep"],
    "intake": ["tests/unit/intake"],
}
_ALL = ("domain", "worker", "intake", "sweep", "api", "start", "test_store.py", "test_points.py", "test_handlers.py")


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


def _by_units(module: str) -> int:
    import pytest  # noqa: PLC0415 - what is mutated is imported by it

    near = _NEAR[module.split(".")[1]]
    others = [one for name in _ALL if (one := f"tests/unit/{name}") not in near]
    plain = ["-x", "-q", "--no-header", "-p", "no:cacheprovider", "--show-capture=no", "--tb=no"]
    for paths in (near, [*others, "tests/unit/test_found_by_simulation.py"]):
        if pytest.main([*plain, *paths]) != 0:
            return 1
    return 0


def _by_worlds(worlds: int) -> int:
    from tests.simulation.run import run_world  # noqa: PLC0415 - the same
    from tests.simulation.scheduler import ViolationError  # noqa: PLC0415

    for seed in range(1, worlds + 1):
        try:
            run_world(seed)
        except (Exception, ViolationError) as error:  # noqa: BLE001 - whatever shows the mistake
            print(f"seed {seed}: {error}"[:200])  # noqa: T201
            return 1
    return 0


def main() -> int:
    """See the module."""
    module, net, worlds = sys.argv[1:4]
    logging.getLogger("recorder").setLevel(logging.CRITICAL + 1)
    _Loader.source = sys.stdin.read()
    sys.meta_path.insert(0, _Finder(module))
    return _by_units(module) if net == "unit" else _by_worlds(int(worlds))


if __name__ == "__main__":
    sys.exit(main())
