"""What others can put where the app looks: into the customer's container, and into the queue."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from shared.domain import naming
from shared.domain.recording import ChunkState
from shared.worker.message import decode_message
from tests.security.hostile import ARCHIVE, CALL_ID, DOCUMENT, RECORDING_ID, Watchtower, event
from tests.support.fakes import NOON

KEY = naming.recording_key(RECORDING_ID)
DEEP = b"[" * 100_000
DAY = f"20261122/{CALL_ID}"


def _put(tower: Watchtower, name: str, data: bytes) -> None:
    tower.world.destination.put(name, data, content_type="x/y", overwrite=False)


@pytest.mark.parametrize(
    "metadata",
    [DEEP, b"", b"null", b"\xff\xfe", b'{"chunkDocumentId": 1}', b'{"chunkDocumentId": "\\ud800"}', b"9" * 5000],
    ids=range(7),
)
def test_metadata_that_nobody_can_read_does_not_keep_a_chunk_from_its_rescue(metadata: bytes) -> None:
    tower = Watchtower(ARCHIVE)
    tower.has_at_acs()
    _put(tower, f"{DAY}/x/0-audiomp3.mp3", b"ID3 of another")
    _put(tower, f"{DAY}/x/0-acsmetadata.json", metadata)
    for odd in ("\u00b2-audiomp3.mp3", "9" * 300 + "-audiomp3.mp3", "0-audiomp3.mp3.mp3", "-.mp3"):
        _put(tower, f"{DAY}/x/{odd}", b"ID3")
    tower.hears(event())
    tower.works()
    tower.check()
    assert tower.world.ledger.recording(KEY).chunks[0].state is ChunkState.RESCUED


@pytest.mark.parametrize(
    "document",
    [
        {"chunkStartTime": "0001-01-01T00:00:00+14:00"},
        {"chunkStartTime": "9999-12-31T23:59:59-14:00"},
        {"chunkStartTime": {}},
        {"chunkStartTime": "2026-11-22T11:00:00Z", "chunkDocumentId": "\ud800"},
        {"chunkStartTime": "2026-11-22T11:00:00Z", "chunkDocumentId": "x" * 900_000},
        {"chunkStartTime": "2026-11-22T11:00:00Z", "chunkDocumentId": ["../.."]},
    ],
    ids=range(6),
)
def test_a_sweep_survives_whatever_lies_in_the_container(document: dict[str, object]) -> None:
    """One file would else have stopped every sweep, for all recordings."""
    tower = Watchtower(ARCHIVE)
    silent = tower.was_started(check_at=NOON)
    for index in ("0", "\u00b2", "9" * 500, "-1"):
        _put(tower, f"{DAY}/x/{index}-acsmetadata.json", json.dumps(document).encode())
        _put(tower, f"{DAY}/x/{index}-audiomp3.mp3", b"ID3")
    _put(tower, f"{DAY}/deep/0-acsmetadata.json", DEEP)
    _put(tower, f"{DAY}/deep/0-audiomp3.mp3", b"ID3")
    tower.world.clock.advance(timedelta(hours=1))
    tower.app.sweep.run()
    tower.works()
    tower.check()
    after = tower.world.ledger.recording(KEY)
    assert all(len(one.document_id) <= 1024 for one in after.chunks)
    assert after != silent


@pytest.mark.parametrize(
    "standing",
    [
        b"the customer's own",
        DEEP,
        b'{"schema": "acs-byos-recorder/manifest/1", "recordingId": "another", "callId": "another"}',
        b"null",
    ],
    ids=["text", "deep", "of another recording", "null"],
)
def test_a_manifest_is_written_over_no_other_file(standing: bytes) -> None:
    tower = Watchtower(ARCHIVE)
    tower.has_at_acs()
    tower.hears(event())
    name = f"{tower.world.ledger.recording(KEY).folder}/manifest.json"
    _put(tower, name, standing)
    tower.works()
    after = tower.world.ledger.recording(KEY)
    assert tower.world.destination.read(name) == standing
    assert after.closed_at is not None
    assert after.manifest.blob != name
    assert json.loads(tower.world.destination.read(after.manifest.blob or ""))["recordingId"] == RECORDING_ID


@pytest.mark.parametrize("key", ["../../starts/x", "a" * 31, "A" * 32, "a" * 32 + "\n", "a" * 31 + "/", 7, None])
@pytest.mark.parametrize("field", ["recordingKey", "part"])
def test_a_message_names_ledger_documents_by_hash_only(field: str, key: object) -> None:
    body = {"recordingKey": "0" * 32, "part": "0" * 16, "generation": 1}
    assert decode_message(json.dumps(body).encode()) is not None
    assert decode_message(json.dumps(body | {field: key}).encode()) is None


def test_a_chunk_of_another_document_is_not_taken_for_this_one() -> None:
    """Two recordings of one call differ by folder only: the file beside must name this very chunk."""
    tower = Watchtower(ARCHIVE)
    tower.has_at_acs()
    _put(tower, f"{DAY}/other/0-audiomp3.mp3", b"ID3 of another recording")
    _put(tower, f"{DAY}/other/0-acsmetadata.json", json.dumps({"chunkDocumentId": DOCUMENT + "x"}).encode())
    tower.hears(event())
    tower.works()
    assert tower.world.ledger.recording(KEY).chunks[0].state is ChunkState.RESCUED
