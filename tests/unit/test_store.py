"""The store: races, lost answers, a queue that fails, and a recording that is opened again."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from shared.domain import facts as f
from shared.domain.errors import PreconditionFailed, StorageUnavailable
from shared.domain.recording import ChunkState, Manifest
from shared.domain.steps import Rules
from shared.ports import Lane
from shared.store import RecordingStore
from tests.support.fakes.clock import FakeClock
from tests.support.fakes.ledger import FakeLedger
from tests.support.fakes.queue import FakeQueue
from tests.unit.builders import HOUR, NOON, chunk, recording

if TYPE_CHECKING:
    from shared.domain.recording import Recording
    from shared.ports import OpenEntry


class LosesAnswers(FakeLedger):
    """Each first write is done, and its answer is lost: the client's retry meets its own ETag."""

    def create(self, recording: Recording, *, entry: OpenEntry, closed: str | None = None) -> str:
        super().create(recording, entry=entry, closed=closed)
        raise PreconditionFailed


class Fails(FakeQueue):
    """A queue that takes no message."""

    def send(self, *_args: object, **_more: object) -> None:
        raise StorageUnavailable


def store(ledger: FakeLedger, *, kind: type[FakeQueue] = FakeQueue) -> tuple[RecordingStore, FakeQueue]:
    clock = FakeClock(NOON)
    queue = kind(clock, keep_rejected=ledger.keep_rejected)
    seeded = random.Random(1)  # noqa: S311 - reproducible, and nothing secret
    return RecordingStore(ledger=ledger, queue=queue, clock=clock, random=seeded, rules=Rules()), queue


def test_a_write_whose_answer_was_lost_is_done_once_and_its_message_is_sent() -> None:
    ledger = LosesAnswers()
    made, queue = store(ledger)
    given = recording(chunk())
    written = made.commit(given.key, None, lambda before: before or given)
    assert written is not None
    assert written.recording.revision == 1
    assert [one.item.part for one in queue.waiting] == [given.chunks[0].key]


def test_after_a_lost_race_the_decision_is_made_on_what_is_there() -> None:
    made, _ = store(FakeLedger())
    given = recording(chunk())
    old = made.commit(given.key, None, lambda _: given)
    assert old is not None
    made.record(old, f.Linked("one"))
    made.record(old, f.Linked("two"))
    assert made.ledger.load(given.key).recording.links == ("one", "two")  # type: ignore[union-attr]  # it is there


def test_a_queue_that_fails_leaves_the_plan_in_the_ledger() -> None:
    ledger = FakeLedger()
    made, queue = store(ledger, kind=Fails)
    given = recording(chunk())
    made.commit(given.key, None, lambda _: given)
    assert queue.waiting == []
    assert ledger.open_entries()[0][0].due == NOON


def test_what_owes_nothing_is_archived_and_opened_again_when_something_is_due() -> None:
    ledger = FakeLedger()
    made, _ = store(ledger)
    given = recording(event_check_at=NOON)
    open_one = made.commit(given.key, None, lambda _: given)
    closed = made.commit(
        given.key,
        open_one,
        lambda before: replace(before or given, closed_at=NOON, event_check_at=None, manifest=Manifest("written")),
    )
    assert closed is not None
    assert not closed.is_open
    assert not ledger.open
    opened = made.record(closed, f.Replayed())
    assert opened.is_open
    assert opened.recording.revision == 3
    assert set(ledger.closed) == set(ledger.open) == {given.key}


def test_nothing_is_written_where_nothing_changes() -> None:
    made, queue = store(FakeLedger())
    given = recording(chunk())
    version = made.commit(given.key, None, lambda _: given)
    sent = len(queue.waiting)
    assert made.commit(given.key, version, lambda before: before) is version
    assert made.commit(given.key, version, lambda _: None) is version
    assert len(queue.waiting) == sent


def test_an_endless_race_is_given_up() -> None:
    class Changing(FakeLedger):
        def save(self, *_args: object, **_more: object) -> str:
            raise PreconditionFailed

    made, _ = store(Changing())
    given = recording(chunk())
    version = made.commit(given.key, None, lambda _: given)
    assert version is not None
    with pytest.raises(StorageUnavailable, match="changed all the time"):
        made.record(version, f.Linked("other"))


@pytest.mark.parametrize(
    ("changes", "lane"),
    [
        ({}, Lane.NORMAL),
        ({"at_risk_from": NOON + 2 * HOUR}, Lane.URGENT),
        ({"state": ChunkState.IN_FALLBACK, "at_risk_from": NOON + HOUR}, Lane.BACKGROUND),
        ({"state": ChunkState.RESCUED, "digest_state": "pending", "metadata_state": "absent"}, Lane.BACKGROUND),
    ],
    ids=["a day left", "hours left", "a delivery", "a digest"],
)
def test_a_message_goes_by_the_queue_of_its_step_at_its_time(changes: dict[str, Any], lane: Lane) -> None:
    made, queue = store(FakeLedger())
    given = recording(chunk(next_attempt_at=NOON + timedelta(seconds=90), **changes))
    made.commit(given.key, None, lambda _: given)
    [message] = [one for one in queue.waiting if one.item.part == given.chunks[0].key]
    assert (message.lane, message.due, message.item.generation) == (lane, NOON + timedelta(seconds=90), 1)


def test_a_new_plan_makes_all_earlier_messages_void() -> None:
    made, queue = store(FakeLedger())
    given = recording(chunk())
    version = made.commit(given.key, None, lambda _: given)
    assert version is not None
    made.record(version, f.Replayed())
    assert [one.item.generation for one in queue.waiting if one.item.part == given.chunks[0].key] == [1, 2]
