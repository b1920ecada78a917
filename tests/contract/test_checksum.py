"""Each block is verified by the service: by CRC-64, or by MD5 where the service does not know CRC-64."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.adapters.blob import BlobContainer, blob_service
from shared.domain.errors import Blame, BlobExists, StorageCorrupted
from shared.transfer.checksum import crc64
from tests.contract.scripted import Scripted
from tests.support.fakes import settings
from tests.support.verifying import VerifyingService, crc64_by_bits

KEY = "a2V5" * 8
DATA = b"RIFF" + bytes(range(256)) * 5
BLOCK = "0" * 41


def place(server: Scripted) -> BlobContainer:
    address = f"AccountName=a;AccountKey={KEY};BlobEndpoint={server.origin}/a"
    service = blob_service(settings(), account_url=None, connection_string=address, credential=None)
    return BlobContainer(service, "recordings", blame=Blame.DESTINATION, creates=False)


@given(st.binary(max_size=300))
def test_the_library_computes_what_the_definition_says(data: bytes) -> None:
    assert crc64(data) == crc64_by_bits(data)


def test_the_check_value_of_the_algorithm() -> None:
    assert crc64(b"123456789") == crc64_by_bits(b"123456789") == 0xAE8B14860A799888


def write(container: BlobContainer, how: str) -> None:
    if how == "stage":
        container.stage("x", BLOCK, DATA)
    else:
        container.put("x", DATA, content_type="audio/wav", overwrite=False)


@pytest.mark.parametrize("how", ["stage", "put"])
def test_a_service_that_verifies_crc64_is_asked_once_and_for_nothing_else(how: str) -> None:
    service = VerifyingService()
    with service() as server:
        write(place(server), how)
    [asked] = server.asked
    assert "content-md5" not in asked.headers
    assert service.verified == set(service.stored) == {asked.target}


@pytest.mark.parametrize("how", ["stage", "put"])
@pytest.mark.parametrize("crc", [400, 500, 501, "ignored"])
def test_a_service_without_crc64_gets_md5_at_once_and_from_then_on(crc: str | int, how: str) -> None:
    """No request is repeated as after an outage, and nothing unverified is left in place of the data."""
    service = VerifyingService(crc64=crc)
    with service() as server:
        container = place(server)
        write(container, how)
        first = len(server.asked)
        container.stage("y", BLOCK, DATA)
    assert first == 2
    assert ["content-md5" in asked.headers for asked in server.asked] == [False, True, True]
    assert service.verified == set(service.stored)
    assert set(service.stored.values()) == {DATA}


@pytest.mark.parametrize("how", ["stage", "put"])
@pytest.mark.parametrize("crc", ["verified", 400, "ignored"])
def test_what_is_damaged_on_the_way_is_noticed(crc: str | int, how: str) -> None:
    service = VerifyingService(crc64=crc, damage=lambda body: body[:-1] + b"?")
    with service() as server, pytest.raises(StorageCorrupted):
        write(place(server), how)
    assert not service.verified


def test_what_changed_since_its_checksum_was_computed_is_refused() -> None:
    service = VerifyingService()
    with service() as server, pytest.raises(StorageCorrupted):
        place(server).stage("x", BLOCK, DATA[:-1] + b"?", crc64=crc64(DATA))
    assert not service.verified


def test_a_blob_that_exists_is_not_written_over_where_the_header_is_ignored() -> None:
    service = VerifyingService(crc64="ignored")
    with service() as server:
        container = place(server)
        container.put("x", DATA, content_type="audio/wav", overwrite=True)
        with pytest.raises(BlobExists):
            container.put("x", b"other", content_type="audio/wav", overwrite=False)
    assert set(service.stored.values()) == {DATA}


def test_a_service_that_answers_another_checksum_received_other_bytes() -> None:
    """It did not compare, and says what it has."""
    service = VerifyingService(crc64="ignored")

    def answer_other(asked: object) -> object:
        found = service.answer(asked)  # type: ignore[arg-type]  # as Scripted hands it over
        found.headers["x-ms-content-crc64"] = "AAAAAAAAAAA="
        return found

    with Scripted(answer_other) as server, pytest.raises(StorageCorrupted):  # type: ignore[arg-type]  # the same
        place(server).stage("x", BLOCK, DATA)
