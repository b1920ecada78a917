"""The two nets before which a mutant is put, its unit tests and the worlds, in a child of the warm process."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Any

from tests.mutants.covering import PLAIN
from tests.mutants.warm import NO_MUTANT, SHOWN, SURVIVED, put

if TYPE_CHECKING:
    from tests.mutants.covering import Covering
    from tests.mutants.mutations import Mutant

# Most mutants need no more than the first few tests; a child that has run those in vain imports the others.
_FIRST = 40


class Units:
    """The unit tests that reach the mutant, up to `most` seconds of them."""

    def __init__(self, covering: Covering, *, most: float) -> None:
        self._covering = covering
        self._most = most

    def allowance(self, mutant: Mutant) -> int:
        """CPU seconds: four times what the tests take, and what importing takes."""
        tests = self._covering.tests_of(mutant, most=self._most)
        return 15 + int(4 * sum(self._covering.seconds[test] for test in tests))

    def judge(self, mutant: Mutant) -> int:
        """In a child: SHOWN by the first test that fails."""
        if (source := mutant.source()) is None:
            return NO_MUTANT
        put(mutant.module, source)
        tests = self._covering.tests_of(mutant, most=self._most)
        for some in (tests[:_FIRST], tests[_FIRST:]):
            if some and _fails(some):
                return SHOWN
        return SURVIVED


class Worlds:
    """The simulation's worlds from seed 1."""

    def __init__(self, worlds: int) -> None:
        self._worlds = worlds

    def allowance(self, mutant: Mutant) -> int:  # noqa: ARG002 - the same for each
        """CPU seconds: a world takes 0.1 to 0.3."""
        return 60 + 2 * self._worlds

    def judge(self, mutant: Mutant) -> int:
        """In a child: SHOWN by the first world that breaks."""
        if (source := mutant.source()) is None:
            return NO_MUTANT
        put(mutant.module, source)
        return self.run()

    def run(self) -> int:
        """SHOWN where a world breaks."""
        from tests.simulation.run import run_world  # noqa: PLC0415 - with the mutant in it
        from tests.simulation.scheduler import ViolationError  # noqa: PLC0415

        logging.getLogger("recorder").setLevel(logging.CRITICAL + 1)
        for seed in range(1, self._worlds + 1):
            try:
                run_world(seed)
            except (Exception, ViolationError) as error:  # noqa: BLE001 - whatever shows the mistake
                print(f"seed {seed}: {error!r}"[:200], file=sys.stderr)
                return SHOWN
        return SURVIVED


def _fails(tests: list[str]) -> bool:
    import pytest  # noqa: PLC0415 - in the child
    from hypothesis import Phase, settings  # noqa: PLC0415

    # No example of one mutant is kept for the next, and a failure is not made smaller.
    settings.register_profile("mutants", database=None, phases=(Phase.explicit, Phase.generate))
    settings.load_profile("mutants")
    order = {test: number for number, test in enumerate(tests)}

    class Chosen:
        @pytest.hookimpl(trylast=True)
        def pytest_collection_modifyitems(self, items: list[Any]) -> None:
            items[:] = sorted((one for one in items if one.nodeid in order), key=lambda one: order[one.nodeid])

        def pytest_runtest_logreport(self, report: Any) -> None:
            if report.failed:
                print(report.nodeid, file=sys.stderr)

    files = list(dict.fromkeys(test.split("::")[0] for test in tests))
    return pytest.main([*PLAIN, *files], plugins=[Chosen()]) != 0
