"""What holds for every test: loopback is reached directly, whatever proxy this machine has. One Azurite for many."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from local.azurite import Azurite

if TYPE_CHECKING:
    from collections.abc import Iterator

os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1,localhost"


@pytest.fixture(scope="session")
def azurite() -> Iterator[Azurite]:
    """Shared: what a test puts into it has a name of the test's own."""
    with Azurite() as running:
        yield running
