"""The manifest: what became of a recording, for the customer's people and programs."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given

from shared.domain.errors import Blame
from shared.domain.facets import route
from shared.domain.recording import ChunkState, Problem, Recording
from shared.worker.manifest import SCHEMA, is_manifest_of, manifest
from tests.unit.builders import NOON, RECORDINGS, chunk, recording

S = ChunkState


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        ([], None),
        ([S.PENDING, S.EXPECTED], None),
        ([S.EXPORTED, S.EXPORTED], "exported"),
        ([S.RESCUED], "rescued"),
        ([S.DELIVERED], "delivered"),
        ([S.LOST], "lost"),
        ([S.UNCONFIRMED], "unconfirmed"),
        ([S.EXPORTED, S.RESCUED], "mixed"),
        ([S.EXPORTED, S.PENDING], "exported"),
    ],
)
def test_the_route_is_how_the_bytes_came(states: list[ChunkState], expected: str | None) -> None:
    assert route(recording(*(chunk(i, state) for i, state in enumerate(states)))) == expected


def test_the_manifest_tells_files_sizes_sums_and_tries() -> None:
    error = Problem("media_empty", Blame.ACS, "no bytes", NOON)
    done = {"blob": "f/0.mp3", "metadata_blob": "f/0.json", "size": 10, "sha256": "ab", "finished_at": NOON}
    one = recording(
        chunk(0, S.EXPORTED, **done),
        chunk(1, S.RESCUED, attempts=3, last_error=error, end_reason="SessionEnded", **done),
    )
    document = json.loads(manifest(one, now=NOON))
    assert document["schema"] == SCHEMA
    assert (document["state"], document["route"]) == ("complete", "mixed")
    assert (document["recordingId"], document["callId"]) == ("recording-1", "call-1")
    assert document["recordingDurationMs"] == 3_600_000
    assert document["writtenAt"] == "2026-11-22T12:00:00.000Z"
    assert document["chunks"][1] == {
        "index": 1,
        "documentId": "0-eus-d1-00000001",
        "route": "rescued",
        "blob": one.chunks[1].blob,
        "metadataBlob": one.chunks[1].metadata_blob,
        "size": 10,
        "sha256": "ab",
        "proof": "none",
        "endReason": "SessionEnded",
        "attempts": 3,
        "reportedAt": "2026-11-22T12:00:00.000Z",
        "finishedAt": "2026-11-22T12:00:00.000Z",
        "lastError": "media_empty",
    }


def test_the_manifest_holds_no_url_of_acs() -> None:
    assert b"skype" not in manifest(recording(chunk(state=S.RESCUED)), now=NOON)


@given(RECORDINGS)
def test_any_recording_has_a_manifest_that_is_known_again(one: Recording) -> None:
    data = manifest(one, now=NOON)
    assert is_manifest_of(data, one)
    assert not is_manifest_of(data, replace(one, recording_id=(one.recording_id or "") + "x"))


@pytest.mark.parametrize("data", [b"", b"[]", b"5", b"{}", b"\xff", b"[" * 100_000, b'{"schema": "other"}'])
def test_another_file_is_no_manifest(data: bytes) -> None:
    assert not is_manifest_of(data, recording())
