"""One transfer over fakes, and sources that take their time."""

from __future__ import annotations

import hashlib
import random
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from shared.domain.media import Proof
from shared.transfer import ranges
from shared.transfer.budget import Budget
from shared.transfer.engine import Engine, Job, Progress, StoredBlob
from shared.transfer.slots import BlockSlots, InlineSlots
from shared.transfer.throttle import Throttle
from tests.support.fakes import NOON, FakeClock, FakeContainer, FakeMedia, MediaFile, lies
from tests.support.fakes.acs import honest
from tests.unit.builders import HOUR, MEDIA

if TYPE_CHECKING:
    from collections.abc import Iterator

BLOCK = 1_000
MINUTE = timedelta(minutes=1)
LOCATION = MEDIA.format("0-eus-d1-1")
NAME = "20261122/call-1/eyJQbGF0-guid/0-audiomp3.d.mp3"


def mp3(size: int, *, seed: int = 1) -> bytes:
    return (b"ID3\x04" + random.Random(seed).randbytes(size))[:size]  # noqa: S311 - bytes of a made-up file


class Rig:
    """A transfer over fakes."""

    def __init__(self, data: bytes, *, slots: BlockSlots | None = None, **file: Any) -> None:
        self.data = data
        self.clock = FakeClock(NOON)
        self.media = FakeMedia({LOCATION: MediaFile(data, **file)})
        self.target = FakeContainer()
        self.slots = slots or InlineSlots()
        self.progress = Progress()
        self.formats: list[str | None] = []
        self.pace = Throttle(clock=self.clock, most=4)

    def run(self, *, target: Any = None, media: Any = None, block_bytes: int = BLOCK, **job: Any) -> StoredBlob:
        engine = Engine(
            media=media or self.media,
            slots=self.slots,
            throttle=self.pace,
            clock=self.clock,
            sizes=ranges.BlockSizes(block_bytes, block_bytes, block_bytes),
        )
        until = job.pop("until", NOON + HOUR)
        budget = Budget(until, job.pop("hard_until", max(until, NOON) + 8 * MINUTE))
        plain = Job(LOCATION, target or self.target, self.name, "mp3", budget)
        return engine.run(replace(plain, **job), self.progress)

    def name(self, format_type: str | None) -> str:
        self.formats.append(format_type)
        return NAME

    def stage(self, *numbers: int, data: bytes | None = None, etag: str | None = '"1"') -> None:
        """Blocks of these numbers, as an earlier worker staged them."""
        source = self.data if data is None else data
        tag = ranges.source_tag(location=LOCATION, total=len(source), etag=etag, first=source[:BLOCK])
        for number in numbers:
            block = source[number * BLOCK : (number + 1) * BLOCK]
            self.target.stage(NAME, ranges.block_id(number * BLOCK, block, tag=tag), block)

    @property
    def written(self) -> bytes:
        return self.target.blobs[NAME].data


def checked(rig: Rig, done: StoredBlob) -> StoredBlob:
    digest = hashlib.sha256(rig.data).hexdigest()
    assert rig.written == rig.data
    sha256 = None if done.reused else digest
    assert (done.name, done.size, done.sha256) == (NAME, len(rig.data), sha256)
    assert (done.format, done.proof, done.etag) == ("mp3", Proof.LENGTH, rig.target.blobs[NAME].etag)
    assert set(rig.formats) == {"mp3"}
    assert rig.target.blobs[NAME].sha256 == sha256
    assert rig.target.blobs[NAME].content_type == "audio/mpeg"
    assert rig.target.uncommitted.get(NAME, {}) == {}
    return done


def taking(rig: Rig, seconds: float, *, pieces: int, but: Exception | None = None) -> lies.Answer:
    """A body whose pieces take so long each; it breaks off after them with `but`, if any."""

    def answer(file: MediaFile, start: int, length: int) -> Any:
        response = honest(file, start, length)
        data = b"".join(response.pieces)
        size = -(-len(data) // pieces)

        def dripping() -> Iterator[bytes]:
            for at in range(0, len(data), size):
                rig.clock.advance(timedelta(seconds=seconds))
                yield data[at : at + size]
            if but:
                raise but

        return replace(response, pieces=dripping())

    return answer
