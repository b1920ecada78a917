"""Port `Container`: one version of a blob, read back, copied and deleted."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from shared.domain.errors import (
    Blame,
    BlobExists,
    BlobMissing,
    ContainerMissing,
    PreconditionFailed,
    StorageCorrupted,
    StorageInvalid,
)
from shared.domain.media import Verdict
from shared.transfer.copy import Copier
from shared.transfer.digest import read_back
from tests.contract.sides import container
from tests.support.fakes import NOON, FakeClock
from tests.support.media_files import wav

if TYPE_CHECKING:
    from collections.abc import Callable

    from shared.ports import BlobFacts, Container
    from tests.contract.sides import RealSide, Side

HOUR = timedelta(hours=1)


def facts_of(place: Container, name: str) -> BlobFacts:
    found = place.stat(name)
    assert found is not None
    return found


@pytest.mark.parametrize("size", [0, 100, 100_000, 100_001, 350_000])
def test_a_copy_has_the_same_bytes_and_the_checksum(side: Side, size: int) -> None:
    """By the target's server or through this process, in one go or block by block; the source stays."""
    source, target = side.ports.containers.fallback(), container(side)
    data = (b"ID3" + bytes(range(256)) * (size // 256 + 1))[:size]
    sha256 = hashlib.sha256(data).hexdigest()
    made = source.put("key/0 ä.mp3", data, content_type="audio/mpeg", overwrite=False, sha256=sha256)
    assert made == facts_of(source, "key/0 ä.mp3")
    made_there = copied(source, made, target, "20261122/0 ä.mp3")
    assert made_there == facts_of(target, "20261122/0 ä.mp3")
    assert (made_there.size, made_there.sha256) == (size, sha256)
    assert target.read("20261122/0 ä.mp3") == data
    assert source.read("key/0 ä.mp3") == data


def copied(source: Container, facts: BlobFacts, target: Container, name: str) -> BlobFacts:
    return Copier(FakeClock(NOON), 100_000).run(source, facts.name, facts, target, name, until=NOON + HOUR)


def test_a_copy_never_replaces_a_blob(side: Side) -> None:
    source, target = side.ports.containers.fallback(), container(side)
    target.put("t", b"old", content_type="audio/mpeg", overwrite=False)
    for size in (100, 250_000):
        facts = source.put(f"s{size}", bytes(size), content_type="audio/mpeg", overwrite=False)
        with pytest.raises(BlobExists):
            copied(source, facts, target, "t")
    assert target.read("t") == b"old"


@pytest.mark.parametrize("size", [100, 250_000])
def test_what_is_not_there_or_has_changed_cannot_be_copied(side: Side, size: int) -> None:
    source, target = side.ports.containers.fallback(), container(side)
    facts = source.put("s", bytes(size), content_type="audio/mpeg", overwrite=False)
    source.put("s", b"x" * size, content_type="audio/mpeg", overwrite=True)
    with pytest.raises(StorageCorrupted, match="changed"):
        copied(source, facts, target, "t")
    source.delete("s")
    with pytest.raises(BlobMissing):
        copied(source, facts, target, "t")
    assert target.stat("t") is None


def test_a_digest_is_that_of_one_version(side: Side) -> None:
    place = container(side)
    data = wav(300_000)
    facts = place.put("x.wav", data, content_type="audio/wav", overwrite=False)
    clock = FakeClock(NOON)
    digest = read_back(place, "x.wav", etag=facts.etag, size=facts.size, until=NOON + HOUR, clock=clock)
    assert digest.sha256 == hashlib.sha256(data).hexdigest()
    assert (digest.checked.verdict, digest.checked.format) == (Verdict.WHOLE, "wav")
    with pytest.raises(StorageCorrupted):
        read_back(place, "x.wav", etag=facts.etag, size=facts.size + 1, until=NOON + HOUR, clock=clock)
    place.note_sha256("x.wav", digest.sha256)
    with pytest.raises(PreconditionFailed):
        read_back(place, "x.wav", etag=facts.etag, size=facts.size, until=NOON + HOUR, clock=clock)


CONDITIONAL: dict[str, Callable[[Container, str], object]] = {
    "read": lambda place, etag: place.read("x", etag=etag),
    "read a range": lambda place, etag: place.read("x", start=1, length=2, etag=etag),
    "pieces": lambda place, etag: b"".join(place.pieces("x", etag=etag)),
    "delete": lambda place, etag: place.delete("x", etag=etag),
}


@pytest.mark.parametrize("name", CONDITIONAL)
def test_what_is_asked_of_one_version_is_done_to_no_other(side: Side, name: str) -> None:
    """A file that another writer replaced is neither read for the old one, nor deleted in its place."""
    place = container(side)
    before = place.put("x", b"before", content_type="text/plain", overwrite=False)
    after = place.put("x", b"after!", content_type="text/plain", overwrite=True)
    assert before.etag != after.etag
    with pytest.raises(PreconditionFailed) as caught:
        CONDITIONAL[name](place, before.etag)
    assert caught.value.blame is Blame.DESTINATION
    assert place.read("x") == b"after!"
    CONDITIONAL[name](place, after.etag)
    assert (place.stat("x") is None) is (name == "delete")


def test_a_version_that_is_gone_can_be_deleted_again(side: Side) -> None:
    place = container(side)
    facts = place.put("x", b"data", content_type="text/plain", overwrite=False)
    place.delete("x", etag=facts.etag)
    place.delete("x", etag=facts.etag)
    assert place.stat("x") is None


@pytest.mark.parametrize("size", [100, 250_000])
def test_nothing_is_copied_into_a_container_that_is_missing(side: Side, size: int) -> None:
    source = side.ports.containers.fallback()
    facts = source.put("s", bytes(size), content_type="audio/mpeg", overwrite=False)
    with pytest.raises(ContainerMissing) as caught:
        copied(source, facts, side.ports.containers.destination(side.missing), "t")
    assert caught.value.blame is Blame.DESTINATION


def test_a_server_that_cannot_read_another_says_so(real: RealSide) -> None:
    """The storage emulator has no Put Block From URL: that is what makes the app relay the bytes."""
    source, target = real.ports.containers.fallback(), container(real)
    facts = source.put("s", bytes(2000), content_type="audio/mpeg", overwrite=False)
    with pytest.raises(StorageInvalid) as caught:
        target.stage_from("t", "0" * 33, source, "s", start=0, length=1000, etag=facts.etag)
    assert caught.value.blame is Blame.DESTINATION
    assert target.staged("t") == []
