"""What the destination has of a chunk, and whose it is: an export, or a file of an earlier attempt."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from shared.domain import places
from shared.domain.errors import BlobMissing, ContainerMissing
from shared.ports import Block
from shared.transfer.ranges import block_id
from shared.worker.finder import Origin, Sighting, find_copies, has_history
from tests.support.fakes import FakeContainer, watched
from tests.unit.builders import CONTAINER_URL, FOLDER, chunk, recording

if TYPE_CHECKING:
    from shared.domain.recording import Chunk, Recording

ACS = "20261122/call-1/eyJQbGF0-acs"
DOCUMENT = chunk(0).document_id
DATA = b"ID3 and more"
REPORTED, REPORTED_METADATA = f"{ACS}/0-audiomp3.mp3", f"{ACS}/0-acsmetadata.json"


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


def found(made: Any, *, of: Recording | None = None, is_thorough: bool = False, **changes: Any) -> list[Sighting]:
    one: Chunk = chunk(0, **changes)
    return find_copies(made, of or recording(one), one, is_thorough=is_thorough)


def test_an_export_is_found_where_the_event_reports_it() -> None:
    [one] = found(container(REPORTED), exports=(REPORTED,), metadata_exports=(REPORTED_METADATA,))
    assert (one.name, one.size, one.origin, one.metadata_blob) == (REPORTED, len(DATA), Origin.ACS, None)
    both = container(REPORTED, REPORTED_METADATA)
    [one] = found(both, exports=(REPORTED,), metadata_exports=(REPORTED_METADATA,))
    assert one.metadata_blob == REPORTED_METADATA
    assert found(container(), exports=(REPORTED,)) == []


@pytest.mark.parametrize("day", ["20261121", "20261122", "20261123"])
def test_an_export_is_found_by_its_layout_on_the_days_around_too(day: str) -> None:
    """At the first attempt by its own day alone; a thorough look has the days around."""
    folder = f"{day}/call-1/eyJQbGF0-acs"
    made = container(f"{folder}/0-audiomp3.{DOCUMENT}.mp3", f"{folder}/0-acsmetadata.{DOCUMENT}.json")
    [one] = found(made, is_thorough=True)
    assert (one.name, one.metadata_blob) == (
        f"{folder}/0-audiomp3.{DOCUMENT}.mp3",
        f"{folder}/0-acsmetadata.{DOCUMENT}.json",
    )
    assert bool(found(made)) is (day == "20261122")


def test_names_without_the_document_are_taken_where_the_metadata_names_it() -> None:
    [one] = found(with_metadata(container(REPORTED), REPORTED_METADATA))
    assert (one.name, one.metadata_blob) == (REPORTED, REPORTED_METADATA)


@pytest.mark.parametrize("document", ["another", None, 5])
def test_metadata_of_another_chunk_is_not_enough(document: Any) -> None:
    """Two recordings of one call differ by their folder only."""
    assert found(with_metadata(container(REPORTED), REPORTED_METADATA, document)) == []


@pytest.mark.parametrize("data", [b"", b"[]", b"\xff", b"{" * 10, b"[" * 100_000])
def test_metadata_that_cannot_be_read_is_not_enough(data: bytes) -> None:
    assert found(container(REPORTED, **{REPORTED_METADATA: data})) == []


def test_metadata_that_goes_away_meanwhile_is_not_enough() -> None:
    def gone(name: str, call: Any, _arguments: tuple[Any, ...]) -> Any:
        if name == "read":
            raise BlobMissing
        return call()

    assert found(watched(with_metadata(container(REPORTED), REPORTED_METADATA), gone)) == []


@pytest.mark.parametrize(
    "name",
    [
        f"{ACS}/1-audiomp3.{DOCUMENT}.mp3",  # another index
        f"{ACS}/0-audiomp3.another.mp3",
        f"{ACS}/0-acsmetadata.{DOCUMENT}.json",
        f"{ACS}/0-acsmetadata.{DOCUMENT}.mp3",
        f"{ACS}/0-audiomp3.{DOCUMENT}.txt",
        f"{ACS}/x-audiomp3.{DOCUMENT}.mp3",
        f"{ACS}/\u00b2-audiomp3.{DOCUMENT}.mp3",
        f"{ACS}/{'0' * 500}-audiomp3.{DOCUMENT}.mp3",
        f"20261122/call-2/x/0-audiomp3.{DOCUMENT}.mp3",
        f"20261120/call-1/x/0-audiomp3.{DOCUMENT}.mp3",
        f"elsewhere/20261122/call-1/x/0-audiomp3.{DOCUMENT}.mp3",
        REPORTED,  # without metadata beside it
    ],
)
def test_another_file_is_not_taken_for_the_chunk(name: str) -> None:
    assert found(container(name), is_thorough=True) == []


@pytest.mark.parametrize("missing", [{"call_id": None}, {"recording_start": None}])
def test_without_a_call_or_a_start_only_our_own_folder_is_listed(missing: dict[str, Any]) -> None:
    one = chunk(0)
    made = container(f"{ACS}/0-audiomp3.{DOCUMENT}.mp3")
    assert find_copies(made, recording(one, **missing), one, is_thorough=True) == []
    ours = places.media_name(recording(one, **missing), one, "mp3")
    assert [one.name for one in find_copies(container(ours), recording(one, **missing), one)] == [ours]


def test_a_place_in_the_container_comes_before_the_date() -> None:
    one = chunk(0)
    made = container(f"team/a/{ACS}/0-audiomp3.{DOCUMENT}.mp3")
    in_place = recording(one, container_url=f"{CONTAINER_URL}/team/a", folder=f"team/a/{FOLDER}")
    assert len(find_copies(made, in_place, one)) == 1
    assert find_copies(made, recording(one), one, is_thorough=True) == []


def test_a_container_that_is_missing_is_an_error_and_not_an_empty_one() -> None:
    with pytest.raises(ContainerMissing):
        found(FakeContainer(exists=False))


NAME = places.media_name(recording(chunk(0)), chunk(0), "mp3")


def ours(made: FakeContainer, *, sha256: str | None, identity: str | None = None) -> FakeContainer:
    identity = identity or block_id(0, DATA, tag="0123abcdef")
    made.stage(NAME, identity, DATA)
    made.commit(NAME, [Block(identity, len(DATA))], sha256=sha256, content_type="x")
    return made


@pytest.mark.parametrize("sha256", ["ab", None], ids=["by its note", "by its blocks"])
def test_a_file_of_our_own_is_known(sha256: str | None) -> None:
    """Its worker may have died before it could write the note, or the ledger."""
    [one] = found(ours(FakeContainer(), sha256=sha256))
    assert (one.origin, one.sha256, one.size) == (Origin.OURS, sha256, len(DATA))


def test_a_file_made_of_blocks_of_another_program_is_not_ours() -> None:
    [one] = found(ours(FakeContainer(), sha256=None, identity="x" * 33))
    assert one.origin is Origin.ACS


def test_a_file_whose_blocks_are_not_all_of_it_is_not_ours() -> None:
    def lying(name: str, call: Any, _arguments: tuple[Any, ...]) -> Any:
        return [Block(block.id, block.size - 1) for block in call()] if name == "committed" else call()

    [one] = found(watched(ours(FakeContainer(), sha256=None), lying))
    assert one.origin is Origin.ACS


def test_our_own_comes_first_and_empty_ones_last() -> None:
    """Of a worker that died before the ledger knew; and an export that is a name so far."""
    export, empty = f"{ACS}/0-audiomp3.{DOCUMENT}.mp3", f"20261122/call-1/other/0-audiomp3.{DOCUMENT}.mp3"
    made = ours(container(export, **{empty: b""}), sha256="ab")
    assert [one.name for one in found(made)] == [NAME, export, empty]


def test_each_of_these_may_have_left_a_copy() -> None:
    for one in (chunk(attempts=1), chunk(crashes=1), chunk(continuations=1)):
        assert has_history(one)
    assert not has_history(chunk())


def test_an_empty_file_comes_after_those_with_bytes() -> None:
    made = container(f"{ACS}/1-audiomp3.mp3", **{REPORTED: b""})
    assert [one.size for one in found(made, exports=(REPORTED, f"{ACS}/1-audiomp3.mp3"))] == [len(DATA), 0]
