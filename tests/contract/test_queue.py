"""Port `WorkQueue`: messages that wait until they are due, and poison that is drained back."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from shared.domain.errors import StorageInvalid
from shared.ports import Backlog, Lane, WorkItem
from shared.worker.message import encode_message

if TYPE_CHECKING:
    from tests.contract.sides import RealSide, Side

NOW = timedelta(0)


def message(number: int = 1) -> WorkItem:
    return WorkItem(f"{number:032x}", f"{number:016x}", number)


def in_base64(body: bytes) -> str:
    return base64.b64encode(body).decode()


def test_a_message_without_delay_can_be_received_at_once(side: Side) -> None:
    """As the Functions host reads it: base64."""
    side.ports.queue.send(message(), delay=NOW)
    assert side.visible(at_least=1) == [(message(), Lane.NORMAL)]


def test_a_message_stays_hidden_for_its_delay(side: Side) -> None:
    side.ports.queue.send(message(), delay=timedelta(seconds=1.6))
    side.ports.queue.send(message(2), delay=timedelta(days=7))
    assert side.visible() == []
    assert side.visible(at_least=1, within=timedelta(seconds=2)) == [(message(), Lane.NORMAL)]


def test_what_is_urgent_goes_its_own_way(side: Side) -> None:
    side.ports.queue.send(message(1), delay=NOW)
    side.ports.queue.send(message(2), delay=NOW, lane=Lane.URGENT)
    assert sorted(side.visible(at_least=2), key=lambda one: one[0].generation) == [
        (message(1), Lane.NORMAL),
        (message(2), Lane.URGENT),
    ]


def test_a_delay_over_seven_days_is_refused(side: Side) -> None:
    with pytest.raises(StorageInvalid):
        side.ports.queue.send(message(), delay=timedelta(days=7, seconds=2))
    assert side.visible() == []


def test_background_work_goes_its_own_way_too(side: Side) -> None:
    side.ports.queue.send(message(3), delay=NOW, lane=Lane.BACKGROUND)
    assert side.visible(at_least=1) == [(message(3), Lane.BACKGROUND)]


def test_a_queue_is_backed_up_by_what_waits_visibly(side: Side) -> None:
    """Not by messages that are to come later, and not by those of another queue."""
    queue = side.ports.queue
    assert queue.backlog(Lane.NORMAL) == Backlog()
    due = side.ports.clock.now() - timedelta(minutes=3)
    for number in range(40):
        queue.send(message(number), delay=timedelta(hours=1))
        queue.send(replace(message(number), due_at=due), delay=NOW, lane=Lane.BACKGROUND)
    assert queue.backlog(Lane.NORMAL) == Backlog(40)
    found = queue.backlog(Lane.BACKGROUND)
    assert (found.length, found.is_full) == (40, True)
    assert found.oldest_due == due.replace(microsecond=due.microsecond // 1000 * 1000)


def test_nothing_is_drained_where_nothing_is_poisoned(side: Side) -> None:
    assert side.ports.queue.drain_poison(limit=10) == []
    side.ports.queue.send(message(), delay=NOW)
    assert side.ports.queue.drain_poison(limit=10) == []
    assert side.visible(at_least=1) == [(message(), Lane.NORMAL)]


def test_poison_is_drained_up_to_the_limit_over_both_queues(side: Side) -> None:
    """The next sweep takes the rest."""
    for number in range(1, 7):
        side.poison(in_base64(encode_message(message(number))), lane=Lane.URGENT if number > 3 else Lane.NORMAL)
    first = side.ports.queue.drain_poison(limit=4)
    assert len(first) == 4
    assert side.poisoned() == 2
    second = side.ports.queue.drain_poison(limit=4)
    assert {one.generation for one in first + second} == set(range(1, 7))
    assert side.poisoned() == 0
    assert side.ports.queue.drain_poison(limit=0) == []


UNREADABLE = {
    "text": "not a message at all",
    "base64 of text": in_base64(b"hello"),
    "another JSON": in_base64(b'{"version": 1}'),
    "a list": in_base64(b"[1]"),
    "hostile ids": in_base64(b'{"recordingKey": "../../x", "part": "y", "generation": 1}'),
    "bytes": in_base64(bytes(range(256))),
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_what_cannot_be_read_is_kept_and_taken_out_too(side: Side, name: str) -> None:
    """A stranger's message does not keep the others in the poison queue, nor is it lost."""
    side.poison(UNREADABLE[name])
    side.poison(in_base64(encode_message(message())))
    assert side.ports.queue.drain_poison(limit=10) == [message()]
    assert side.poisoned() == 0
    assert len(side.rejected()) == 1


def test_what_waits_and_what_was_given_up_is_counted(side: Side) -> None:
    queue = side.ports.queue
    queue.send(message(), delay=NOW)
    queue.send(message(2), delay=timedelta(hours=1))
    queue.send(message(), delay=NOW, lane=Lane.BACKGROUND)
    side.poison(in_base64(encode_message(message())))
    depths = {depth.name: (depth.waiting or 0, depth.poisoned) for depth in queue.depths()}
    assert depths == {"recording-rescues": (2, 1), "recording-rescues-urgent": (0, 0), "recording-background": (1, 0)}
    queue.drain_poison(limit=10)
    assert sum(depth.poisoned for depth in queue.depths()) == 0


# --- what only a server shows


def test_poison_is_kept_without_secrets(real: RealSide) -> None:
    """What a stranger put into the queue, as text; a signature in it is not passed on."""
    real.poison("GET https://a.blob.core.windows.net/c/b?sig=topsecret")
    real.ports.queue.drain_poison(limit=1)
    [kept] = real.rejected()
    assert json.loads(kept)["reason"] == "poison"
    assert b"topsecret" not in kept
    assert b"https://a.blob.core.windows.net/c/b" in kept


def test_messages_do_not_expire(real: RealSide) -> None:
    """The service's default of seven days is as long as the longest delay."""
    real.ports.queue.send(message(), delay=NOW)
    [item] = real.queue().peek_messages()
    assert item.expires_on is not None
    assert item.expires_on.year > 9000


def test_many_poisoned_messages_are_drained_over_several_pages(real: RealSide) -> None:
    """The service gives out 32 at a time."""
    for number in range(1, 41):
        real.poison(in_base64(encode_message(message(number))))
    assert len(real.ports.queue.drain_poison(limit=35)) == 35
    assert len(real.ports.queue.drain_poison(limit=35)) == 5
    assert real.poisoned() == 0
