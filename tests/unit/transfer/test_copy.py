"""Copies between containers: continued by any invocation, of one version of the source, committed once."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from shared.domain import errors as e
from shared.ports import BlobFacts, Block
from shared.transfer import ranges
from shared.transfer.budget import TimeBudgetSpentError
from shared.transfer.copy import Copier, copy_block, copy_tag
from shared.transfer.ranges import Span
from tests.support.fakes import NOON, FakeClock, FakeContainer, watched
from tests.support.media_files import noise

if TYPE_CHECKING:
    from collections.abc import Callable

BLOCK = 1_000
HOUR = timedelta(hours=1)
NAME = "20261122/call-1/0-audiomp3.d.mp3"
SIZES = [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 5 * BLOCK, 12_345]


class Rig:
    """A source with one blob, and a target. `calls` counts what is asked of the target."""

    def __init__(self, size: int, *, copies: bool = True, sha256: str | None = None) -> None:
        self.data = noise(size)
        self.clock = FakeClock(NOON)
        self.source, self.target = FakeContainer(), FakeContainer()
        self.target.copies = copies
        self.source.put("s", self.data, content_type="x", overwrite=False, sha256=sha256)
        self.looked: list[str] = []
        self.staged: list[str] = []
        self.seconds = 0.0

    @property
    def facts(self) -> BlobFacts:
        found = self.source.stat("s")
        assert found is not None
        return found

    def run(self, *, facts: BlobFacts | None = None, **changes: Any) -> BlobFacts:
        def around(name: str, call: Callable[[], Any], arguments: tuple[Any, ...]) -> Any:
            answer = call()
            if name in ("stage", "stage_from"):
                self.clock.advance(timedelta(seconds=self.seconds))
                self.staged.append(name)
            return answer

        given: dict[str, Any] = {"until": NOON + HOUR, "before_commit": self.looked.append} | changes
        copier = Copier(self.clock, BLOCK)
        return copier.run(self.source, "s", facts or self.facts, watched(self.target, around), NAME, **given)


@pytest.mark.parametrize("copies", [True, False])
@pytest.mark.parametrize("size", SIZES)
def test_a_copy_has_every_byte_and_its_checksum(size: int, *, copies: bool) -> None:
    sha256 = hashlib.sha256(noise(size)).hexdigest()
    rig = Rig(size, copies=copies, sha256=sha256)
    made = rig.run()
    blob = rig.target.blobs[NAME]
    assert (blob.data, blob.content_type, blob.sha256) == (rig.data, "audio/mpeg", sha256)
    assert made == rig.target.stat(NAME)
    assert rig.looked == [NAME]
    expected = 0 if size <= BLOCK else -(-size // BLOCK)
    assert rig.staged == ["stage_from" if copies else "stage"] * expected
    assert all(ranges.is_our_block(block) for block in blob.blocks)


def test_a_copy_without_a_known_checksum_notes_one_only_where_it_saw_all_bytes() -> None:
    assert Rig(BLOCK).run().sha256 == hashlib.sha256(noise(BLOCK)).hexdigest()
    assert Rig(BLOCK + 1).run().sha256 is None


@pytest.mark.parametrize("copies", [True, False])
def test_an_invocation_without_time_hands_over_after_a_block(*, copies: bool) -> None:
    rig = Rig(5 * BLOCK, copies=copies)
    rig.seconds = 60
    for count in range(1, 5):
        with pytest.raises(TimeBudgetSpentError):
            rig.run(until=rig.clock.now())
        assert len(rig.staged) == count
    assert rig.target.blobs == {}
    assert rig.looked == []
    rig.run(until=rig.clock.now())
    assert rig.target.blobs[NAME].data == rig.data
    assert len(rig.staged) == 5


def test_a_large_copy_outlives_its_time_by_a_block_at_most() -> None:
    rig = Rig(500 * BLOCK)
    rig.seconds = 1
    budget = timedelta(minutes=4)
    for _ in range(2):
        begun_at = rig.clock.now()
        with pytest.raises(TimeBudgetSpentError):
            rig.run(until=begun_at + budget)
        assert rig.clock.now() - begun_at <= budget + timedelta(seconds=1)
    rig.run(until=rig.clock.now() + budget)
    assert rig.target.blobs[NAME].data == rig.data
    assert len(rig.staged) == 500


def test_blocks_that_the_server_copied_and_blocks_that_were_relayed_make_one_blob() -> None:
    rig = Rig(4 * BLOCK)
    rig.seconds = 1
    with pytest.raises(TimeBudgetSpentError):
        rig.run(until=NOON + timedelta(seconds=2))
    rig.target.copies = False
    rig.run()
    assert rig.staged == ["stage_from"] * 2 + ["stage"] * 2
    assert rig.target.blobs[NAME].data == rig.data


@pytest.mark.parametrize("copies", [True, False])
def test_blocks_of_two_versions_of_the_source_never_make_one_blob(*, copies: bool) -> None:
    """Without the ETag in the ids the second version was committed with blocks of the first."""
    rig = Rig(4 * BLOCK, copies=copies)
    rig.seconds = 1
    with pytest.raises(TimeBudgetSpentError):
        rig.run(until=NOON + timedelta(seconds=2))
    other = noise(4 * BLOCK, seed=2)
    rig.source.put("s", other, content_type="x", overwrite=True)
    rig.run()
    assert rig.target.blobs[NAME].data == other
    assert len(rig.staged) == 6


@pytest.mark.parametrize("copies", [True, False])
@pytest.mark.parametrize("size", [BLOCK, 3 * BLOCK])
def test_a_source_that_changes_meanwhile_is_not_copied(size: int, *, copies: bool) -> None:
    rig = Rig(size, copies=copies)
    facts = rig.facts
    rig.source.put("s", noise(size, seed=2), content_type="x", overwrite=True)
    with pytest.raises(e.StorageCorrupted, match="changed"):
        rig.run(facts=facts)
    assert rig.target.blobs == {}


def test_a_source_that_is_not_what_was_noted_is_not_copied() -> None:
    rig = Rig(BLOCK, sha256="a" * 64)
    with pytest.raises(e.StorageCorrupted, match="other bytes"):
        rig.run()
    rig = Rig(3 * BLOCK, copies=False)
    with pytest.raises(e.StorageCorrupted, match="shorter"):
        rig.run(facts=replace(rig.facts, size=3 * BLOCK + 1))


@pytest.mark.parametrize("size", [BLOCK, 3 * BLOCK])
def test_a_copy_never_replaces_a_blob(size: int) -> None:
    rig = Rig(size)
    rig.target.put(NAME, b"another", content_type="x", overwrite=False)
    with pytest.raises(e.BlobExists):
        rig.run()
    assert rig.target.blobs[NAME].data == b"another"


@pytest.mark.parametrize("size", [BLOCK, 3 * BLOCK])
def test_a_last_look_can_stop_a_copy(size: int) -> None:
    def look(name: str) -> None:
        raise KeyError(name)

    rig = Rig(size)
    with pytest.raises(KeyError):
        rig.run(before_commit=look)
    assert rig.target.blobs == {}


@pytest.mark.parametrize("size", [BLOCK, 3 * BLOCK])
def test_what_cannot_be_read_is_named(size: int) -> None:
    rig = Rig(size, copies=False)
    facts = rig.facts
    rig.source.archived.add("s")
    with pytest.raises(e.BlobArchived):
        rig.run()
    rig.source.delete("s")
    with pytest.raises(e.BlobMissing):
        rig.run(facts=facts)


def test_a_copy_that_is_not_made_of_what_was_sent_is_named() -> None:
    rig = Rig(3 * BLOCK)
    tag = copy_tag("s", rig.facts)
    blocks = [copy_block(Span(start, BLOCK), tag=tag) for start in (0, BLOCK, 2 * BLOCK)]
    for block in blocks[:2]:
        rig.target.stage(NAME, block.id, bytes(BLOCK))

    def lying(name: str, call: Callable[[], Any], arguments: tuple[Any, ...]) -> Any:
        return [Block(blocks[0].id, 1)] if name == "committed" else call()

    with pytest.raises(e.StorageCorrupted, match="not made"):
        Copier(rig.clock, BLOCK).run(rig.source, "s", rig.facts, watched(rig.target, lying), NAME, until=NOON + HOUR)


def test_a_block_of_another_size_is_not_used_again() -> None:
    rig = Rig(3 * BLOCK)
    block = copy_block(Span(0, BLOCK), tag=copy_tag("s", rig.facts))
    rig.target.stage(NAME, block.id, b"short")
    rig.run()
    assert rig.target.blobs[NAME].data == rig.data


def test_more_blocks_than_a_blob_can_have_are_refused() -> None:
    rig = Rig(BLOCK + 1)
    with pytest.raises(e.StorageInvalid):
        rig.run(facts=replace(rig.facts, size=BLOCK * ranges.MAX_BLOCKS + 1))
