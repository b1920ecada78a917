"""Deletion at ACS: only where it is asked for, only of what is verified, tried again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shared.domain.errors import MediaUnavailable
from tests.support.fakes import watched
from tests.unit.aftercare_rig import DONE, SAVED, S, care, the, world_with
from tests.unit.builders import HOUR, NOON, chunk

if TYPE_CHECKING:
    from collections.abc import Callable


def test_nothing_is_deleted_at_acs_unless_it_is_asked_for() -> None:
    world = world_with(chunk(0, S.RESCUED, **SAVED))
    assert care(world).chunks[0].deletion == "off"
    assert world.media.deleted == []


def test_what_is_verified_is_deleted_at_acs_where_it_is_asked_for() -> None:
    world = world_with(
        chunk(0, S.RESCUED, **SAVED), chunk(1, S.EXPORTED, **SAVED | {"delete_location": None}), deletes=True
    )
    after = care(world)
    assert world.media.deleted == [after.chunks[0].delete_location]
    assert [one.deletion for one in after.chunks] == ["done", "off"]
    assert after.closed_at == NOON


def test_nothing_is_deleted_of_a_recording_of_which_a_chunk_is_lost() -> None:
    world = world_with(chunk(0, S.RESCUED, **SAVED), chunk(1, S.LOST, **DONE), deletes=True)
    assert care(world).closed_at == NOON
    assert world.media.deleted == []


def test_a_deletion_is_only_asked_for_what_the_chunk_is() -> None:
    """An event could name any object of the account."""
    other = "https://us-api.asm.skype.com/v1/objects/another-document"
    world = world_with(chunk(0, S.RESCUED, **SAVED | {"delete_location": other}), deletes=True)
    assert care(world).chunks[0].deletion == "failed"
    assert world.media.deleted == []
    assert the(world).closed_at == NOON


def failing_deletes(name: str, call: Callable[[], Any], arguments: tuple[Any, ...]) -> Any:
    if name == "delete" and "skype" in str(arguments):
        raise MediaUnavailable
    return call()


def test_a_deletion_that_fails_is_tried_again_inside_the_window() -> None:
    world = world_with(chunk(0, S.RESCUED, **SAVED), deletes=True)
    after = care(world, media=watched(world.media, failing_deletes))
    assert after.chunks[0].deletion == "pending"
    assert after.closed_at is None
    world.deliver_next(world.app())
    assert the(world).chunks[0].deletion == "done"
    assert the(world).closed_at is not None


def test_a_deletion_that_fails_to_the_end_is_left_to_acs() -> None:
    world = world_with(chunk(0, S.RESCUED, **SAVED), deletes=True, deadline=NOON + 2 * HOUR)
    care(world, media=watched(world.media, failing_deletes))
    app = world.app(media=watched(world.media, failing_deletes))
    for _ in range(1_000):
        if world.deliver_next(app) is None:
            break
    assert the(world).chunks[0].deletion == "failed"
    assert the(world).closed_at is not None
