"""The bytes of one chunk: ranged GETs from ACS, staged blocks, commit, check.

Progress is kept where the bytes are: in the uncommitted block list of the target. A worker that dies costs the
blocks in flight, and any other continues from the rest. Nothing is committed before every check is passed, and the
commit itself happens only where no blob exists.

The bytes name their format, not the event. They are whole when a length says so: the total of Content-Range,
Content-Length, or the end of a chunked body. SHA-256 of the whole is computed as the blocks arrive, in order. After a
resume some blocks were another worker's: there is none then, and reading back (`digest`) is a separate step.
"""

from __future__ import annotations

import hashlib
from collections import deque
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, TypeVar

from shared.domain import media as media_bytes
from shared.domain.errors import (
    MediaChanged,
    MediaEmpty,
    MediaError,
    MediaThrottled,
    MediaTruncated,
    MediaUnavailable,
    MediaUndelimited,
    StorageCorrupted,
)
from shared.domain.media import Proof
from shared.ports import Block
from shared.transfer import ranges
from shared.transfer.budget import TimeBudgetSpentError
from shared.transfer.job import InOrderHash, Job, Progress, StoredBlob
from shared.transfer.streams import content_type_of, cut, in_time, kept, read_exactly

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from shared.ports import Clock, Media, MediaResponse
    from shared.transfer.slots import BlockSlots
    from shared.transfer.throttle import Throttle

__all__ = ["Engine", "Job", "Progress", "StoredBlob", "TimeBudgetSpentError"]

T = TypeVar("T")

# A connection that gives at least this many bytes a second needs no others beside it to keep a worker's cores busy.
_QUICK = 64 * 1024 * 1024
# Faults of one request that another request, a moment later, most often does not meet. Of the storage's only what its
# SDK has not tried again itself; and of none what took long: the time is up after a few of those.
_PASSING = (MediaUnavailable, MediaTruncated, StorageCorrupted)
_BLOCK_TRIES = 3
_SOON = timedelta(seconds=10)
# A block that was begun in time may come for so long after it.
_GRACE = timedelta(minutes=2)
# More than any padding and tags that media begin with.
_LOOKED_AT = 1024 * 1024
# How often a transfer that waits for room keeps its lease.
_WAIT_SECONDS = 30


@dataclass(frozen=True)
class _Place:
    """Where a job's bytes go, now that their format is known."""

    name: str
    format: str | None

    @property
    def content_type(self) -> str:
        return content_type_of(f".{self.format}" if self.format else "")


def _place(job: Job, first: bytes) -> _Place:
    """MediaIsAPage where the first bytes are a page and no media."""
    first = bytes(first[:_LOOKED_AT])  # a block in memory that is used again is no `bytes`
    ranges.check_no_page(first)
    found = media_bytes.sniff(first)
    return _Place(job.name(found), found)


class Engine:
    """Brings chunks from the media host into a container. One for the process; safe for many threads."""

    def __init__(
        self, *, media: Media, slots: BlockSlots, throttle: Throttle, clock: Clock, sizes: ranges.BlockSizes
    ) -> None:
        self._media = media
        self._slots = slots
        self._throttle = throttle
        self._clock = clock
        self._sizes = sizes

    def run(self, job: Job, progress: Progress) -> StoredBlob:
        """The whole way. Raises MediaError, StorageError (BlobExists too), or TimeBudgetSpentError."""
        self._check_time(job, progress)
        first = self._slots.submit(lambda: self._first(job, progress), self._sizes.first)
        while not wait([first], timeout=_WAIT_SECONDS).done:
            job.budget.keep()
        return first.result()()

    def _first(self, job: Job, progress: Progress) -> Callable[[], StoredBlob]:
        """The first block, in a slot: says what the source is. Returns what is to be done after it, out of the slot."""
        asked = ranges.Span(0, self._sizes.first)

        def read() -> tuple[ranges.Head, bytes, timedelta] | StoredBlob:
            with self._slot(job), self._opened(job, asked) as response:
                head = ranges.accept(response, asked, total=None, etag=None)
                if not head.is_partial:
                    return self._stream(job, response, head, progress)
                begun_at = self._clock.now()
                data = read_exactly(response, head.length, is_late=self._is_late(job))
                return head, data, self._clock.now() - begun_at

        outcome = self._again(read)
        if isinstance(outcome, StoredBlob):
            return lambda: outcome
        head, data, took = outcome
        place = _place(job, data)
        if head.total == len(data):
            done = self._single(job, place, data, progress)
            return lambda: done
        is_quick = len(data) >= _QUICK * took.total_seconds()
        most = self._sizes.most if is_quick else self._sizes.least
        work, cells = self._begin(job, place, head, data, progress)
        # The first block has left its slot by now, and nothing holds on to its bytes.
        return lambda: self._ranged(work, ranges.join(cells, most=most))

    def _single(self, job: Job, place: _Place, data: bytes, progress: Progress) -> StoredBlob:
        """A file of one block, put in one request: four less than by a block list, and nothing to resume.

        The service compares the checksum of the whole before there is a blob, and notes the SHA-256 in the same step.
        """
        sha256 = hashlib.sha256(data).hexdigest()
        job.before_commit(place.name)
        made = self._again(
            lambda: job.target.put(place.name, data, content_type=place.content_type, overwrite=False, sha256=sha256)
        )
        progress.add(len(data))
        return StoredBlob(place.name, len(data), sha256, made.etag, place.format, Proof.LENGTH, blocks=1, reused=0)

    def _slot(self, job: Job) -> AbstractContextManager[None]:
        return self._throttle.at(job.location).slot(deadline=job.deadline)

    @contextmanager
    def _opened(self, job: Job, span: ranges.Span) -> Iterator[MediaResponse]:
        """The answer for `span`; the lease is kept with each piece of it."""
        job.budget.keep()
        with self._media.open(job.location, start=span.start, length=span.length) as response:
            yield replace(response, pieces=kept(response.pieces, job.budget.keep))

    def _again(self, action: Callable[[], T]) -> T:
        """`action`, and again after a passing fault that came soon, a few times."""
        for attempt in range(1, _BLOCK_TRIES):
            begun_at = self._clock.now()
            try:
                return action()
            except _PASSING:
                if self._clock.now() - begun_at >= _SOON:
                    raise
                self._clock.pause(0.2 * attempt)
        return action()

    def _is_late(self, job: Job) -> Callable[[], bool]:
        """Whether what begins now has taken too long: a block has its time, however late it is begun."""
        latest = max(job.budget.until, self._clock.now()) + _GRACE
        return lambda: self._clock.now() >= latest

    def _check_time(self, job: Job, progress: Progress) -> None:
        """TimeBudgetSpentError when it is late. But one block at least is brought: every invocation gets on."""
        if progress.blocks > 0 and self._clock.now() >= job.budget.until:
            raise TimeBudgetSpentError

    # --- by ranges

    def _begin(
        self, job: Job, place: _Place, head: ranges.Head, first: bytes, progress: Progress
    ) -> tuple[_Work, list[ranges.Span]]:
        """What earlier tries left, and the cells to be brought; the first block is staged, if it is not."""
        total = head.total or 0
        cells = ranges.plan(total=total, block_bytes=self._sizes.least)
        tag = ranges.source_tag(location=job.location, total=total, etag=head.etag, first=first)
        reused = ranges.usable_blocks(job.target.staged(place.name), cells, tag=tag)
        kept = reused.get(0)
        if kept is not None and kept.id != ranges.block_id(0, first, tag=tag):
            reused = {}  # of another size than ours: it cannot be compared, and nothing staged is believed
        reused = {start: block for start, block in reused.items() if start == 0 or start >= len(first)}
        progress.begin(total, found=sum(block.size for block in reused.values()))
        work = _Work(
            job=job,
            place=place,
            total=total,
            etag=head.etag,
            tag=tag,
            progress=progress,
            blocks=dict(reused),
            reused=len(reused),
        )
        if reused:
            work.digest.switch_off()
        if 0 not in reused:
            self._stage(work, 0, first)
        return work, ranges.missing(cells, work.blocks)

    def _ranged(self, work: _Work, spans: list[ranges.Span]) -> StoredBlob:
        self._bring(work, spans)
        ordered = [work.blocks[start] for start in sorted(work.blocks)]
        sha256 = None if work.reused else work.digest.hexdigest()
        return self._commit(work.job, work.place, ordered, sha256=sha256, reused=work.reused, proof=Proof.LENGTH)

    def _bring(self, work: _Work, spans: list[ranges.Span]) -> None:
        """Runs all spans in the slots, no more of them at once than there is room for, so that rescues take turns.

        However late it is, one block at least is brought: every invocation gets on.
        """
        under_way: dict[Future[None], int] = {}
        left = deque(spans)
        is_begun = is_over = False
        while True:
            while left and not work.is_stopped and not is_over:
                if under_way and sum(under_way.values()) + left[0].length > self._slots.room:
                    break
                is_over = (is_begun or work.progress.blocks > 0) and self._clock.now() >= work.job.budget.until
                if not is_over:
                    is_begun, span = True, left.popleft()
                    under_way[self._slots.submit(partial(self._block, work, span), span.length)] = span.length
            if not under_way:
                break
            work.job.budget.keep()
            for future in wait(under_way, timeout=_WAIT_SECONDS, return_when=FIRST_COMPLETED).done:
                del under_way[future]
                error = future.exception()
                if error is not None:
                    work.stop(error)
        if work.failure:
            raise work.failure
        if is_over:
            raise TimeBudgetSpentError

    def _block(self, work: _Work, span: ranges.Span) -> None:
        self._stage(work, span.start, self._again(lambda: self._fetch(work, span)))

    def _stage(self, work: _Work, start: int, data: bytes) -> None:
        # Before it is sent, so that the blocks after it wait for this one's arrival only, not for its upload.
        work.digest.update(start, data)
        block = Block(ranges.block_id(start, data, tag=work.tag), len(data))
        # One CRC-64 from the arrival to the service: it would refuse a block whose memory has changed in between.
        crc64 = ranges.crc64_of(block.id)
        self._again(lambda: work.job.target.stage(work.place.name, block.id, data, crc64=crc64))
        work.progress.add(len(data))
        work.job.budget.keep()
        work.blocks[start] = block

    def _fetch(self, work: _Work, span: ranges.Span) -> bytes:
        if work.is_stopped:
            raise MediaError("given up: another block of this chunk failed")
        job = work.job
        with self._slot(job):
            # Who waited for a lane or a slot may be late by now.
            self._check_time(job, work.progress)
            return self._asked(work, span)

    def _asked(self, work: _Work, span: ranges.Span) -> bytes:
        with self._opened(work.job, span) as response:
            head = ranges.accept(response, span, total=work.total, etag=work.etag)
            if not head.is_partial:
                raise MediaChanged("the server gave ranges before and does not now")
            return read_exactly(response, head.length, is_late=self._is_late(work.job))

    # --- from a server that ignores Range

    def _stream(self, job: Job, response: MediaResponse, head: ranges.Head, progress: Progress) -> StoredBlob:
        """From the start, one block after another; blocks that are staged already are not sent again.

        MediaUndelimited, before anything is stored, where the body ends with its connection.
        """
        is_proven = head.total is not None or response.is_delimited
        pieces = in_time(response.pieces, is_late=lambda: self._clock.now() >= job.budget.hard_until)
        parts = cut(pieces, self._sizes.first)
        first = next(parts, b"")
        if not first:
            raise MediaEmpty
        place = _place(job, first)
        if not is_proven and not job.takes_unproven:
            raise MediaUndelimited
        digest = hashlib.sha256()
        tag = ranges.source_tag(location=job.location, total=head.total or 0, etag=head.etag, first=first)
        staged = {block.id for block in job.target.staged(place.name)}
        blocks: list[Block] = []
        size = reused = 0
        progress.begin(head.total)
        for data in chain((first,), parts):
            if head.total is not None and size + len(data) > head.total:
                ranges.check_length(size + len(data), head.total)
            block = Block(ranges.block_id(size, data, tag=tag), len(data))
            digest.update(data)
            if block.id in staged:
                reused += 1
            else:
                job.target.stage(place.name, block.id, data, crc64=ranges.crc64_of(block.id))
                progress.add(len(data))
            blocks.append(block)
            size += len(data)
            if len(blocks) > ranges.MAX_BLOCKS:
                ranges.plan(total=size, block_bytes=self._sizes.first)
        if head.total is not None:
            ranges.check_length(size, head.total)
        sha256 = None if reused else digest.hexdigest()
        proof = Proof.LENGTH if is_proven else Proof.NONE
        return self._commit(job, place, blocks, sha256=sha256, reused=reused, proof=proof)

    # --- commit and check

    def _commit(
        self, job: Job, place: _Place, blocks: list[Block], *, sha256: str | None, reused: int, proof: Proof
    ) -> StoredBlob:
        job.budget.keep()
        job.before_commit(place.name)
        made = job.target.commit(place.name, blocks, sha256=sha256, content_type=place.content_type)
        if job.target.committed(place.name) != blocks:
            raise StorageCorrupted("the committed blob is not made of the blocks that were sent")
        new = len(blocks) - reused
        return StoredBlob(place.name, made.size, sha256, made.etag, place.format, proof, blocks=new, reused=reused)


@dataclass
class _Work:
    """What the blocks of one transfer share."""

    job: Job
    place: _Place
    total: int
    etag: str | None
    tag: str
    progress: Progress
    blocks: dict[int, Block]
    reused: int
    failure: BaseException | None = None

    def __post_init__(self) -> None:
        self.digest = InOrderHash()

    @property
    def is_stopped(self) -> bool:
        """Whether a block failed: no other begins then."""
        return self.failure is not None

    def stop(self, failure: BaseException) -> None:
        """One block failed: the others need not wait for it. A 429 tells more than what failed because of it."""
        if self.failure is None or isinstance(failure, MediaThrottled):
            self.failure = failure
        self.digest.switch_off()
