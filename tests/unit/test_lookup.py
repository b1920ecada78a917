"""Looking before writing: an export by ACS, or a file of an earlier try of ours, whatever its name."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest

from shared.domain.errors import BlobMissing, ContainerMissing, DestinationConflict
from shared.ports import Block
from shared.transfer.engine import Transferred
from shared.transfer.ranges import block_id
from shared.worker.finder import Found, Lookup, container_of, fallback_name
from tests.support.fakes import FakeContainer, watched
from tests.unit.builders import CONTAINER_URL, FOLDER, chunk, recording

ACS = "20261122/call-1/eyJQbGF0-acs"
DOCUMENT = chunk(0).document_id
DATA = b"ID3 and more"


def container(*names: str, **files: bytes) -> FakeContainer:
    made = FakeContainer()
    for name in names:
        made.put(name, DATA, content_type="x", overwrite=False)
    for name, data in files.items():
        made.put(name, data, content_type="x", overwrite=False)
    return made


def with_metadata(made: FakeContainer, name: str, document: Any = DOCUMENT) -> FakeContainer:
    made.put(name, json.dumps({"chunkDocumentId": document}).encode(), content_type="x", overwrite=False)
    return made


def exported(made: FakeContainer, **changes: Any) -> Found | None:
    one = chunk(0, **changes)
    return Lookup().exported(made, recording(one), one)


CLAIMED = f"{ACS}/0-audiomp3.mp3"
CLAIMED_METADATA = f"{ACS}/0-acsmetadata.json"


def test_an_export_is_found_where_the_event_claims_it() -> None:
    found = exported(container(CLAIMED), claimed_blob=CLAIMED)
    assert found == Found(CLAIMED, len(DATA), None, None)
    both = container(CLAIMED, CLAIMED_METADATA)
    assert exported(both, claimed_blob=CLAIMED, claimed_metadata_blob=CLAIMED_METADATA) == Found(
        CLAIMED, len(DATA), None, CLAIMED_METADATA
    )
    late = exported(container(CLAIMED), claimed_blob=CLAIMED, claimed_metadata_blob=CLAIMED_METADATA)
    assert late == Found(CLAIMED, len(DATA), None, None)


@pytest.mark.parametrize("day", ["20261121", "20261122", "20261123"])
def test_an_export_is_found_by_its_layout_on_the_days_around_too(day: str) -> None:
    folder = f"{day}/call-1/eyJQbGF0-acs"
    made = container(f"{folder}/0-audiomp3.{DOCUMENT}.mp3", f"{folder}/0-acsmetadata.{DOCUMENT}.json")
    found = exported(made, claimed_blob="somewhere/else.mp3")
    assert found is not None
    assert found.name == f"{folder}/0-audiomp3.{DOCUMENT}.mp3"
    assert found.metadata_name == f"{folder}/0-acsmetadata.{DOCUMENT}.json"


def test_later_tries_look_at_the_day_itself_only() -> None:
    made = container(f"20261121/call-1/x/0-audiomp3.{DOCUMENT}.mp3")
    assert exported(made, tries=1) is None
    assert exported(made, tries=0) is not None


def test_names_without_the_document_are_taken_where_the_metadata_names_it() -> None:
    assert exported(with_metadata(container(CLAIMED), CLAIMED_METADATA)) == Found(
        CLAIMED, len(DATA), None, CLAIMED_METADATA
    )


@pytest.mark.parametrize("document", ["another", None, 5])
def test_metadata_of_another_chunk_is_not_enough(document: Any) -> None:
    """Two recordings of one call differ by their folder only."""
    assert exported(with_metadata(container(CLAIMED), CLAIMED_METADATA, document)) is None


@pytest.mark.parametrize("data", [b"", b"[]", b"\xff", b"{" * 10, b"[" * 100_000])
def test_metadata_that_cannot_be_read_is_not_enough(data: bytes) -> None:
    assert exported(container(CLAIMED, **{CLAIMED_METADATA: data})) is None


def test_metadata_that_goes_away_meanwhile_is_not_enough() -> None:
    def gone(name: str, call: Any, arguments: tuple[Any, ...]) -> Any:
        if name == "read":
            raise BlobMissing
        return call()

    made = with_metadata(container(CLAIMED), CLAIMED_METADATA)
    one = chunk(0)
    assert Lookup().exported(watched(made, gone), recording(one), one) is None


@pytest.mark.parametrize(
    "name",
    [
        f"{ACS}/1-audiomp3.{DOCUMENT}.mp3",  # another index
        f"{ACS}/0-audiomp3.another.mp3",
        f"{ACS}/0-acsmetadata.{DOCUMENT}.json",
        f"{ACS}/0-acsmetadata.{DOCUMENT}.mp3",
        f"{ACS}/0-audiomp3.{DOCUMENT}.txt",
        f"{ACS}/x-audiomp3.{DOCUMENT}.mp3",
        f"{ACS}/²-audiomp3.{DOCUMENT}.mp3",
        f"{ACS}/{'0' * 500}-audiomp3.{DOCUMENT}.mp3",
        f"20261122/call-2/x/0-audiomp3.{DOCUMENT}.mp3",
        f"20261120/call-1/x/0-audiomp3.{DOCUMENT}.mp3",
        f"elsewhere/20261122/call-1/x/0-audiomp3.{DOCUMENT}.mp3",
        CLAIMED,  # without metadata beside it
        chunk(0).blob,  # the name of our own file
    ],
)
def test_another_file_is_not_taken_for_the_chunk(name: str) -> None:
    assert exported(container(name)) is None


def test_an_empty_export_is_found_only_where_it_is_claimed() -> None:
    made = container(**{CLAIMED: b"", f"{ACS}/0-audiomp3.{DOCUMENT}.mp3": b""})
    assert exported(made) is None
    assert exported(made, claimed_blob=CLAIMED) == Found(CLAIMED, 0, None, None)


@pytest.mark.parametrize("missing", [{"call_id": None}, {"recording_start": None}])
def test_without_a_call_or_a_start_there_is_nowhere_to_look(missing: dict[str, Any]) -> None:
    one = chunk(0)
    made = container(f"{ACS}/0-audiomp3.{DOCUMENT}.mp3")
    assert Lookup().exported(made, recording(one, **missing), one) is None


def test_a_place_in_the_container_comes_before_the_date() -> None:
    one = chunk(0)
    made = container(f"team/a/{ACS}/0-audiomp3.{DOCUMENT}.mp3")
    assert Lookup().exported(made, recording(one, container_url=f"{CONTAINER_URL}/team/a"), one) is not None
    assert Lookup().exported(made, recording(one), one) is None


def test_a_container_that_is_missing_is_told() -> None:
    with pytest.raises(ContainerMissing):
        exported(FakeContainer(exists=False))


def ours(made: FakeContainer, name: str, *, sha256: str | None, data: bytes = DATA) -> None:
    identity = block_id(0, data, tag="0123abcdef")
    made.stage(name, identity, data)
    made.commit(name, [Block(identity, len(data))], sha256=sha256, content_type="x")


def test_our_own_file_is_known_by_our_note() -> None:
    made = FakeContainer()
    assert Lookup().own(made, "x") is None
    ours(made, "x", sha256="ab")
    assert Lookup().own(made, "x") == Transferred(len(DATA), "ab", None, blocks=0, reused=0)


def test_our_own_file_is_known_by_its_blocks_where_the_worker_died_before_the_note() -> None:
    made = FakeContainer()
    ours(made, "x", sha256=None)
    assert Lookup().own(made, "x") == Transferred(len(DATA), hashlib.sha256(DATA).hexdigest(), None, blocks=0, reused=1)


def test_anothers_file_is_a_conflict() -> None:
    made = container("put")
    made.stage("staged", "x" * 33, DATA)
    made.commit("staged", [Block("x" * 33, len(DATA))], sha256=None, content_type="x")
    for name in ("put", "staged"):
        with pytest.raises(DestinationConflict, match="kept"):
            Lookup().own(made, name)


def test_a_file_whose_blocks_are_not_all_of_it_is_a_conflict() -> None:
    def lying(name: str, call: Any, arguments: tuple[Any, ...]) -> Any:
        return [Block(block.id, block.size - 1) for block in call()] if name == "committed" else call()

    made = FakeContainer()
    ours(made, "x", sha256=None)
    with pytest.raises(DestinationConflict):
        Lookup().own(watched(made, lying), "x")


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ("", None),
        ("ours", Transferred),
        ("export", Found),
        ("ours, export", Transferred),  # ours first: its worker may have died before the ledger knew
        ("export, other", Found),
    ],
)
def test_what_stands_in_the_destination(files: str, expected: type | None) -> None:
    one = chunk(0)
    made = container(*([f"{ACS}/0-audiomp3.{DOCUMENT}.mp3"] if "export" in files else []))
    if "ours" in files:
        ours(made, one.blob or "", sha256="ab")
    if "other" in files:
        made.put(one.blob or "", b"another", content_type="x", overwrite=False)
    standing = Lookup().standing(made, recording(one), one)
    assert (standing is None) if expected is None else isinstance(standing, expected)


def test_another_file_in_our_place_is_a_conflict() -> None:
    one = chunk(0)
    with pytest.raises(DestinationConflict):
        Lookup().standing(container(one.blob or ""), recording(one), one)


def test_names_are_below_the_recordings_key_in_the_fallback() -> None:
    one = recording()
    assert fallback_name(one, f"{FOLDER}/x") == f"{one.key}/{FOLDER}/x"
    assert str(container_of(one)) == CONTAINER_URL


@pytest.mark.parametrize(
    ("found", "own", "expected"),
    [
        ("a/meta.json", "b/0-acsmetadata.d.json", "a/meta.json"),
        (None, "b/0-acsmetadata.d.json", "acs/0-acsmetadata.d.json"),
        (None, None, None),
    ],
)
def test_metadata_lies_beside_the_media(found: str | None, own: str | None, expected: str | None) -> None:
    assert Found("acs/0-audiomp3.mp3", 1, None, found).metadata_place(chunk(0, metadata_blob=own)) == expected
