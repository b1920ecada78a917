from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from local.clock import Clock
from local.eventgrid import EventGrid
from tests.support.receiver import Receiver

if TYPE_CHECKING:
    from collections.abc import Iterator

START = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)


@pytest.fixture
def clock() -> Clock:
    return Clock(stepped=True, start=START)


@pytest.fixture
def grid(clock: Clock) -> Iterator[EventGrid]:
    with EventGrid(clock=clock, seed=1) as grid:
        yield grid


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver
