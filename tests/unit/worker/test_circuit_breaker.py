"""A destination that does not answer is not asked again by every rescue."""

from __future__ import annotations

from datetime import timedelta

import pytest

from shared.domain.errors import (
    Blame,
    ContainerMissing,
    RecorderError,
    StorageAccessDenied,
    StorageNetworkDenied,
    StorageThrottled,
    StorageUnavailable,
)
from shared.domain.locations import ContainerUrl
from shared.worker.circuit_breaker import CircuitBreaker
from tests.support.fakes import CONTAINER, NOON, FakeClock


@pytest.mark.parametrize("error", [StorageUnavailable(), StorageThrottled(), StorageNetworkDenied()])
def test_a_container_that_costs_time_is_passed_by_for_a_minute(error: RecorderError) -> None:
    clock = FakeClock(NOON)
    breaker = CircuitBreaker(clock=clock)
    breaker.check(CONTAINER)
    breaker.note(ContainerUrl.parse(f"{CONTAINER}/team"), error)
    clock.advance(timedelta(seconds=59))
    with pytest.raises(StorageUnavailable) as caught:
        breaker.check(CONTAINER)
    assert caught.value.blame is Blame.DESTINATION
    breaker.check(ContainerUrl.parse("https://other.blob.core.windows.net/recordings"))
    clock.advance(timedelta(seconds=1))
    breaker.check(CONTAINER)


@pytest.mark.parametrize("error", [StorageAccessDenied(), ContainerMissing()])
def test_a_quick_refusal_is_asked_for_anew(error: RecorderError) -> None:
    """It may have been mended."""
    breaker = CircuitBreaker(clock=FakeClock(NOON))
    breaker.note(CONTAINER, error)
    breaker.check(CONTAINER)
