"""Go on now: what waits is tried at once, what was given up is taken up again, what is done stays as it is."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from shared.api.views import RecordingUnknown
from shared.domain import errors as e
from shared.domain.naming import marker
from shared.domain.recording import ChunkState, Manifest, Recording, RecordingState
from shared.sweep.replay import set_going
from shared.worker.finder import fallback_name
from tests.support.fakes import MediaFile, World, watched
from tests.unit.builders import FOLDER, HOUR, NOON, chunk, recording

if TYPE_CHECKING:
    from collections.abc import Callable

    from shared.app import App

S = ChunkState
DATA = b"ID3" + bytes(1_000)
SHA256 = hashlib.sha256(DATA).hexdigest()
MINUTE = timedelta(minutes=1)
LATER = NOON + HOUR
DAYS = 24 * HOUR
DONE: dict[str, Any] = {"size": len(DATA), "sha256": SHA256, "metadata_state": "absent", "finished_at": NOON}
TRIED: dict[str, Any] = {"failures": 9, "tries": 12, "ticket": 5, "tried_after_deadline": True}
GIVEN_UP = Manifest("given_up", 3, None, f"{FOLDER}/manifest.json")
WRITTEN = replace(GIVEN_UP, state="written")
KEY = recording().key


def kept(one: Recording) -> World:
    """A world with that recording in the ledger, its marker if it is open, and its files where its chunks say."""
    world = World()
    one = replace(one, marker=None if one.closed_at else marker(deadline=one.deadline, key=one.key))
    world.ledger.save(one, etag=None)
    if one.marker:
        world.ledger.put_marker(one.marker)
    for each in one.chunks:
        if each.state is S.IN_FALLBACK:
            world.fallback.put(fallback_name(one, each.blob or ""), DATA, content_type="x", overwrite=False)
        elif each.is_safe:
            world.destination.put(each.blob or "", DATA, content_type="x", overwrite=False)
    return world


def the(world: World) -> Recording:
    return world.ledger.recording(KEY)


def replayed(world: World, **ports: Any) -> Recording:
    """The recording as a replay that found something to do leaves it."""
    assert world.app(**ports).replay.replay(KEY)
    return the(world)


def works(world: World, app: App | None = None) -> Recording:
    """The recording when no message is left."""
    app = app or world.app()
    while world.deliver_next(app):
        pass
    return the(world)


def tickets(world: World) -> list[tuple[int, int]]:
    """What waits in the queue, to be handled now: index and ticket."""
    index = {each.key: each.index for each in the(world).chunks}
    assert all(delivery.due <= world.clock.now() for delivery in world.queue.waiting)
    return [(index[delivery.message.chunk_key], delivery.message.ticket) for delivery in world.queue.waiting]


def while_it(world: World, of: str, act: Callable[[], object]) -> Callable[..., Any]:
    """For `watched`: `act` comes once, just before the first call of that name."""
    left = [act]

    def around(name: str, call: Callable[[], Any], arguments: tuple[Any, ...]) -> Any:
        if name == of and left:
            left.pop()()
        return call()

    return around


# --- one chunk


@pytest.mark.parametrize("state", [S.EXPECTED, S.PENDING])
def test_what_waits_is_tried_now_and_its_delays_begin_anew(state: ChunkState) -> None:
    world = kept(recording(chunk(0, state, next_try_at=LATER, requeues=3, **TRIED)))
    [one] = replayed(world).chunks
    assert (one.state, one.next_try_at, one.ticket) == (state, NOON, 6)
    assert (one.failures, one.requeues, one.tries, one.tried_after_deadline) == (0, 0, 12, False)
    assert tickets(world) == [(0, 6)]


def test_a_try_after_the_window_is_not_the_last_one_again() -> None:
    """The one that was planned after the deadline is tried now, and once more a minute later."""
    world = kept(recording(chunk(0, S.PENDING, next_try_at=NOON + MINUTE, **TRIED), deadline=NOON - 2 * HOUR))
    world.clock.advance(3 * HOUR)
    replayed(world)
    world.deliver_next(app := world.app())
    assert the(world).chunks[0].state is S.PENDING
    assert works(world, app).chunks[0].state is S.LOST


def test_a_worker_that_is_at_a_chunk_is_left_to_it() -> None:
    world = kept(recording(chunk(0, S.RESCUING, lease_until=NOON + MINUTE, **TRIED)))
    before = world.ledger.documents
    assert not world.app().replay.replay(KEY)
    assert (world.ledger.documents, world.queue.waiting) == (before, [])


@pytest.mark.parametrize("lease", [None, NOON, NOON - HOUR])
def test_a_chunk_is_taken_back_from_a_worker_that_went_away_as_the_sweep_does(lease: Any) -> None:
    one = recording(chunk(0, S.RESCUING, lease_until=lease, crashes=1, **TRIED))
    by_hand = replayed(kept(one)).chunks[0]
    assert (by_hand.state, by_hand.crashes, by_hand.lease_until) == (S.PENDING, 2, None)
    swept = kept(replace(one, chunks=(replace(one.chunks[0], lease_until=NOON - HOUR),)))
    swept.app().sweep.run()
    by_sweep = the(swept).chunks[0]
    assert by_hand == replace(by_sweep, failures=0, tried_after_deadline=False, requeues=0, next_try_at=NOON)


def given_up(**changes: Any) -> World:
    """A recording whose delivery was given up eight days after its deadline; the container does not exist."""
    one = chunk(0, S.IN_FALLBACK, next_try_at=None, **DONE, **TRIED)
    told = {"deadline": NOON - 8 * DAYS, "alerts": ("deadline_1h", "container_missing", "delivery_given_up")}
    world = kept(recording(one, **{**told, "closed_at": NOON - HOUR, "manifest": GIVEN_UP} | changes))
    world.destination.exists = False
    return world


def test_a_delivery_that_was_given_up_is_taken_up_again() -> None:
    world = given_up()
    after = replayed(world)
    [one] = after.chunks
    assert (one.state, one.next_try_at, one.failures, one.ticket) == (S.IN_FALLBACK, NOON, 0, 6)
    assert (after.closed_at, after.manifest) == (None, Manifest("pending", 0, None, GIVEN_UP.blob))
    assert after.marker in world.ledger.open
    assert tickets(world) == [(0, 6)]
    world.destination.exists = True
    after = works(world)
    assert (after.chunks[0].state, after.state) == (S.DELIVERED, RecordingState.COMPLETE)
    assert world.destination.blobs[after.chunks[0].blob or ""].data == DATA
    assert (after.manifest.state, after.closed_at) == ("written", NOON)
    assert world.notifier.names == []
    assert world.fallback.blobs == {}
    assert world.ledger.open == set()


def test_where_the_cause_still_stands_it_is_given_up_again_and_said_again() -> None:
    world = given_up()
    for count in (1, 2):
        replayed(world)
        after = works(world)
        assert (after.chunks[0].is_given_up, after.closed_at, after.manifest.state) == (True, NOON, "given_up")
        assert world.notifier.names == ["delivery_given_up"] * count
        assert after.alerts == ("deadline_1h", "delivery_given_up")
        assert world.ledger.open == set()
    assert len(world.fallback.blobs) == 1


def test_within_its_days_a_delivery_goes_on_at_the_pace_of_the_beginning_and_says_again_what_refuses() -> None:
    waits = chunk(0, S.IN_FALLBACK, next_try_at=LATER, **DONE, **TRIED)
    world = kept(recording(waits, alerts=("container_missing",)))
    world.destination.exists = False
    assert replayed(world).alerts == ()
    world.deliver_next(world.app())
    [one] = the(world).chunks
    assert (one.failures, one.tries) == (1, 13)
    assert one.next_try_at is not None
    assert one.next_try_at <= NOON + 5 * timedelta(seconds=1)
    assert world.notifier.names == ["container_missing"]


@pytest.mark.parametrize("manifest", [WRITTEN, GIVEN_UP])
def test_a_lost_chunk_that_somebody_brought_is_found(manifest: Manifest) -> None:
    lost = chunk(0, S.LOST, finished_at=NOON - HOUR, metadata_state="absent", **TRIED)
    world = kept(recording(lost, closed_at=NOON - HOUR, manifest=manifest, alerts=("lost_0",)))
    world.destination.put(manifest.blob or "", manifest_of("lost"), content_type="x", overwrite=False)
    after = replayed(world)
    assert (after.chunks[0].state, after.closed_at, after.manifest) == (S.LOST, None, Manifest(blob=manifest.blob))
    assert tickets(world) == [(0, 6)]
    world.destination.put(lost.blob or "", DATA, content_type="x", overwrite=False)
    after = works(world)
    assert (after.chunks[0].state, after.chunks[0].size, after.closed_at) == (S.EXPORTED, len(DATA), NOON)
    assert after.manifest == WRITTEN or after.manifest == replace(WRITTEN, failures=0)
    assert b'"state": "complete"' in world.destination.read(after.manifest.blob or "")


def manifest_of(state: str) -> bytes:
    return f'{{"schema": "acs-byos-recorder/manifest/1", "recordingId": "recording-1", "state": "{state}"}}'.encode()


def test_a_lost_chunk_that_is_not_there_stays_lost_and_is_not_told_again() -> None:
    lost, other = chunk(1, S.LOST, finished_at=NOON - HOUR, **TRIED), chunk(0, S.RESCUED, **DONE)
    world = kept(recording(other, lost, closed_at=NOON - HOUR, manifest=WRITTEN, alerts=("lost_1",)))
    assert [(each.state, each.ticket) for each in replayed(world).chunks] == [(S.RESCUED, 1), (S.LOST, 6)]
    after = works(world)
    assert (after.chunks[1].state, after.chunks[1].finished_at) == (S.LOST, lost.finished_at)
    assert (after.state, after.closed_at, after.manifest.state) == (RecordingState.LOST, NOON, "written")
    assert world.notifier.names == []


# --- what is left after the bytes


def test_metadata_that_waits_is_fetched_now() -> None:
    waits = DONE | {"metadata_state": "pending"}
    world = kept(recording(chunk(0, S.RESCUED, next_try_at=LATER, **waits, **TRIED), chunk(1, S.EXPORTED, **DONE)))
    assert [(each.ticket, each.failures) for each in replayed(world).chunks] == [(6, 0), (1, 0)]
    world.media.files[chunk(0).metadata_location or ""] = MediaFile(b"{}")
    after = works(world)
    assert (after.chunks[0].metadata_state, after.closed_at) == ("saved", NOON)


def test_a_deletion_that_waits_is_asked_for_now() -> None:
    waits = chunk(1, S.RESCUED, next_try_at=LATER, deletion="pending", **DONE, **TRIED)
    world = kept(recording(chunk(0, S.RESCUED, **DONE), waits, manifest=WRITTEN))
    world.settings = replace(world.settings, delete_at_acs=True)
    after = replayed(world)
    assert [each.ticket for each in after.chunks] == [1, 6]
    assert after.manifest == WRITTEN
    after = works(world)
    assert ([each.deletion for each in after.chunks], after.closed_at) == (["done", "done"], NOON)


@pytest.mark.parametrize(
    ("manifest", "closed_at"),
    [(GIVEN_UP, NOON - HOUR), (Manifest("pending", 7, LATER), None), (Manifest(), None), (WRITTEN, None)],
    ids=["given up", "waits", "was never tried", "written, and the worker died"],
)
def test_the_manifest_and_the_close_are_taken_up(manifest: Manifest, closed_at: Any) -> None:
    chunks = (chunk(0, S.RESCUED, **DONE), chunk(1, S.EXPORTED, **DONE))
    world = kept(recording(*chunks, manifest=manifest, closed_at=closed_at))
    after = replayed(world)
    assert (after.closed_at, after.manifest.next_try_at, after.manifest.blob) == (None, None, manifest.blob)
    assert tickets(world) == [(0, 2)]
    after = works(world)
    assert (after.manifest.state, after.manifest.blob, after.closed_at) == ("written", f"{FOLDER}/manifest.json", NOON)


@pytest.mark.parametrize(
    "one",
    [
        recording(chunk(0, S.RESCUED, **DONE), manifest=WRITTEN, closed_at=NOON),
        recording(chunk(0, S.EXPORTED, deletion="pending", **DONE), manifest=WRITTEN, closed_at=NOON),
        recording(chunk(0, S.RESCUED, **DONE), chunk(1, S.RESCUING, lease_until=LATER)),
        recording(chunk(0, S.DELIVERED, deletion="failed", **DONE), manifest=WRITTEN, closed_at=NOON, alerts=("x",)),
    ],
    ids=["complete", "deletion switched off meanwhile", "a worker is at it", "deletion given up"],
)
def test_where_nothing_is_to_do_nothing_is_changed(one: Recording, caplog: pytest.LogCaptureFixture) -> None:
    world = kept(one)
    before = world.ledger.documents
    with caplog.at_level("INFO", logger="recorder"):
        assert not world.app().replay.replay(KEY)
    assert (world.ledger.documents, world.queue.waiting, caplog.text) == (before, [], "")


def test_each_chunk_is_set_going_by_its_own_state(caplog: pytest.LogCaptureFixture) -> None:
    chunks = (
        chunk(0, S.EXPORTED, **DONE),
        chunk(1, S.PENDING, next_try_at=LATER),
        chunk(2, S.RESCUING, lease_until=LATER),
        chunk(3, S.IN_FALLBACK, next_try_at=None, **DONE),
        chunk(4, S.LOST, finished_at=NOON),
    )
    world = kept(recording(*chunks))
    with caplog.at_level("INFO", logger="recorder"):
        replayed(world)
    assert tickets(world) == [(1, 2), (3, 2), (4, 2)]
    assert f'{{"event":"recording.replayed","recording":"{KEY}","chunks":3,"state":"saving"}}' in caplog.text


def test_what_a_person_mends_is_forgotten_and_said_again_what_is_over_is_not() -> None:
    """Every alert that a refusal raises is among the former."""
    mended = [e.StorageRefused.code, *(kind.code for kind in e.StorageRefused.__subclasses__())]
    mended += ["destination_conflict", "media_unauthorized", "media_location_refused", "fallback_missing"]
    mended += ["delivery_given_up", "worker_crashing"]
    over = ("lost_0", "metadata_lost_1", "deadline_6h", "deadline_1h", "location_foreign", "event_missing")
    after = set_going(recording(chunk(0), alerts=(*over, *mended)), now=NOON)
    assert after is not None
    assert after.alerts == over


def test_a_recording_is_found_by_its_id_and_by_its_key() -> None:
    for identity in ("recording-1", KEY):
        assert kept(recording(chunk(0))).app().replay.replay(identity)


@pytest.mark.parametrize("identity", ["unknown", "0" * 32, "", "../x", "\ud800"])
def test_an_unknown_recording_is_told(identity: str) -> None:
    with pytest.raises(RecordingUnknown):
        World().app().replay.replay(identity)


# --- started, and nothing heard


def silent(*, ended: bool = True, after: timedelta = HOUR) -> World:
    """A recording started at noon, of which no event came; its export lies in the container if it ended."""
    world = World()
    world.acs.calls.add("call")
    world.app().start.start({"serverCallId": "call"}, idempotency_key=None)
    world.clock.advance(after)
    if ended:
        world.acs.states = dict.fromkeys(world.acs.states, "inactive")
    return world


def only(world: World) -> Recording:
    [key] = world.ledger.documents
    return world.ledger.recording(key)


def replays(world: World) -> bool:
    return world.app().replay.replay(only(world).key)


def test_a_recording_that_runs_is_asked_for_and_runs_on(caplog: pytest.LogCaptureFixture) -> None:
    world = silent(ended=False)
    with caplog.at_level("INFO", logger="recorder"):
        assert replays(world)
    assert f'{{"event":"recording.replayed","recording":"{only(world).key}","chunks":0}}' in caplog.text
    assert (only(world).deadline, only(world).check_at) == (NOON + 25 * HOUR, NOON + 5 * HOUR)
    assert only(world).state is RecordingState.STARTED


def test_a_recording_that_ended_is_looked_for_a_quarter_of_an_hour_later() -> None:
    """Its event may be on the way: asking again and again makes it neither silent nor another's."""
    world = silent()
    assert replays(world)
    assert only(world).check_at == world.clock.now() + 15 * MINUTE
    assert not replays(world)
    world.clock.advance(16 * MINUTE)
    assert replays(world)
    assert only(world).alerts == ("silent",)
    assert replays(world)
    assert world.notifier.names == ["silent", "silent"]


def test_what_was_never_heard_of_is_asked_for_once_more() -> None:
    world = silent(after=60 * HOUR)
    for _ in range(2):
        world.app().sweep.run()
        world.clock.advance(15 * MINUTE)
    closed = only(world)
    assert closed.alerts == ("silent", "never_heard")
    assert replays(world)
    assert (only(world).closed_at, only(world).alerts) == (world.clock.now(), ("silent", "never_heard"))
    assert world.notifier.names == ["silent", "never_heard"] * 2
    metadata = b'{"chunkDocumentId": "d0", "chunkStartTime": "2026-11-22T12:00:05Z"}'
    for name, data in (("0-audiomp3.mp3", b"ID3"), ("0-acsmetadata.json", metadata)):
        world.destination.put(f"{FOLDER}/{name}", data, content_type="x", overwrite=False)
    assert replays(world)
    assert (only(world).state, only(world).closed_at) == (RecordingState.COMPLETE, None)
    assert only(world).marker in world.ledger.open


def test_an_event_that_comes_while_it_is_to_be_asked_for_wins() -> None:
    world = silent()
    key = only(world).key

    def comes() -> None:
        before, etag = world.ledger.load(key) or (recording(), None)
        world.ledger.save(replace(before, chunks=(chunk(0),)), etag=etag)

    assert not world.app(ledger=watched(world.ledger, while_it(world, "save", comes))).replay.replay(key)
    assert world.ledger.recording(key).chunks == (chunk(0),)
