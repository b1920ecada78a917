"""Where a rescue finds something: its own blob, the export, another file, or a container that refuses."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from shared.domain.errors import (
    Blame,
    BlobExists,
    StorageAccessDenied,
    StorageError,
    StorageImmutable,
    StorageNetworkDenied,
    StorageUnavailable,
)
from shared.domain.recording import RecordingState
from shared.worker.finder import fallback_name
from tests.support.fakes import World, watched
from tests.unit.builders import HOUR, chunk
from tests.unit.rescue_rig import DATA, EXPORT, METADATA, SHA256, S, failing, handle, put, run, the, world

if TYPE_CHECKING:
    from collections.abc import Callable


# --- what stands in the container already


def test_what_acs_exported_meanwhile_is_not_fetched_again() -> None:
    made = world()
    put(made, EXPORT, DATA)
    one = handle(made)
    assert (one.state, one.blob) == (S.EXPORTED, EXPORT)
    assert made.media.asked == []


def test_what_acs_exports_during_a_long_rescue_is_left_alone() -> None:
    made = world()

    def meanwhile(name: str, call: Callable[[], Any], arguments: tuple[Any, ...]) -> Any:
        made.clock.advance(timedelta(seconds=11))
        if EXPORT not in made.destination.blobs:
            put(made, EXPORT, DATA)
        return call()

    one = handle(made, media=watched(made.media, meanwhile))
    assert (one.state, one.blob) == (S.EXPORTED, EXPORT)
    assert [name for name in made.destination.blobs if name.endswith(".mp3")] == [EXPORT]


def test_what_an_earlier_try_committed_is_taken_as_it_is() -> None:
    """The worker died between the commit and the ledger."""
    made = world()
    with pytest.raises(StorageUnavailable):
        handle(made, ledger=watched(made.ledger, crash_after_commit(made)))
    assert the(made).chunks[0].state is S.RESCUING
    made.media.files.clear()
    made.media.asked.clear()
    made.clock.advance(HOUR)
    one = handle(made)
    assert (one.state, one.size, one.sha256) == (S.RESCUED, len(DATA), SHA256)
    assert made.media.asked == []


def crash_after_commit(made: World) -> Callable[..., Any]:
    def around(name: str, call: Callable[[], Any], arguments: tuple[Any, ...]) -> Any:
        if name == "save" and made.destination.blobs:
            raise StorageUnavailable
        return call()

    return around


def test_two_workers_on_one_chunk_make_one_blob() -> None:
    made = world()

    def meanwhile(name: str, call: Callable[[], Any], arguments: tuple[Any, ...]) -> Any:
        if the(made).chunks[0].state is S.RESCUING and len(made.media.asked) == 2:
            made.clock.advance(timedelta(seconds=1))
            handle(made)
        return call()

    one = handle(made, media=watched(made.media, meanwhile))
    assert (one.state, one.sha256) == (S.RESCUED, SHA256)
    assert len([name for name in made.destination.blobs if name.endswith(".mp3")]) == 1
    assert made.queue.waiting == []


def test_anothers_file_in_the_place_is_kept_and_the_chunk_goes_to_the_fallback() -> None:
    made = world()
    put(made, chunk(0).blob or "", b"another")
    one = handle(made)
    assert one.state is S.IN_FALLBACK
    assert made.destination.blobs[one.blob or ""].data == b"another"
    assert made.notifier.names[0] == "destination_conflict"


def test_a_file_that_comes_there_during_the_transfer_is_kept_too() -> None:
    made = world()

    def meanwhile(name: str, call: Callable[[], Any], arguments: tuple[Any, ...]) -> Any:
        if (chunk(0).blob or "") not in made.destination.blobs:
            put(made, chunk(0).blob or "", b"another")
        return call()

    one = handle(made, media=watched(made.media, meanwhile))
    assert one.state is S.IN_FALLBACK
    assert made.destination.blobs[one.blob or ""].data == b"another"


def test_a_file_that_comes_and_goes_is_a_conflict() -> None:
    """The commit met it, and it was gone when we looked: nothing is known of it, so nothing is believed."""
    made = world()

    class Flickering:
        def destination(self, container: Any) -> Any:
            exists = failing("commit", BlobExists(blame=Blame.DESTINATION))
            return watched(made.containers.destination(container), exists)

        def fallback(self) -> Any:
            return made.containers.fallback()

    one = handle(made, containers=Flickering())
    assert one.state is S.IN_FALLBACK
    assert one.last_error is not None
    assert one.last_error.code == "destination_conflict"


# --- the fallback


REFUSALS: list[tuple[StorageError, list[str]]] = [
    (StorageAccessDenied(blame=Blame.DESTINATION), ["storage_access_denied"]),
    (StorageNetworkDenied(blame=Blame.DESTINATION), ["storage_network_denied"]),
    (StorageImmutable(blame=Blame.DESTINATION), ["storage_immutable"]),
    (StorageUnavailable(blame=Blame.DESTINATION), []),
]


@pytest.mark.parametrize(("refusal", "alerts"), REFUSALS)
def test_where_the_destination_refuses_the_bytes_are_safe_at_once_and_moved_later(
    refusal: StorageError, alerts: list[str]
) -> None:
    made = world()
    made.destination.refusal = refusal
    one = handle(made)
    assert (one.state, one.sha256, one.tries) == (S.IN_FALLBACK, SHA256, 1)
    assert made.fallback.blobs[fallback_name(the(made), one.blob or "")].data == DATA
    assert made.fallback.blobs[fallback_name(the(made), one.metadata_blob or "")].data == METADATA
    assert the(made).state is RecordingState.SAFE
    assert made.notifier.names == alerts
    made.clock.advance(2 * HOUR)
    made.destination.refusal = None
    made.media.files.clear()
    one = run(made)
    assert one.state is S.DELIVERED
    assert made.destination.blobs[one.blob or ""].data == DATA
    assert made.fallback.blobs == {}
    assert the(made).closed_at is not None


def test_a_container_that_is_missing_or_off_the_list_is_a_refusal() -> None:
    made = world()
    made.destination.exists = False
    assert handle(made).state is S.IN_FALLBACK
    assert made.notifier.names == ["container_missing"]
    made = world(container_url="https://old.blob.core.windows.net/recordings")
    assert handle(made).state is S.IN_FALLBACK
    assert made.notifier.names == ["container_not_allowed"]


def test_an_earlier_copy_in_the_fallback_is_used() -> None:
    made = world()
    made.destination.refusal = StorageAccessDenied(blame=Blame.DESTINATION)

    def crashing(name: str, call: Callable[[], Any], arguments: tuple[Any, ...]) -> Any:
        if name == "save" and made.fallback.blobs:
            raise StorageUnavailable
        return call()

    with pytest.raises(StorageUnavailable):
        handle(made, ledger=watched(made.ledger, crashing))
    made.media.files.clear()
    made.clock.advance(HOUR)
    assert handle(made).state is S.IN_FALLBACK


def test_when_both_containers_refuse_the_try_fails() -> None:
    made = world()
    made.destination.refusal = made.fallback.refusal = StorageUnavailable()
    one = handle(made)
    assert (one.state, one.tries) == (S.PENDING, 1)
    assert one.last_error is not None
    assert one.last_error.code == "storage_unavailable"
    made.destination.refusal = made.fallback.refusal = None
    assert run(made).state in (S.RESCUED, S.DELIVERED)
