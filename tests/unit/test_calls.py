"""The index from calls to their recordings."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from shared import calls
from tests.support.fakes import FakeLedger

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.fixture
def ledger() -> FakeLedger:
    ledger = FakeLedger()
    for n in range(3):
        calls.remember(ledger, "call", key=f"key-{n}", at=NOON + timedelta(hours=n))
    return ledger


def test_an_event_finds_the_recording_that_began_when_it_says(ledger: FakeLedger) -> None:
    assert calls.begun_at(ledger, "call", NOON + timedelta(minutes=1)) == "key-0"
    assert calls.begun_at(ledger, "call", NOON + timedelta(hours=1, minutes=30)) == "key-1"
    # Clocks differ: ACS's start may be a little before our note of it.
    assert calls.begun_at(ledger, "call", NOON + timedelta(hours=2) - timedelta(minutes=2)) == "key-2"


def test_without_a_start_the_newest_is_meant(ledger: FakeLedger) -> None:
    assert calls.begun_at(ledger, "call", None) == "key-2"
    assert calls.newest(ledger, "call") == "key-2"


def test_another_call_and_an_earlier_recording_are_not_known(ledger: FakeLedger) -> None:
    assert calls.newest(ledger, "other") is None
    assert calls.begun_at(ledger, "call", NOON - timedelta(hours=1)) is None


def test_a_repeated_start_is_noted_once_and_the_list_stays_short(ledger: FakeLedger) -> None:
    for n in range(50):
        calls.remember(ledger, "call", key=f"key-{n % 30}", at=NOON + timedelta(days=1, hours=n))
    name = next(name for name in ledger.notes if name.startswith("calls/"))
    assert ledger.notes[name].count(b'"key"') == 20


def test_an_unreadable_note_is_as_good_as_none(ledger: FakeLedger) -> None:
    name = next(name for name in ledger.notes if name.startswith("calls/"))
    for data in (b"", b"{", b"[1]", b'[{"key":"a"}]', b'[{"key":"a","startedAt":"x"}]'):
        ledger.notes[name] = data
        assert calls.newest(ledger, "call") is None
