"""Files of gigabytes that take no memory: a head, then zeros; and a link whose bytes take virtual time."""

from __future__ import annotations

import struct
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from shared.domain.errors import BlobExists, MediaNotFound
from shared.ports import BlobFacts, Block, MediaResponse
from shared.settings import MIB
from tests.support.fakes import FakeContainer, FakeMedia
from tests.support.fakes.storage import Blob
from tests.unit.rig import Rig

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from shared.ports import Container
    from tests.support.fakes import Delivery, FakeClock

PIECE = 4 * MIB


class Zeros:
    """`size` bytes of a whole wav. Slices are real bytes."""

    def __init__(self, size: int) -> None:
        fmt = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, 16000, 32000, 2, 16)
        self.head = struct.pack("<4sI", b"RIFF", size - 8) + b"WAVE" + fmt + struct.pack("<4sI", b"data", size - 44)
        self.size = size

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, part: slice) -> bytes:
        start, stop, _ = part.indices(self.size)
        head = self.head[start:stop]
        return head + bytes(max(0, stop - start - len(head)))


class Link:
    """So many bytes a second; `take` moves the clock. `meanwhile` is called before each that is taken."""

    def __init__(self, clock: FakeClock, rate: float) -> None:
        self._clock = clock
        self.rate = rate
        self.bytes = 0
        self.meanwhile: Callable[[], None] = lambda: None

    def take(self, count: int) -> None:
        self.meanwhile()
        self.bytes += count
        self._clock.advance(timedelta(seconds=count / self.rate))


class SlowMedia(FakeMedia):
    """ACS with one large file at `location`, behind a link. `has_ranges` False: Range is ignored."""

    def __init__(self, inner: FakeMedia, location: str, size: int, link: Link, *, has_ranges: bool = True) -> None:
        super().__init__(files=inner.files)
        self._location = location
        self._data = Zeros(size)
        self._link = link
        self._has_ranges = has_ranges
        self.is_gone = False

    @contextmanager
    def open(self, location: str, *, start: int, length: int) -> Iterator[MediaResponse]:
        if location != self._location:
            with super().open(location, start=start, length=length) as response:
                yield response
            return
        if self.is_gone:
            raise MediaNotFound("404")
        self.asked.append((location, start, length))
        size = len(self._data)
        start, stop = (start, min(start + length, size)) if self._has_ranges else (0, size)
        pieces = self._pieces(start, stop)
        whole = MediaResponse(200, "audio/wav", size, None, '"1"', pieces)
        part = replace(whole, status=206, content_length=stop - start, content_range=f"bytes {start}-{stop - 1}/{size}")
        yield part if self._has_ranges else whole

    def _pieces(self, start: int, stop: int) -> Iterator[bytes]:
        for at in range(start, stop, PIECE):
            piece = self._data[at : min(at + PIECE, stop)]
            self._link.take(len(piece))
            yield piece


class SlowContainer(FakeContainer):
    """A container whose large blobs are `Zeros`; reading them and copying by its server go over a link."""

    def __init__(self, inner: FakeContainer, link: Link) -> None:
        super().__init__(blame=inner.blame)
        self.blobs = inner.blobs
        self._link = link
        self.passes: list[str] = []
        self.lengths: dict[str, dict[str, int]] = {}

    def stage(self, name: str, block_id: str, data: bytes, *, crc64: int | None = None) -> None:  # noqa: ARG002
        self._check()
        self.lengths.setdefault(name, {})[block_id] = len(data)

    def staged(self, name: str) -> list[Block]:
        self._check()
        return [Block(block_id, length) for block_id, length in self.lengths.get(name, {}).items()]

    def stage_from(
        self, name: str, block_id: str, source: Container, source_name: str, *, start: int, length: int, etag: str
    ) -> None:
        self._check()
        source.read(source_name, start=start, length=1, etag=etag)
        self._link.take(length)
        self.lengths.setdefault(name, {})[block_id] = length

    def commit(self, name: str, blocks: Sequence[Block], *, sha256: str | None, content_type: str) -> BlobFacts:
        self._check()
        if name in self.blobs:
            raise BlobExists(blame=self.blame)
        assert [block.size for block in blocks] == [self.lengths[name][block.id] for block in blocks]
        data: Any = Zeros(sum(block.size for block in blocks))
        self._write(name, Blob(data, "", content_type, sha256, tuple(blocks)))
        return BlobFacts(name, len(data), self.blobs[name].etag, sha256)

    def pieces(self, name: str, *, etag: str | None = None) -> Iterator[bytes]:
        data = self._readable(name, etag).data
        self.passes.append(name)
        for at in range(0, len(data), PIECE):
            piece = data[at : at + PIECE]
            self._link.take(len(piece))
            yield piece


class SlowRig(Rig):
    """A recording of one large chunk, over a link. `took`: how long each invocation of the worker lived."""

    def __init__(self, location: str, size: int, *, rate: float, has_ranges: bool = True, **changes: Any) -> None:
        super().__init__(**changes)
        self.link = Link(self.clock, rate)
        self.slow_media = SlowMedia(self.media, location, size, self.link, has_ranges=has_ranges)
        self.slow_destination = SlowContainer(self.destination, self.link)
        self.slow_fallback = SlowContainer(self.fallback, self.link)
        place = self.settings.default_container
        self.containers.places[(place.account_url, place.container)] = self.slow_destination
        self.containers.own = self.slow_fallback
        self.ports = replace(self.ports, media=self.slow_media)
        self.process = self.app()
        self.took: list[timedelta] = []

    def deliver_one(self) -> Delivery | None:
        """The next message, at its time; its host renews its visibility for as long as the worker lives."""
        due = self.queue.next_due()
        if due is None:
            return None
        self.clock.moment = max(self.clock.moment, due)
        delivery = self.queue.receive(lease=timedelta(hours=2))
        if delivery is not None:
            begun = self.clock.now()
            self.process.worker.handle(delivery.item, message_id=str(delivery.id))
            self.took.append(self.clock.now() - begun)
            self.queue.finish(delivery)
        return delivery
