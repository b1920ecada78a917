"""Two stacks of real processes for all end-to-end tests: the app by default, and the app with its switches on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from local.services import CONTAINER
from local.stack import Stack
from tests.e2e.support import ARCHIVE, World

if TYPE_CHECKING:
    from collections.abc import Iterator

# Seconds where the defaults are minutes: the tests wait for retries.
QUICK = {
    "RESCUE_FIRST_DELAY_SECONDS": "0.5",
    "RESCUE_LONGEST_DELAY_SECONDS": "2",
    "RESCUE_BLOCK_MIB": "1",
    "RESCUE_MEMORY_MIB": "4",
}


def _world(stack: Stack) -> Iterator[World]:
    world = World(stack)
    yield world
    world.blobs.close()


@pytest.fixture(scope="package")
def _default() -> Iterator[World]:
    with Stack(settings=QUICK, containers=(CONTAINER, ARCHIVE), seed=1) as stack:
        yield from _world(stack)


@pytest.fixture(scope="package")
def _switched_on() -> Iterator[World]:
    settings = {**QUICK, "PREFLIGHT": "enforce", "DELETE_AT_ACS": "true", "AUDIT_DAYS": "1"}
    settings["WEBSITE_AUTH_ENABLED"] = "True"
    with Stack(settings=settings, containers=(CONTAINER, ARCHIVE), queue_lease=2.0, seed=2) as stack:
        yield from _world(stack)


@pytest.fixture
def world(_default: World) -> Iterator[World]:
    """The app with its default settings, but for shorter delays; faults of a test end with it."""
    yield _default
    _default.stack.acs.clear_faults()


@pytest.fixture
def strict_world(_switched_on: World) -> Iterator[World]:
    """PREFLIGHT=enforce, DELETE_AT_ACS=true, AUDIT_DAYS=1, a sign-in in front, and a killed worker's messages back
    after 2 s.
    """
    yield _switched_on
    _switched_on.stack.acs.clear_faults()
