"""The adapters' requests as an account with an identity sees them; what the storage emulator has not."""

from __future__ import annotations

import base64
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from azure.storage.blob import BlobServiceClient

from shared.adapters.blob import BlobContainer
from shared.domain.errors import Blame, BlobArchived, StorageCorrupted
from shared.ports import BlobFacts
from shared.transfer.copy import Copier
from shared.transfer.digest import read_back
from tests.contract.scripted import Answer, Asked, Detoured, Identity, Scripted
from tests.support.fakes import NOON, FakeClock

KEY = (
    b'<?xml version="1.0" encoding="utf-8"?><UserDelegationKey><SignedOid>oid</SignedOid><SignedTid>tid</SignedTid>'
    b"<SignedStart>2026-11-22T12:00:00Z</SignedStart><SignedExpiry>2026-11-22T14:00:00Z</SignedExpiry>"
    b"<SignedService>b</SignedService><SignedVersion>2025-01-05</SignedVersion><Value>a2V5</Value></UserDelegationKey>"
)
HOUR = timedelta(hours=1)
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


def test_a_signature_is_made_once_for_all_blocks_of_a_copy() -> None:
    """Not a request for a delegation key with each block; another blob has its own."""
    with Scripted(account) as server:
        source = place(server)
        first, again, other = (source.read_url(name) for name in ("a.mp3", "a.mp3", "b.mp3"))
    assert first == again != other
    assert [asked.method for asked in server.asked] == ["POST", "POST"]


def copied(server: Scripted, *, size: int = 2_500) -> BlobFacts:
    facts = BlobFacts("s.mp3", size, "0x1", "a" * 64)
    return Copier(FakeClock(NOON), 1_000).run(place(server), "s.mp3", facts, place(server), "t.mp3", until=NOON + HOUR)


class Account:
    """Takes staged blocks and lists them once they are committed; the `script` answers a block's copy first."""

    def __init__(self, *script: Answer) -> None:
        self._script = list(script)
        self._blocks: list[str] = []

    def __call__(self, asked: Asked) -> Answer:
        query = parse_qs(urlsplit(asked.target).query)
        if "x-ms-copy-source" in asked.headers and self._script:
            return self._script.pop(0)
        if asked.method == "PUT" and query.get("comp") == ["block"]:
            self._blocks.append(query["blockid"][0])
        if asked.method == "GET" and query.get("comp") == ["blocklist"]:
            is_committed = query["blocklisttype"] == ["committed"]
            return Answer(200, self._listed(is_committed=is_committed), HEAD | {"Content-Type": "application/xml"})
        if asked.method == "GET":
            first, last = map(int, asked.headers["x-ms-range"].removeprefix("bytes=").split("-"))
            part = bytes(2_500)[first : last + 1]
            return Answer(206, part, HEAD | {"Content-Range": f"bytes {first}-{first + len(part) - 1}/2500"})
        return account(asked)

    def _listed(self, *, is_committed: bool) -> bytes:
        kind = "CommittedBlocks" if is_committed else "UncommittedBlocks"
        blocks = "".join(
            f"<Block><Name>{name}</Name><Size>{int(base64.b64decode(name)[-8:], 16)}</Size></Block>"
            for name in (self._blocks if is_committed else [])
        )
        return f'<?xml version="1.0" encoding="utf-8"?><BlockList><{kind}>{blocks}</{kind}></BlockList>'.encode()


def test_a_large_blob_is_copied_by_the_server_from_one_version_and_committed_where_nothing_is() -> None:
    with Scripted(Account()) as server:
        made = copied(server)
    puts = [asked.headers for asked in server.asked if asked.method == "PUT"]
    assert [put.get("x-ms-source-range") for put in puts] == [
        "bytes=0-999",
        "bytes=1000-1999",
        "bytes=2000-2499",
        None,
    ]
    assert [put.get("x-ms-source-if-match") for put in puts[:-1]] == ['"0x1"'] * 3
    last = puts[-1]
    assert (last["if-none-match"], last["x-ms-blob-content-type"], last["x-ms-meta-sha256"]) == (
        "*",
        "audio/mpeg",
        "a" * 64,
    )
    assert (made.size, made.sha256) == (2_500, "a" * 64)


REFUSALS = [
    (501, "APINotImplemented"),
    (403, "CannotVerifyCopySource"),
    (404, "CannotVerifyCopySource"),
    (400, "UnsupportedHeader"),
]


@pytest.mark.parametrize(("status", "code"), REFUSALS)
def test_where_a_server_cannot_read_the_source_the_bytes_go_through_this_process(status: int, code: str) -> None:
    with Scripted(Account(Answer(status, b"", {"x-ms-error-code": code}))) as server:
        assert copied(server).size == 2_500
    copies = [asked for asked in server.asked if "x-ms-copy-source" in asked.headers]
    reads = [asked.headers for asked in server.asked if asked.method == "GET" and "x-ms-range" in asked.headers]
    assert len(copies) == 1
    assert [read["if-match"] for read in reads] == ['"0x1"'] * 3


def test_without_the_right_to_sign_the_bytes_go_through_this_process() -> None:
    """Storage Blob Data Contributor may ask for a delegation key; a role of one's own may not."""
    whole = Account()

    def answer(asked: Asked) -> Answer:
        if asked.method == "POST":
            return Answer(403, b"", {"x-ms-error-code": "AuthorizationPermissionMismatch"})
        return whole(asked)

    with Scripted(answer) as server:
        assert copied(server).size == 2_500
    assert not any("x-ms-copy-source" in asked.headers for asked in server.asked)


def test_a_source_that_changes_while_its_server_side_copy_runs_is_not_mixed() -> None:
    changed = Answer(412, b"", {"x-ms-error-code": "SourceConditionNotMet"})
    with Scripted(Account(Answer(201, b"", HEAD), changed)) as server, pytest.raises(StorageCorrupted, match="changed"):
        copied(server)
    assert not any("comp=blocklist" in asked.target and asked.method == "PUT" for asked in server.asked)


@pytest.mark.parametrize("code", ["BlobArchived", "BlobBeingRehydrated"])
def test_an_archived_blob_is_there_and_cannot_be_read(code: str) -> None:
    def answer(asked: Asked) -> Answer:
        return Answer(409, b"", {"x-ms-error-code": code}) if asked.method == "GET" else account(asked)

    with Scripted(answer) as server:
        archived = place(server)
        assert archived.stat("x") is not None
        with pytest.raises(BlobArchived):
            archived.read("x")
        with pytest.raises(BlobArchived):
            read_back(archived, "x", etag="0x1", size=2_500, until=NOON, clock=FakeClock(NOON))
