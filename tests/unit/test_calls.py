"""From a call to the recordings started for it."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from shared.start import call_index as calls
from tests.support.fakes import FakeLedger
from tests.unit.builders import HOUR, NOON

MINUTE = timedelta(minutes=1)


def ledger() -> FakeLedger:
    """Two recordings of one call, begun at noon and an hour later."""
    made = FakeLedger()
    calls.remember(made, "call", key="first", at=NOON)
    calls.remember(made, "call", key="second", at=NOON + HOUR)
    return made


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        (NOON - HOUR, None),
        (NOON - 4 * MINUTE, "first"),  # clocks differ
        (NOON + 30 * MINUTE, "first"),
        (NOON + 56 * MINUTE, "second"),
        (NOON + 5 * HOUR, "second"),
        (None, "second"),
    ],
)
def test_a_recording_is_the_one_that_began_then(moment: datetime | None, expected: str | None) -> None:
    assert calls.begun_at(ledger(), "call", moment) == expected


def test_the_newest_is_the_one_started_last() -> None:
    assert calls.newest(ledger(), "call") == "second"
    assert calls.newest(ledger(), "another") is None


def test_a_recording_is_noted_once_and_the_notes_are_bounded() -> None:
    made = ledger()
    calls.remember(made, "call", key="first", at=NOON + 2 * HOUR)
    assert calls.newest(made, "call") == "first"
    for number in range(50):
        calls.remember(made, "call", key=str(number), at=NOON + (3 + number) * HOUR)
    assert len(calls._entries(made, "call")) == 20
    assert calls.newest(made, "call") == "49"


@pytest.mark.parametrize(
    "data", [b"", b"5", b"{}", b"[5]", b'[{"key": "a"}]', b'[{"key": "a", "startedAt": 5}]', b"\xff"]
)
def test_what_somebodys_hand_wrote_is_as_good_as_no_note(data: bytes) -> None:
    made = ledger()
    made.notes = dict.fromkeys(made.notes, data)
    assert calls.newest(made, "call") is None
