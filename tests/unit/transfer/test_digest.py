"""A blob read back: its SHA-256 and its structure in one pass, of one version, in its time."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from shared.domain import errors as e
from shared.domain.media import Verdict
from shared.transfer.digest import Digest, read_back
from tests.support import media_files
from tests.support.fakes import NOON, FakeClock, FakeContainer

if TYPE_CHECKING:
    from collections.abc import Iterator

MINUTE = timedelta(minutes=1)


class SlowContainer(FakeContainer):
    """Each piece (64 KiB) takes a minute."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__()
        self._clock = clock

    def pieces(self, name: str, *, etag: str | None = None) -> Iterator[bytes]:
        for piece in super().pieces(name, etag=etag):
            self._clock.advance(MINUTE)
            yield piece


def digest_of(data: bytes, **changes: Any) -> Digest:
    clock = FakeClock(NOON)
    container = SlowContainer(clock)
    container.put("x", data, content_type="x", overwrite=False)
    facts = container.stat("x")
    assert facts is not None
    given: dict[str, Any] = {"etag": facts.etag, "size": facts.size, "until": NOON + 5 * MINUTE, "clock": clock}
    return read_back(container, "x", **(given | changes))


@pytest.mark.parametrize(
    ("data", "verdict", "form"),
    [
        (media_files.mp3(2_000), Verdict.WHOLE, "mp3"),
        (media_files.mp3(2_000)[:-1], Verdict.BROKEN, "mp3"),
        (media_files.wav(200_000), Verdict.WHOLE, "wav"),
        (media_files.mp4(200_000)[:-1], Verdict.BROKEN, "mp4"),
        (media_files.fragmented(100), Verdict.WHOLE, "mp4"),
        (b"", Verdict.BROKEN, None),
    ],
)
def test_one_pass_gives_digest_and_structure(data: bytes, verdict: Verdict, form: str | None) -> None:
    found = digest_of(data)
    assert found.sha256 == hashlib.sha256(data).hexdigest()
    assert (found.checked.verdict, found.checked.format) == (verdict, form)


def test_a_duration_is_looked_at_too() -> None:
    assert digest_of(media_files.wav(64_000), duration=timedelta(hours=1)).checked.verdict is Verdict.UNKNOWN


def test_what_does_not_end_in_time_is_late() -> None:
    """What is read to its end is not, however late that is."""
    data = media_files.mp3(2_000)
    assert 4 * 65_536 < len(data) < 5 * 65_536
    assert digest_of(data, until=NOON + 5 * MINUTE).sha256
    assert digest_of(data, until=NOON + 4.5 * MINUTE).sha256
    with pytest.raises(e.DigestLate, match="262144 of"):
        digest_of(data, until=NOON + 4 * MINUTE)


@pytest.mark.parametrize("by", [-1, 1])
def test_a_blob_of_another_size_is_named(by: int) -> None:
    data = media_files.mp3(10)
    with pytest.raises(e.StorageCorrupted, match="expected"):
        digest_of(data, size=len(data) + by)


def test_only_the_version_that_was_asked_for_is_read() -> None:
    with pytest.raises(e.PreconditionFailed):
        digest_of(media_files.mp3(10), etag="another")


def test_an_archived_blob_is_there_and_cannot_be_read() -> None:
    clock = FakeClock(NOON)
    container = FakeContainer()
    container.put("x", b"data", content_type="x", overwrite=False)
    container.archived.add("x")
    assert container.stat("x") is not None
    with pytest.raises(e.BlobArchived):
        read_back(container, "x", etag=None, size=4, until=NOON + MINUTE, clock=clock)
