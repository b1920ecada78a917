"""Where is my recording: the story of one, and the list of the unfinished."""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.api.views import RecordingUnknown, Story
from shared.domain.errors import Blame, InvalidRequest
from shared.domain.naming import marker, recording_key
from shared.domain.recording import ChunkState, LastError, Recording
from tests.support.fakes import World
from tests.unit.builders import ACCOUNT, FOLDER, HOUR, NOON, chunk, recording

S = ChunkState


def told(*recordings: Recording) -> Story:
    world = World()
    for one in recordings:
        name = None if one.closed_at else marker(deadline=one.deadline, key=one.key)
        world.ledger.save(replace(one, marker=name), etag=None)
        if name:
            world.ledger.put_marker(name)
    return world.app().story


def test_a_recording_is_found_by_its_id_and_by_its_key() -> None:
    one = recording(chunk())
    story = told(one)
    assert story.one("recording-1") == story.one(one.key)
    assert story.one("recording-1")["recordingId"] == "recording-1"


def test_a_recording_whose_id_looks_like_a_key_is_found() -> None:
    one = recording(key=recording_key("0" * 32), recording_id="0" * 32)
    assert told(one).one("0" * 32)["key"] == one.key


@pytest.mark.parametrize("identity", ["unknown", "0" * 32, "", "../x", "\ud800", "x" * 5_000])
def test_an_unknown_recording_is_told(identity: str) -> None:
    with pytest.raises(RecordingUnknown):
        told(recording()).one(identity)


def test_the_whole_story_of_a_recording() -> None:
    error = LastError("media_throttled", Blame.ACS, "429", NOON, "trace")
    pending = chunk(0, S.PENDING, tries=3, crashes=1, handovers=2, last_error=error, next_try_at=NOON + HOUR)
    rescued = chunk(
        1,
        S.RESCUED,
        size=10,
        sha256="ab",
        metadata_state="saved",
        finished_at=NOON,
        end_reason="SessionEnded",
        deletion="done",
    )
    story = told(recording(pending, rescued, alerts=("deadline_6h",), notes=("note",))).one("recording-1")
    chunks = story.pop("chunks")
    assert story == {
        "recordingId": "recording-1",
        "key": recording().key,
        "state": "saving",
        "route": "rescued",
        "containerUrl": f"{ACCOUNT}/recordings",
        "callId": "call-1",
        "recordingStartTime": "2026-11-22T11:00:00.000Z",
        "recordingDurationMs": 3_600_000,
        "firstHeardOf": "2026-11-22T11:00:00.000Z",
        "deadline": "2026-11-23T12:00:00.000Z",
        "hoursLeft": 24.0,
        "size": 10,
        "tries": 3,
        "chunkStates": {"pending": 1, "rescued": 1},
        "alerts": ["deadline_6h"],
        "notes": ["note"],
        "manifest": {"state": "pending", "failures": 0},
    }
    assert chunks == [
        {
            "index": 0,
            "documentId": pending.document_id,
            "state": "pending",
            "where": "acs",
            "metadata": "pending",
            "tries": 3,
            "handovers": 2,
            "crashes": 1,
            "lastError": {
                "code": "media_throttled",
                "blame": "acs",
                "message": "429",
                "at": "2026-11-22T12:00:00.000Z",
                "traceId": "trace",
            },
            "nextTryAt": "2026-11-22T13:00:00.000Z",
        },
        {
            "index": 1,
            "documentId": rescued.document_id,
            "state": "rescued",
            "where": "destination",
            "blob": f"{ACCOUNT}/recordings/{rescued.blob}",
            "metadataBlob": f"{ACCOUNT}/recordings/{rescued.metadata_blob}",
            "metadata": "saved",
            "size": 10,
            "sha256": "ab",
            "tries": 0,
            "endReason": "SessionEnded",
            "finishedAt": "2026-11-22T12:00:00.000Z",
            "deletionAtAcs": "done",
        },
    ]


@pytest.mark.parametrize(
    ("state", "where", "prefix"),
    [
        (S.EXPECTED, "acs", None),
        (S.PENDING, "acs", None),
        (S.RESCUING, "acs", None),
        (S.LOST, "acs", None),
        (S.IN_FALLBACK, "fallback", f"recording-fallback/{recording().key}/{FOLDER}/"),
        (S.EXPORTED, "destination", f"{ACCOUNT}/recordings/{FOLDER}/"),
        (S.RESCUED, "destination", f"{ACCOUNT}/recordings/{FOLDER}/"),
        (S.DELIVERED, "destination", f"{ACCOUNT}/recordings/{FOLDER}/"),
    ],
)
def test_where_the_bytes_are_now(state: ChunkState, where: str, prefix: str | None) -> None:
    [one] = told(recording(chunk(state=state, metadata_state="saved"))).one("recording-1")["chunks"]
    assert one["where"] == where
    if prefix is None:
        assert "blob" not in one
    else:
        assert one["blob"].startswith(prefix)
        assert one["metadataBlob"].startswith(prefix)


def test_a_recording_of_which_nothing_was_heard_is_told_as_that() -> None:
    """Not as lost: there is no chunk of which that is known. It has no hours left, and no list has it any more."""
    story = told(recording(closed_at=NOON, notes=("note",)))
    one = story.one("recording-1")
    assert (one["state"], one["chunks"], one["closedAt"]) == ("never_heard", [], "2026-11-22T12:00:00.000Z")
    assert "hoursLeft" not in one
    assert "route" not in one
    assert listed(story) == []


def test_no_url_carries_a_signature_and_none_is_broken() -> None:
    odd = chunk(state=S.EXPORTED, blob="20261122/a b/0-audiomp3.mp3?x", metadata_blob=None)
    [one] = told(recording(odd)).one("recording-1")["chunks"]
    assert one["blob"] == f"{ACCOUNT}/recordings/20261122/a%20b/0-audiomp3.mp3%3Fx"


@pytest.mark.parametrize(
    ("states", "hours"),
    [([S.PENDING], 24.0), ([], 24.0), ([S.IN_FALLBACK], 24.0), ([S.RESCUED], None), ([S.LOST], None)],
)
def test_hours_left_are_told_of_what_is_unfinished(states: list[ChunkState], hours: float | None) -> None:
    one = recording(*(chunk(i, state) for i, state in enumerate(states)))
    assert told(one).one("recording-1").get("hoursLeft") == hours


def test_a_window_that_is_over_has_no_hours_left() -> None:
    assert told(recording(chunk(), deadline=NOON - HOUR)).one("recording-1")["hoursLeft"] == 0.0


def many() -> list[Recording]:
    """Five unfinished recordings, the youngest first, and one that is finished."""
    states = [S.PENDING, S.IN_FALLBACK, None, S.PENDING, S.EXPECTED]
    return [
        recording(*([chunk(0, state)] if state else []), key=f"{number:032x}", deadline=NOON + (9 - number) * HOUR)
        for number, state in enumerate(states)
    ] + [recording(chunk(0, S.RESCUED), key="f" * 32, closed_at=NOON)]


def listed(story: Story, **query: Any) -> list[int]:
    """The numbers of the recordings of all pages."""
    found: list[int] = []
    cursor = None
    while True:
        page = story.unfinished(state=query.get("state"), limit=query.get("limit"), cursor=cursor)
        found += [int(one["key"], 16) for one in page["recordings"]]
        cursor = page.get("nextCursor")
        if cursor is None:
            return found


@pytest.mark.parametrize("limit", [None, "1", "2", "5", "200"])
@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (None, [4, 3, 2, 1, 0]),
        ("unfinished", [4, 3, 2, 1, 0]),
        ("saving", [4, 3, 0]),
        ("safe", [1]),
        ("started", [2]),
    ],
)
def test_the_unfinished_are_listed_nearest_deadline_first(
    state: str | None, expected: list[int], limit: str | None
) -> None:
    assert listed(told(*many()), state=state, limit=limit) == expected


def test_a_marker_without_a_document_and_one_of_a_finished_recording_are_passed_over() -> None:
    world = World()
    world.ledger.put_marker(marker(deadline=NOON, key="0" * 32))
    world.ledger.save(recording(closed_at=NOON), etag=None)
    world.ledger.put_marker(marker(deadline=NOON, key=recording().key))
    assert listed(world.app().story) == []


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"state": "complete"}, "state"),
        ({"state": "lost"}, "state"),
        ({"state": "never_heard"}, "state"),
        ({"limit": "0"}, "limit"),
        ({"limit": "201"}, "limit"),
        ({"limit": "007"}, "limit"),
        ({"limit": "-1"}, "limit"),
        ({"limit": "²"}, "limit"),
        ({"limit": "9" * 5_000}, "limit"),
        ({"limit": "ten"}, "limit"),
        ({"cursor": "!"}, "cursor"),
        ({"cursor": "ü"}, "cursor"),
        ({"cursor": "a"}, "cursor"),
        ({"cursor": base64.urlsafe_b64encode(b"\xff\xfe").decode()}, "cursor"),
    ],
)
def test_a_query_with_a_fault_names_it(query: dict[str, str], field: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        told().unfinished(**({"state": None, "limit": None, "cursor": None} | query))
    assert [fault.field for fault in caught.value.faults] == [field]


@given(st.text(max_size=20), st.text(max_size=8), st.text(max_size=30))
def test_any_query_is_a_page_or_a_list_of_faults(state: str, limit: str, cursor: str) -> None:
    try:
        assert told().unfinished(state=state, limit=limit, cursor=cursor)["recordings"] == []
    except InvalidRequest:
        return
