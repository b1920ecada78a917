"""Exports that ACS claims, or that somebody brings after all: looked for, believed only when they stand there."""

from __future__ import annotations

from datetime import timedelta

import pytest

from shared.domain.errors import Blame, StorageNetworkDenied, StorageUnavailable
from shared.domain.recording import RecordingState
from shared.ports import RescueMessage
from tests.support.fakes import World
from tests.unit.builders import NOON, chunk, recording
from tests.unit.rescue_rig import ACS_FOLDER, DATA, EXPORT, S, handle, put, run, the, world


def test_a_claim_that_holds_is_exported() -> None:
    made = world(chunk(0, S.EXPECTED, claimed_blob=EXPORT, media_location=None))
    put(made, EXPORT, DATA)
    one = handle(made)
    assert (one.state, one.blob, one.size, one.finished_at) == (S.EXPORTED, EXPORT, len(DATA), NOON)
    assert one.metadata_blob == f"{ACS_FOLDER}/0-acsmetadata.{one.document_id}.json"
    assert the(made).state is RecordingState.COMPLETE
    assert made.media.asked == []


@pytest.mark.parametrize("is_empty", [False, True])
def test_a_claim_that_does_not_hold_is_fetched_from_acs(*, is_empty: bool) -> None:
    made = world(chunk(0, S.EXPECTED, claimed_blob=EXPORT))
    if is_empty:
        put(made, EXPORT, b"")
    one = handle(made)
    assert (one.state, one.tries, one.ticket) == (S.PENDING, 1, 2)
    assert one.last_error is not None
    assert one.last_error.code == ("export_empty" if is_empty else "export_not_found")
    assert made.notifier.names == [one.last_error.code]
    one = run(made)
    assert one.state is S.RESCUED
    assert made.destination.blobs[one.blob or ""].data == DATA
    if is_empty:
        assert made.destination.blobs[EXPORT].data == b""


def test_a_claim_without_a_copy_at_acs_is_waited_for_to_the_end_and_then_lost() -> None:
    made = world(chunk(0, S.EXPECTED, claimed_blob=EXPORT, media_location=None))
    one = handle(made)
    assert (one.state, one.tries) == (S.EXPECTED, 1)
    one = run(made)
    assert one.state is S.LOST
    assert made.notifier.names == ["lost_0"]
    assert the(made).deadline <= made.clock.now() <= the(made).deadline + timedelta(minutes=5)


def test_a_claim_that_comes_true_late_is_exported() -> None:
    made = world(chunk(0, S.EXPECTED, claimed_blob=EXPORT, media_location=None))
    handle(made)
    put(made, EXPORT, DATA)
    assert run(made).state is S.EXPORTED


def test_metadata_of_an_export_that_came_late_is_looked_for_within_seconds() -> None:
    """However often the export was looked for in vain: its metadata comes a moment after it."""
    claimed = {"claimed_blob": EXPORT, "claimed_metadata_blob": f"{ACS_FOLDER}/0-acsmetadata.json"}
    made = world(chunk(0, S.EXPECTED, media_location=None, metadata_location=None, failures=12, tries=12, **claimed))
    put(made, EXPORT, DATA)
    made.destination.delete(f"{ACS_FOLDER}/0-acsmetadata.json")
    one = handle(made)
    assert (one.state, one.metadata_state) == (S.EXPORTED, "pending")
    assert one.next_try_at is not None
    assert one.next_try_at - made.clock.now() <= timedelta(seconds=10)


def test_a_claim_that_cannot_be_checked_is_not_lost_with_the_window() -> None:
    """The container refuses: the export may well be there."""
    made = world(chunk(0, S.EXPECTED, claimed_blob=EXPORT, media_location=None))
    made.destination.refusal = StorageNetworkDenied(blame=Blame.DESTINATION)
    handle(made)
    app = made.app()
    while made.clock.now() < the(made).deadline + timedelta(days=3):
        assert made.deliver_next(app) is not None
    assert the(made).chunks[0].state is S.EXPECTED
    assert made.notifier.names == ["storage_network_denied"]
    made.destination.refusal = None
    put(made, EXPORT, DATA)
    assert run(made).state is S.EXPORTED


def test_a_claim_that_cannot_be_checked_for_seven_days_is_lost() -> None:
    made = world(chunk(0, S.EXPECTED, claimed_blob=EXPORT, media_location=None))
    made.destination.refusal = StorageNetworkDenied(blame=Blame.DESTINATION)
    handle(made)
    assert run(made).state is S.LOST
    assert made.clock.now() >= the(made).deadline + timedelta(days=7)


def test_a_claim_that_cannot_be_checked_is_fetched_where_acs_has_it_still() -> None:
    made = world(chunk(0, S.EXPECTED, claimed_blob=EXPORT))
    made.destination.refusal = StorageUnavailable(blame=Blame.DESTINATION)
    handle(made)
    app = made.app()
    while the(made).chunks[0].state is not S.IN_FALLBACK:
        assert made.deliver_next(app) is not None
    assert made.clock.now() < NOON + timedelta(minutes=10)


def test_a_lost_chunk_that_is_found_after_all_is_exported() -> None:
    made = world(chunk(0, S.LOST, finished_at=NOON, claimed_blob=EXPORT))
    assert handle(made).state is S.LOST
    put(made, EXPORT, DATA)
    assert handle(made).state is S.EXPORTED
    made.destination.refusal = StorageUnavailable()
    made = world(chunk(0, S.LOST, finished_at=NOON, claimed_blob=EXPORT))
    assert handle(made).state is S.LOST


@pytest.mark.parametrize("name", [chunk(0).blob or "", EXPORT, EXPORT.replace("20261122", "20261123")])
def test_a_lost_chunk_that_somebody_brought_by_hand_is_found(name: str) -> None:
    """Under the name it would have had, or anywhere in the call's folders under its own file name."""
    made = world(chunk(0, S.LOST, finished_at=NOON, tries=9))
    put(made, name, DATA)
    one = handle(made)
    assert (one.state, one.blob) == (S.EXPORTED, name)
    assert (the(made).manifest.state, the(made).state) == ("written", RecordingState.COMPLETE)


@pytest.mark.parametrize("found", [True, False])
def test_a_recording_does_not_close_while_a_lost_chunk_is_to_be_looked_for(*, found: bool) -> None:
    """Who finishes another chunk meanwhile leaves the manifest to the look: it might tell of a loss that is none."""
    sought = chunk(1, S.LOST, finished_at=NOON, next_try_at=NOON, metadata_state="absent")
    other = chunk(0, S.RESCUED, size=1, sha256="ab", metadata_state="saved", finished_at=NOON)
    made = World()
    made.ledger.save(recording(other, sought), etag=None)
    handle(made)
    assert (the(made).closed_at, the(made).manifest.state) == (None, "pending")
    if found:
        put(made, sought.blob or "", DATA)
    made.app().rescue.handle(RescueMessage(the(made).key, sought.key, 1))
    after = the(made)
    assert after.closed_at is not None
    assert (after.state, after.chunks[1].next_try_at) == (
        (RecordingState.COMPLETE, NOON) if found else (RecordingState.LOST, None)
    )
    assert f'"state": "{after.state}"' in made.destination.read(after.manifest.blob or "").decode()


def test_a_look_whose_worker_died_before_it_closed_the_recording_is_followed_up() -> None:
    """Its message comes again, and finds the look done."""
    made = world(chunk(0, S.LOST, finished_at=NOON, next_try_at=None))
    assert handle(made).state is S.LOST
    assert the(made).closed_at is not None
