"""Step `delete_at_acs`: where it is asked for, of the chunk itself, inside ACS's window."""

from __future__ import annotations

from typing import Any

import pytest

from shared.domain.errors import MediaUnavailable
from shared.domain.recording import RecordingState
from tests.support.fakes import settings
from tests.unit.rig import HOUR, MEDIA, Rig, claim, event

DELETE = f"{MEDIA}/doc-0/content/deletedata"


def rescued(*, is_wanted: bool = True, failures: int = 0, **changes: Any) -> Rig:
    rig = Rig(given=settings(delete_at_acs=is_wanted))
    rig.put_media()
    real, left = rig.media.delete, [failures]

    def delete(location: str) -> None:
        if left[0]:
            left[0] -= 1
            raise MediaUnavailable("503")
        real(location)

    rig.media.delete = delete  # type: ignore[method-assign]  # ACS fails so often
    rig.receive(event(claim(**changes)))
    return rig


def test_nothing_is_deleted_at_acs_unless_it_is_asked_for() -> None:
    rig = rescued(is_wanted=False)
    rig.live(2 * HOUR)
    assert (rig.media.deleted, rig.chunk.deletion) == ([], "off")
    rig.assert_at_rest()


def test_a_deletion_that_fails_is_tried_again_and_holds_nothing_up() -> None:
    rig = rescued(failures=3)
    rig.run()
    assert rig.recording_state() is RecordingState.COMPLETE
    assert rig.recording.closed_at is not None
    rig.live(3 * HOUR)
    assert (rig.media.deleted, rig.chunk.deletion) == ([DELETE], "done")
    rig.assert_at_rest()


def test_a_deletion_that_fails_to_the_end_is_left_to_acs() -> None:
    rig = rescued(failures=10_000)
    rig.live(30 * HOUR)
    assert (rig.media.deleted, rig.chunk.deletion) == ([], "failed")
    assert "deletion_refused" in rig.kinds
    rig.assert_at_rest()


@pytest.mark.parametrize("location", [None, f"{MEDIA}/doc-1/content/deletedata", f"{MEDIA}/doc-0x"])
def test_nothing_is_deleted_that_does_not_name_the_chunk(location: str | None) -> None:
    rig = rescued(deleteLocation=location)
    rig.live(2 * HOUR)
    assert rig.media.deleted == []
    assert rig.recording_state() is RecordingState.COMPLETE
    rig.assert_at_rest()
