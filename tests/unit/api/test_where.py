"""Where is my recording: how it is found, where its bytes are, and how long ACS keeps them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from shared.api.views import RecordingUnknown
from shared.domain.naming import recording_key
from shared.domain.recording import ChunkState
from tests.support.fakes import World
from tests.unit.builders import ACCOUNT, FOLDER, HOUR, NOON, chunk, recording
from tests.unit.loop_rig import put

if TYPE_CHECKING:
    from shared.api.views import RecordingViews
    from shared.domain.recording import Recording

S = ChunkState


def views(*recordings: Recording) -> RecordingViews:
    world = World()
    for one in recordings:
        if one.closed_at:
            world.ledger.archive(one, etag=None)
        else:
            put(world, one)
    return world.app().views


def test_a_recording_is_found_by_its_id_and_by_its_key() -> None:
    one = recording(chunk())
    shown = views(one)
    assert shown.one("recording-1") == shown.one(one.key)
    assert shown.one("recording-1")["recordingId"] == "recording-1"


def test_a_recording_whose_id_looks_like_a_key_is_found() -> None:
    one = recording(key=recording_key("0" * 32), recording_id="0" * 32, event_check_at=NOON)
    assert views(one).one("0" * 32)["key"] == one.key


@pytest.mark.parametrize("identity", ["unknown", "0" * 32, "", "../x", "\ud800", "x" * 5_000])
def test_an_unknown_recording_is_one(identity: str) -> None:
    with pytest.raises(RecordingUnknown):
        views(recording(chunk())).one(identity)


NAME = f"{FOLDER}/0-audiomp3.x.mp3"
METADATA = f"{FOLDER}/0-acsmetadata.x.json"


@pytest.mark.parametrize(
    ("state", "where", "prefix"),
    [
        (S.EXPECTED, "acs", None),
        (S.PENDING, "acs", None),
        (S.LOST, "acs", None),
        (S.UNCONFIRMED, "acs", None),
        (S.IN_FALLBACK, "fallback", f"recording-fallback/{recording().key}/{FOLDER}/"),
        (S.UNDELIVERABLE, "fallback", f"recording-fallback/{recording().key}/{FOLDER}/"),
        (S.EXPORTED, "destination", f"{ACCOUNT}/recordings/{FOLDER}/"),
        (S.RESCUED, "destination", f"{ACCOUNT}/recordings/{FOLDER}/"),
        (S.DELIVERED, "destination", f"{ACCOUNT}/recordings/{FOLDER}/"),
    ],
)
def test_where_the_bytes_are_now(state: ChunkState, where: str, prefix: str | None) -> None:
    one = chunk(state=state, metadata_state="saved", metadata_blob=METADATA, blob=NAME)
    [shown] = views(recording(one)).one("recording-1")["chunks"]
    assert shown["where"] == where
    if prefix is None:
        assert "blob" not in shown
    else:
        assert shown["blob"].startswith(prefix)
        assert shown["metadataBlob"].startswith(prefix)


def test_a_recording_of_which_no_event_came_has_neither_route_nor_hours_left() -> None:
    """Not lost: there is no chunk of which that is known."""
    one = views(recording(closed_at=NOON)).one("recording-1")
    assert (one["state"], one["chunks"], one["closedAt"]) == ("no_event", [], "2026-11-22T12:00:00.000Z")
    assert "hoursLeft" not in one


def test_no_url_carries_a_signature_and_none_is_broken() -> None:
    odd = chunk(state=S.EXPORTED, blob="20261122/a b/0-audiomp3.mp3?x", metadata_state="absent")
    [one] = views(recording(odd)).one("recording-1")["chunks"]
    assert one["blob"] == f"{ACCOUNT}/recordings/20261122/a%20b/0-audiomp3.mp3%3Fx"


@pytest.mark.parametrize(
    ("states", "hours"),
    [
        ([S.PENDING], 24.0),
        ([S.EXPECTED, S.RESCUED], 24.0),
        ([S.IN_FALLBACK], None),
        ([S.RESCUED], None),
        ([S.LOST], None),
    ],
)
def test_hours_left_are_those_of_what_acs_alone_has(states: list[ChunkState], hours: float | None) -> None:
    one = recording(*(chunk(index, state) for index, state in enumerate(states)))
    assert views(one).one("recording-1").get("hoursLeft") == hours


def test_a_window_that_is_over_has_no_hours_left() -> None:
    late: dict[str, Any] = {"at_risk_from": NOON - HOUR}
    assert views(recording(chunk(**late))).one("recording-1")["hoursLeft"] == 0.0
