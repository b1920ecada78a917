"""What the books remember of the ledger saves requests and decides nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tests.support.fakes import World, watched
from tests.unit.builders import chunk, recording

if TYPE_CHECKING:
    from collections.abc import Callable

    from shared.store import Books

KEY = recording().key


class Rig:
    """Books over a ledger that holds one recording, and the names of what they asked of it."""

    def __init__(self) -> None:
        self.world = World()
        self.asked: list[str] = []
        self.world.ledger.save(recording(chunk()), etag=None)
        ledger = watched(self.world.ledger, self._around)
        self.books: Books = self.world.app(ledger=ledger).sweep._books

    def _around(self, name: str, call: Callable[[], Any], _arguments: tuple[Any, ...]) -> Any:
        self.asked.append(name)
        return call()

    def somebody_else_notes(self, note: str) -> None:
        found = self.world.ledger.load(KEY)
        assert found is not None
        self.world.ledger.save(found[0].with_note(note), etag=found[1])

    def count(self, name: str) -> int:
        return self.asked.count(name)


def test_a_change_of_what_was_just_read_or_written_reads_no_more() -> None:
    rig = Rig()
    rig.books.load(KEY)
    for _ in range(3):
        assert rig.books.change(KEY, lambda now: now.with_note(f"note {len(now.notes)}")) is not None
    assert rig.count("load") == 1
    assert rig.world.ledger.recording(KEY).notes == ("note 0", "note 1", "note 2")


def test_what_somebody_else_wrote_meanwhile_is_seen_and_kept() -> None:
    """The ETag tells; nobody waits, and nobody's word is lost."""
    rig = Rig()
    rig.books.load(KEY)
    rig.somebody_else_notes("theirs")
    rig.books.change(KEY, lambda now: now.with_note("ours"))
    assert rig.world.ledger.recording(KEY).notes == ("theirs", "ours")
    assert rig.count("load") == 2


def test_nothing_is_left_undone_on_the_word_of_memory() -> None:
    """By what is remembered there is nothing to do; by what stands there is."""
    rig = Rig()
    rig.books.load(KEY)
    rig.somebody_else_notes("theirs")
    after = rig.books.change(KEY, lambda now: replace(now, notes=()) if now.notes else None)
    assert after is not None
    assert rig.world.ledger.recording(KEY).notes == ()


def test_few_recordings_are_remembered() -> None:
    rig = Rig()
    for number in range(200):
        one = replace(recording(chunk()), key=f"{number:032x}")
        rig.world.ledger.save(one, etag=None)
        rig.books.load(one.key)
    assert len(rig.books._known) == 64
