"""The look at a container before a recording is started into it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from shared.domain.errors import Blame, ContainerNotReady, StorageAccessDenied, StorageError, StorageUnavailable
from shared.domain.locations import ContainerUrl
from shared.start.preflight import Preflight
from tests.support.fakes import CONTAINER, World

OTHER = ContainerUrl.parse("https://evil.blob.core.windows.net/recordings")


def preflight(world: World, mode: str) -> Preflight:
    return Preflight(containers=world.containers, clock=world.clock, mode=mode)


def refusing(error: StorageError) -> World:
    world = World()
    world.destination.refusal = error
    return world


@pytest.mark.parametrize("mode", ["warn", "enforce", "off"])
def test_a_container_that_is_ready_passes(mode: str) -> None:
    assert preflight(World(), mode).check(CONTAINER) is None


def test_a_container_that_is_not_is_warned_of() -> None:
    world = World()
    world.destination.exists = False
    warning = preflight(world, "warn").check(CONTAINER)
    assert warning is not None
    assert "container_missing" in warning
    assert str(CONTAINER) in warning


def test_a_container_that_refuses_is_an_error_where_it_is_enforced() -> None:
    with pytest.raises(ContainerNotReady, match="storage_access_denied") as caught:
        preflight(refusing(StorageAccessDenied(blame=Blame.DESTINATION)), "enforce").check(CONTAINER)
    assert caught.value.blame is Blame.DESTINATION


def test_an_outage_is_no_reason_not_to_start() -> None:
    """It will have passed when the recording ends; else the rescue has a day for it."""
    assert preflight(refusing(StorageUnavailable()), "enforce").check(CONTAINER) is not None


def test_nothing_is_asked_where_it_is_off() -> None:
    assert preflight(refusing(StorageAccessDenied()), "off").check(CONTAINER) is None


def test_a_container_off_the_list_is_not_asked() -> None:
    world = World()
    with pytest.raises(ContainerNotReady, match="container_not_allowed"):
        preflight(world, "enforce").check(OTHER)
    assert "evil" not in str(world.containers.places)


@pytest.mark.parametrize(("is_bad", "minutes"), [(False, 5), (True, 0.5)])
def test_what_was_seen_is_remembered_for_a_while(*, is_bad: bool, minutes: float) -> None:
    """A container that was not well is looked at again sooner: it may be under repair."""
    world = World()
    one = preflight(world, "warn")
    world.destination.exists = not is_bad
    before = one.check(CONTAINER)
    world.destination.exists = is_bad
    world.clock.advance(timedelta(minutes=minutes, seconds=-1))
    assert one.check(CONTAINER) == before
    world.clock.advance(timedelta(seconds=1))
    assert (one.check(CONTAINER) is None) is is_bad


def test_what_is_remembered_is_bounded() -> None:
    world = World()
    one = preflight(world, "warn")
    for number in range(1_500):
        one.check(ContainerUrl(CONTAINER.account_url, CONTAINER.container, f"place/{number}"))
    assert len(one._known) <= 1_001
