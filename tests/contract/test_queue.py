"""Port `RescueQueue`: tries that wait until they are due, and poison that is drained back."""

from __future__ import annotations

import base64
import json
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from shared.domain.errors import StorageInvalid
from shared.ports import RescueMessage
from shared.worker.message import encode_message

if TYPE_CHECKING:
    from tests.contract.sides import RealSide, Side

NOW = timedelta(0)


def message(number: int = 1) -> RescueMessage:
    return RescueMessage(f"{number:032x}", f"{number:016x}", number)


def in_base64(body: bytes) -> str:
    return base64.b64encode(body).decode()


def test_a_message_without_delay_can_be_received_at_once(side: Side) -> None:
    """As the Functions host reads it: base64."""
    side.ports.queue.send(message(), delay=NOW)
    assert side.visible(at_least=1) == [(message(), False)]


def test_a_message_stays_hidden_for_its_delay(side: Side) -> None:
    side.ports.queue.send(message(), delay=timedelta(seconds=1.6))
    side.ports.queue.send(message(2), delay=timedelta(days=7))
    assert side.visible() == []
    assert side.visible(at_least=1, within=timedelta(seconds=2)) == [(message(), False)]


def test_what_is_urgent_goes_its_own_way(side: Side) -> None:
    side.ports.queue.send(message(1), delay=NOW)
    side.ports.queue.send(message(2), delay=NOW, is_urgent=True)
    assert sorted(side.visible(at_least=2), key=lambda one: one[0].ticket) == [(message(1), False), (message(2), True)]


def test_a_delay_over_seven_days_is_refused(side: Side) -> None:
    with pytest.raises(StorageInvalid):
        side.ports.queue.send(message(), delay=timedelta(days=7, seconds=2))
    assert side.visible() == []


def test_the_length_counts_what_waits_visible_or_not(side: Side) -> None:
    queue = side.ports.queue
    assert queue.length() == 0
    queue.send(message(1), delay=NOW)
    queue.send(message(2), delay=timedelta(hours=1))
    queue.send(message(3), delay=NOW, is_urgent=True)
    assert queue.length() == 3


def test_nothing_is_drained_where_nothing_is_poisoned(side: Side) -> None:
    assert side.ports.queue.drain_poison(limit=10) == []
    side.ports.queue.send(message(), delay=NOW)
    assert side.ports.queue.drain_poison(limit=10) == []
    assert side.visible(at_least=1) == [(message(), False)]


def test_poison_is_drained_up_to_the_limit_over_both_queues(side: Side) -> None:
    """The next sweep takes the rest."""
    for number in range(1, 7):
        side.poison(in_base64(encode_message(message(number))), is_urgent=number > 3)
    first = side.ports.queue.drain_poison(limit=4)
    assert len(first) == 4
    assert side.poisoned() == 2
    second = side.ports.queue.drain_poison(limit=4)
    assert {one.ticket for one in first + second} == set(range(1, 7))
    assert side.poisoned() == 0
    assert side.ports.queue.drain_poison(limit=0) == []


UNREADABLE = {
    "text": "not a message at all",
    "base64 of text": in_base64(b"hello"),
    "another JSON": in_base64(b'{"version": 1}'),
    "a list": in_base64(b"[1]"),
    "hostile ids": in_base64(b'{"recordingKey": "../../x", "chunkKey": "y", "ticket": 1}'),
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


# --- what only a server shows


def test_poison_is_kept_without_secrets(real: RealSide) -> None:
    """What a stranger put into the queue, as text; a signature in it is not told on."""
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
