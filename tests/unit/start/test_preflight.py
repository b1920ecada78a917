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


@pytest.mark.parametrize(("mode", "minutes"), [("warn", 5), ("enforce", 1)])
def test_a_container_that_is_well_is_remembered_for_a_while(mode: str, minutes: int) -> None:
    """`enforce` never answers by what is older than a minute."""
    world = World()
    one = preflight(world, mode)
    assert one.check(CONTAINER) is None
    world.destination.refusal = StorageUnavailable()
    world.clock.advance(timedelta(minutes=minutes, seconds=-1))
    assert one.check(CONTAINER) is None
    world.clock.advance(timedelta(seconds=1))
    assert one.check(CONTAINER) is not None


@pytest.mark.parametrize("mode", ["warn", "enforce"])
def test_a_container_that_is_mended_passes_at_once(mode: str) -> None:
    """A failure is not remembered: the very next start finds the container as it is."""
    world = refusing(StorageUnavailable())
    one = preflight(world, mode)
    assert one.check(CONTAINER) is not None
    world.destination.refusal = None
    assert one.check(CONTAINER) is None


def test_what_is_remembered_is_bounded() -> None:
    world = World()
    one = preflight(world, "warn")
    for number in range(1_500):
        one.check(ContainerUrl(CONTAINER.account_url, CONTAINER.container, f"place/{number}"))
    assert len(one._well_until) <= 1_001
