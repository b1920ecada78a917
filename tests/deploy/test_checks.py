"""The deployment as it is in this tree has none of the faults that can be seen without Azure."""

import pytest

from tests.deploy.checks import CHECKS
from tests.deploy.facts import ROOT


@pytest.mark.parametrize("name", CHECKS)
def test_the_deployment_has_no_fault(name: str) -> None:
    assert CHECKS[name](ROOT) == []
