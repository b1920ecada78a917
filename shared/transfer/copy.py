"""A blob brought from one container into another, block by block, so that any invocation can continue it.

The blocks' ids carry the source's ETag, and every read or server-side copy is conditional on it: blocks of two
versions never make one blob. The target's server reads the source by itself where it can; where it cannot (network
rules, the storage emulator) the same blocks go through this process, and both kinds fit together.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shared.domain.errors import MediaError, PreconditionFailed, StorageCorrupted, StorageInvalid
from shared.ports import Block
from shared.transfer import ranges
from shared.transfer.budget import TimeBudgetSpentError
from shared.transfer.ranges import Span
from shared.transfer.streams import content_type_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from shared.ports import BlobFacts, Clock, Container


def copy_tag(source_name: str, facts: BlobFacts) -> str:
    """Ten hex digits that change with the source's name, version or size."""
    text = f"copy:{facts.etag}:{facts.size}:{source_name}"
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:10]


def copy_block(span: Span, *, tag: str) -> Block:
    """The block of a copy for `span`: its id has the form of all our blocks, with the length in place of a CRC."""
    return Block(f"{span.start:013d}-{tag}-{span.length:016x}", span.length)


@dataclass(frozen=True)
class _Copy:
    """One copy: of which version of what, and where to."""

    source: Container
    source_name: str
    facts: BlobFacts
    target: Container
    name: str

    def read(self, span: Span) -> bytes:
        """That much of the source; StorageCorrupted where it is shorter than was noted."""
        data = self.source.read(self.source_name, start=span.start, length=span.length, etag=self.facts.etag)
        if len(data) != span.length:
            raise StorageCorrupted("the source of the copy is shorter than was noted of it")
        return data

    def stage_from(self, block: Block, span: Span) -> None:
        """The block, read by the target's server; StorageInvalid where that cannot be."""
        self.target.stage_from(
            self.name,
            block.id,
            self.source,
            self.source_name,
            start=span.start,
            length=span.length,
            etag=self.facts.etag,
        )


class Copier:
    """Copies blobs between containers in blocks of `block_bytes`."""

    def __init__(self, clock: Clock, block_bytes: int) -> None:
        self._clock = clock
        self._block_bytes = block_bytes

    def run(
        self,
        source: Container,
        source_name: str,
        facts: BlobFacts,
        target: Container,
        name: str,
        *,
        until: datetime,
        before_commit: Callable[[str], None] = lambda _: None,
        keep: Callable[[], None] = lambda: None,
    ) -> BlobFacts:
        """The committed copy of the version that `facts` describe; the SHA-256 they know goes into its metadata.

        TimeBudgetSpentError when `until` comes first, after one block at least. BlobExists; StorageCorrupted where
        the source has changed; BlobMissing or BlobArchived of the source; `before_commit` is called with `name`, and
        what it raises stops the commit; `keep` after each block.
        """
        copy = _Copy(source, source_name, facts, target, name)
        kind = content_type_of(name)
        try:
            if facts.size <= self._block_bytes:
                data = self._small(copy)
            else:
                blocks = self._staged(copy, until, keep)
        except PreconditionFailed as error:
            raise StorageCorrupted("the source of the copy has changed", blame=error.blame) from error
        before_commit(name)
        if facts.size <= self._block_bytes:
            sha256 = hashlib.sha256(data).hexdigest()
            return target.put(name, data, content_type=kind, overwrite=False, sha256=sha256)
        made = target.commit(name, blocks, sha256=facts.sha256, content_type=kind)
        if target.committed(name) != blocks:
            raise StorageCorrupted("the committed copy is not made of the blocks that were sent")
        return made

    @staticmethod
    def _small(copy: _Copy) -> bytes:
        data = copy.read(Span(0, copy.facts.size)) if copy.facts.size else b""
        if copy.facts.sha256 not in (None, hashlib.sha256(data).hexdigest()):
            raise StorageCorrupted("the source of the copy has other bytes than was noted of it")
        return data

    def _staged(self, copy: _Copy, until: datetime, keep: Callable[[], None]) -> list[Block]:
        """All blocks of the copy; those that are missing are staged now."""
        tag = copy_tag(copy.source_name, copy.facts)
        try:
            spans = ranges.plan(total=copy.facts.size, block_bytes=self._block_bytes)
        except MediaError as error:
            raise StorageInvalid(f"{copy.facts.size} bytes are too many blocks of {self._block_bytes}") from error
        there = set(copy.target.staged(copy.name))
        blocks = [copy_block(span, tag=tag) for span in spans]
        is_begun = is_relayed = False
        for block, span in zip(blocks, spans, strict=True):
            if block in there:
                continue
            if is_begun and self._clock.now() >= until:
                raise TimeBudgetSpentError
            is_begun = True
            if not is_relayed:
                try:
                    copy.stage_from(block, span)
                except StorageInvalid:
                    is_relayed = True
            if is_relayed:
                copy.target.stage(copy.name, block.id, copy.read(span))
            keep()
        return blocks
