"""One stack, one scene and one browser for all tests of the page; without Chromium all are skipped, and say why."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from local.services import CONTAINER
from local.stack import Stack
from tests.e2e.conftest import QUICK
from tests.e2e.support import ARCHIVE, World
from tests.pages.browser import MISSING, Reader, browsing, chromium
from tests.pages.gate import KEY, Gate
from tests.pages.scene import SECOND, Scene, build

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    program = chromium()
    if program is None:
        pytest.skip(MISSING)
    with browsing(program) as browser:
        yield browser


@pytest.fixture(scope="package")
def scene(browser: Browser) -> Iterator[Scene]:
    """Asked for after the browser: nothing is started where there is none."""
    with Stack(settings=QUICK, containers=(CONTAINER, ARCHIVE, SECOND), seed=3) as stack:
        world = World(stack)
        yield build(world)
        world.blobs.close()


@pytest.fixture(scope="package")
def _gate(scene: Scene) -> Iterator[Gate]:
    with Gate(scene.world.stack.host_url) as gate:
        yield gate


@pytest.fixture
def gate(_gate: Gate) -> Iterator[Gate]:
    """Open again, and with an empty memory, at the end of each test."""
    yield _gate
    _gate.is_down = False
    _gate.asked.clear()


@pytest.fixture
def stranger(browser: Browser, gate: Gate) -> Iterator[Reader]:
    """A reader without a key."""
    reader = Reader(browser, gate)
    yield reader
    reader.close()


@pytest.fixture
def reader(stranger: Reader) -> Reader:
    """A reader who opened the page with a key that works."""
    return stranger.open(key=KEY)
