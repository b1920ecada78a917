"""The same tests through the other forms of the app: in this process, and as two worker processes on one queue.

(The form with one process, reached by its port, is what the rest of this package runs.)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from local.services import CONTAINER
from local.stack import Stack
from tests.e2e.conftest import QUICK
from tests.e2e.support import ARCHIVE, World
from tests.e2e.test_routes import (
    test_a_failed_export_is_rescued_after_an_outage,
    test_a_rescue_looks_as_the_export_would,
    test_an_export_is_verified_and_told,
)
from tests.e2e.test_start import test_an_idempotency_key_gives_the_same_recording

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "test_a_failed_export_is_rescued_after_an_outage",
    "test_a_rescue_looks_as_the_export_would",
    "test_an_export_is_verified_and_told",
    "test_an_idempotency_key_gives_the_same_recording",
]


@pytest.fixture(scope="module", params=[0, 2], ids=["in-process", "two-workers"])
def _formed(request: pytest.FixtureRequest) -> Iterator[World]:
    with Stack(workers=request.param, settings=QUICK, containers=(CONTAINER, ARCHIVE), seed=3) as stack:
        world = World(stack)
        yield world
        world.blobs.close()


@pytest.fixture
def world(_formed: World) -> Iterator[World]:
    """The app in the form at hand; faults of a test end with it."""
    yield _formed
    _formed.stack.acs.clear_faults()
