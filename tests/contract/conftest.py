from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from local.acs import AcsConfig, AcsEmulator
from local.azurite import Azurite
from tests.contract.sides import FakeSide, MemoryAccount, RealSide
from tests.support.memory_storage import MemoryStorage, MemoryTransport

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.contract.sides import Side


@pytest.fixture(scope="session")
def azurite() -> Iterator[Azurite]:
    with Azurite() as running:
        yield running


@pytest.fixture(scope="session")
def emulator() -> Iterator[AcsEmulator]:
    with AcsEmulator(AcsConfig(seed=11)) as running:
        yield running


@pytest.fixture
def acs(emulator: AcsEmulator) -> Iterator[AcsEmulator]:
    """The emulator, well again after each test."""
    yield emulator
    emulator.clear_faults()


@pytest.fixture
def real(azurite: Azurite, acs: AcsEmulator) -> Iterator[RealSide]:
    made = RealSide(azurite, acs)
    yield made
    made.close()


@pytest.fixture
def memory(acs: AcsEmulator) -> Iterator[RealSide]:
    """The real adapters and SDKs over a storage in memory."""
    storage = MemoryStorage()
    with storage.below_the_adapters():
        made = RealSide(MemoryAccount(storage), acs, options={"transport": MemoryTransport(storage)})
        yield made
        made.close()


@pytest.fixture(params=["fake", "real", "memory"])
def side(request: pytest.FixtureRequest) -> Side:
    """Each world, one after the other."""
    found: Side = FakeSide() if request.param == "fake" else request.getfixturevalue(request.param)
    return found
