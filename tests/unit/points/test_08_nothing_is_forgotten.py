"""Point 8: a process that dies after any effect loses no alert, no plan, no byte; a replay erases nothing; the timeline
tells everything that happened, by whom.

(`tests/simulation/test_every_crash.py` has the other short stories.)
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest

from shared.domain.codec import decode
from shared.domain.errors import StorageAccessDenied
from shared.domain.recording import ChunkState, Recording
from tests.simulation.invariants import Truth, check_always, check_end
from tests.simulation.sequence import BEGIN, SimWorld, Trouble
from tests.support.fakes import CONTAINER, settings
from tests.unit.rig import DAY, HOUR, MINUTE, Rig, claim, event, mp3, wav

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shared.domain.journal import Entry

DATA = {"doc-0": mp3(9), "doc-1": wav(3000)}


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    logger = logging.getLogger("recorder")
    before = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    yield
    logger.setLevel(before)


def played(crash_at: frozenset[int] = frozenset()) -> SimWorld:
    """Two chunks; the destination refuses for half an hour, the alert topic answers after an hour."""
    given = settings(places=(CONTAINER,), block_bytes=4000)
    world = SimWorld(1, processes=2, crash_at=crash_at, settings=given)
    world.troubles = [
        Trouble("destination", "refusal", BEGIN, BEGIN + HOUR / 2, 1),
        Trouble("notifier", "error", BEGIN, BEGIN + HOUR, 1),
    ]
    for document, data in DATA.items():
        world.rig.put_media(document, data)
    world.deliver_event(event(claim(), claim("doc-1", 1)))
    world.live(DAY)
    return world


def only(world: SimWorld) -> Recording:
    [(data, _)] = world.rig.ledger.closed.values()
    return decode(Recording, data)


TRUTHS = [Truth(document, data) for document, data in DATA.items()]


@pytest.mark.timeout(300)
def test_a_process_that_dies_at_any_effect_loses_no_alert_no_plan_and_no_byte() -> None:
    plain = played()
    check_end(plain, TRUTHS)
    kinds = {entry.kind for entry in only(plain).timeline}
    assert {"reported", "kept_in_fallback", "delivered", "closed", "alert.storage_access_denied"} <= kinds
    failures = []
    # Towards the end it repeats itself: alerts that are not taken, deliveries that are refused.
    for point in [*range(1, 40), *range(40, plain.changes + 1, 5)]:
        world = played(frozenset({point}))
        assert world.crashes == 1
        try:
            check_always(world)
            check_end(world, TRUTHS)
            found = {entry.kind for entry in only(world).timeline}
            # Where the first worker died, the bytes may be found in place of being delivered: nothing else is missing.
            assert kinds - found <= {"kept_in_fallback", "delivered", "continued"}, kinds - found
            alerts = {name for name, _, _ in world.rig.notifier.alerts}
            assert "storage_access_denied" in alerts
        except AssertionError as error:
            failures.append(f"{world.trace}: {error}"[:500])
    assert not failures, f"{len(failures)} of {plain.changes}: " + "\n".join(failures[:5])


def rows(timeline: tuple[Entry, ...]) -> list[tuple[object, ...]]:
    """What must not be taken back: repeats fold, so that a count may grow."""
    return [(entry.kind, entry.by, entry.chunk, entry.code, entry.at) for entry in timeline]


def lost() -> Rig:
    rig = Rig(given=settings(window=2 * HOUR))
    rig.acs.calls.add("server-1")
    rig.process.start.start({"serverCallId": "server-1"}, idempotency_key=None)
    rig.receive(event(subject="/recording/call/call-1/serverCallId/server-1"))
    rig.live(6 * HOUR)
    assert rig.state() is ChunkState.LOST
    return rig


def undeliverable() -> Rig:
    rig = Rig(given=settings(delivery_window=DAY))
    rig.put_media()
    rig.destination.refusal = StorageAccessDenied("403")
    rig.receive(event())
    rig.live(3 * DAY)
    assert rig.state() is ChunkState.UNDELIVERABLE
    return rig


def waiting() -> Rig:
    rig = Rig()
    rig.receive(event())
    rig.live(HOUR)
    assert rig.state() is ChunkState.PENDING
    return rig


def complete() -> Rig:
    rig = Rig()
    rig.put_media()
    rig.receive(event())
    rig.live(HOUR)
    rig.assert_at_rest()
    return rig


def silent() -> Rig:
    rig = Rig()
    rig.acs.calls.add("server-1")
    started = rig.process.start.start({"serverCallId": "server-1"}, idempotency_key=None).answer
    rig.acs.states[started["recordingId"]] = "inactive"
    rig.live(12 * HOUR)
    return rig


@pytest.mark.parametrize("make", [waiting, lost, undeliverable, complete, silent])
def test_a_replay_erases_nothing(make: object) -> None:
    assert callable(make)
    rig = make()
    before = rig.recording
    rig.process.replay.replay(rig.key, by="operator@example")
    after = rig.recording
    assert rows(after.timeline)[: len(before.timeline)] == rows(before.timeline)
    assert after.outbox[: len(before.outbox)] == before.outbox
    assert after.alert_count >= before.alert_count
    assert [one.attempts for one in after.chunks] == [one.attempts for one in before.chunks]
    if after != before:
        assert (after.timeline[-1].kind, after.timeline[-1].by) == ("replayed", "operator@example")
    rig.live(HOUR)
    assert rows(rig.recording.timeline)[: len(before.timeline)] == rows(before.timeline)


def test_a_replay_keeps_the_alerts_that_are_owed() -> None:
    rig = Rig()
    rig.notifier.is_down = True
    rig.put_media()
    rig.destination.refusal = StorageAccessDenied("403")
    rig.receive(event())
    rig.live(HOUR)
    owed = rig.recording.outbox
    assert [alert.name for alert in owed] == ["storage_access_denied"]
    rig.process.replay.replay(rig.key, by="operator@example")
    assert rig.recording.outbox[:1] == owed
    rig.notifier.is_down = False
    rig.live(HOUR)
    assert "storage_access_denied" in rig.notifier.names


def test_the_timeline_tells_a_whole_life_and_by_whom() -> None:
    """Started, reported, kept, delivered, given back to, replayed, closed: each with its moment and who did it."""
    rig = Rig(given=settings(delivery_window=HOUR, window=2 * HOUR))
    rig.acs.calls.add("server-1")
    rig.process.start.start({"serverCallId": "server-1"}, idempotency_key=None)
    rig.put_media()
    rig.destination.refusal = StorageAccessDenied("403")
    rig.clock.advance(MINUTE)
    rig.receive(event(subject="/recording/call/call-1/serverCallId/server-1", at=rig.clock.now()))
    rig.live(8 * HOUR)
    rig.destination.refusal = None
    rig.process.replay.replay(rig.key, by="operator@example")
    rig.live(2 * HOUR)
    rig.assert_at_rest()
    timeline = rig.recording.timeline
    assert [(entry.kind, entry.by) for entry in timeline] == [
        ("started", "api"),
        ("reported", "acs"),
        ("rescue_started", "app"),
        ("kept_in_fallback", "app"),
        ("alert.storage_access_denied", "app"),
        ("delivery_failed", "app"),
        ("alert.delivery_given_up", "app"),
        ("closed", "app"),
        ("replayed", "operator@example"),
        ("delivered", "app"),
        ("closed", "app"),
    ]
    assert [entry.at for entry in timeline] == sorted(entry.at for entry in timeline)
    failed = next(entry for entry in timeline if entry.kind == "delivery_failed")
    assert failed.count > 3
    assert failed.last_at is not None
    assert failed.code == "storage_access_denied"
    # The API and the manifest tell the same.
    shown = rig.process.views.one(rig.key)["timeline"]
    assert [one["kind"] for one in shown] == [entry.kind for entry in timeline]
