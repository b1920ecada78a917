"""The adapters' requests as an account with an identity sees them; what the storage emulator has not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from azure.storage.blob import BlobServiceClient

from shared.adapters.blob import BlobContainer
from shared.domain.errors import Blame
from tests.contract.scripted import Answer, Asked, Detoured, Identity, Scripted

if TYPE_CHECKING:
    import pytest

KEY = (
    b'<?xml version="1.0" encoding="utf-8"?><UserDelegationKey><SignedOid>oid</SignedOid><SignedTid>tid</SignedTid>'
    b"<SignedStart>2026-11-22T12:00:00Z</SignedStart><SignedExpiry>2026-11-22T14:00:00Z</SignedExpiry>"
    b"<SignedService>b</SignedService><SignedVersion>2025-01-05</SignedVersion><Value>a2V5</Value></UserDelegationKey>"
)
HEAD = {"ETag": '"0x1"', "Last-Modified": "Sun, 22 Nov 2026 12:00:00 GMT", "x-ms-blob-type": "BlockBlob"}


def account(asked: Asked) -> Answer:
    """An account with one blob of 2500 bytes to copy from, that takes whatever is written."""
    if asked.method == "POST":
        return Answer(200, KEY, {"Content-Type": "application/xml"})
    if asked.method == "HEAD":
        return Answer(200, b"", HEAD | {"Content-Length": "2500", "x-ms-meta-sha256": "a" * 64})
    return Answer(201, b"", HEAD)


def place(server: Scripted) -> BlobContainer:
    service = BlobServiceClient(
        "https://customer.blob.core.windows.net", credential=Identity(), transport=Detoured(server.origin)
    )
    return BlobContainer(service, "recordings", blame=Blame.DESTINATION, creates=False)


def test_without_a_key_a_reading_url_is_signed_by_delegation() -> None:
    """For this one blob, over https only."""
    with Scripted(account) as server:
        url = place(server).read_url("a/b.mp3")
    assert url.startswith("https://customer.blob.core.windows.net/recordings/a/b.mp3?")
    for part in ("skoid=oid", "sktid=tid", "sp=r", "sr=b", "spr=https", "sig="):
        assert part in url
    assert server.asked[0].headers["authorization"] == "Bearer token-of-the-identity"


def test_a_large_blob_is_copied_in_blocks_and_committed_where_nothing_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.adapters.blob._SYNC_COPY_LIMIT", 1000)
    monkeypatch.setattr("shared.adapters.blob._COPY_BLOCK", 1000)
    with Scripted(account) as server:
        place(server).copy_from(place(server), "s.mp3", "t.mp3")
    puts = [asked for asked in server.asked if asked.method == "PUT"]
    assert [put.headers.get("x-ms-source-range") for put in puts[:-1]] == [
        "bytes=0-999",
        "bytes=1000-1999",
        "bytes=2000-2499",
    ]
    last = puts[-1].headers
    assert (last["if-none-match"], last["x-ms-blob-content-type"], last["x-ms-meta-sha256"]) == (
        "*",
        "audio/mpeg",
        "a" * 64,
    )
