"""One world from a seed: drawn, lived through, settled, checked.

Swarm style: each world draws which kinds of trouble it has at all, so that some worlds are full of one kind. When the
troubles have ended, a person does what docs/operations.md says: sends again what Event Grid gave up, replays what was
given up, removes what could not be cleaned. Then everything has to close within a stated time.
"""

from __future__ import annotations

import json
from datetime import timedelta
from random import Random
from typing import TYPE_CHECKING, Any

from shared import handlers, http
from shared.domain import places
from shared.domain.locations import ContainerUrl
from shared.domain.recording import IN_FALLBACK_STATES, MISSING_STATES, ChunkState, RecordingState
from shared.ports import Lane, WorkItem
from shared.worker.message import encode_message
from tests.simulation.people import by_hand, spoil
from tests.simulation.troubles import REFUSALS, Kind, Trouble
from tests.simulation.truth import WAYS, Call, Piece, Truth, call_started, envelope, kinds_of
from tests.simulation.world import BEGIN, DAY, HOUR, MINUTE, World
from tests.support.fakes import ACCOUNT, settings
from tests.support.fakes.acs import recording_id_of
from tests.unit.rig import claim, mp3, mp4, wav

if TYPE_CHECKING:
    from shared.api.responses import Response
    from shared.settings import Settings

CONTAINER = ContainerUrl.parse(f"{ACCOUNT}/recordings")
OTHER = ContainerUrl.parse(f"{ACCOUNT}/others/team")
# Within so much of the end of all troubles, or of the last moment that a chunk is waited for, everything is closed.
CLOSED_WITHIN = timedelta(hours=3)
# What was started and of which no event comes is asked about every four hours, for two days after its end.
_NO_EVENT = timedelta(hours=60)
_JSON = {"content-type": "application/json"}
_ALL = b'{"dryRun": false}'
_LOCATORS = ("serverCallId", "groupCallId", "roomId", "callConnectionId")


def run_world(seed: int, *, is_deep: bool = False) -> World:
    """Runs the world of that seed to its end; AssertionError, ViolationError where an invariant does not hold.

    `is_deep`: over the real adapters and SDKs (`deep.py`).
    """
    rng = Random(seed)  # noqa: S311 - reproducible, and nothing secret
    drawn = _settings(rng)
    made: type[World] = World
    if is_deep:
        from tests.simulation.deep import DeepWorld, deep_settings  # noqa: PLC0415 - it loads the SDKs

        made, drawn = DeepWorld, deep_settings(drawn)
    world = made(
        seed,
        drawn,
        _troubles(rng),
        processes=rng.randint(1, 3),
        page=rng.choice((2, 3, 5, 5000)),
        is_skewed=rng.random() < 0.3,
    )
    leave = world.enter()
    try:
        _live(world, rng)
    finally:
        leave()
    return world


def _live(world: World, rng: Random) -> None:
    world.truth = truth = Truth([_call(number, rng) for number in range(rng.choice((1, 1, 1, 2, 3)))])
    for call in truth.calls:
        _happens(world, call, truth)
    last = max(call.end for call in truth.calls) + 6 * HOUR
    end = max(world.troubles.end, last)
    _meddle(world, rng, end)
    _until(world, end)
    _settle(world, end)
    truth.check(world)
    _check_rest(world)


def _until(world: World, end: Any) -> None:
    while world.scheduler.now < end:
        world.scheduler.run(min(end, world.scheduler.now + 12 * HOUR))


def _settle(world: World, end: Any) -> None:
    """The troubles are over: a person mends what is left, and everything closes."""
    world.scheduler.run(end + 2 * HOUR)
    for _ in range(4):
        _mend(world)
        _close(world)
        if world.is_at_rest() and not _given_up(world):
            break
    assert world.is_at_rest(), f"not closed: {[(e.key, e.state, e.due) for _, _, e in world.ledger.open.values()]}"


def _close(world: World) -> None:
    chunks = [chunk for one in world.ledger.recordings() for chunk in one.chunks]
    waits = [chunk.abandon_after for chunk in chunks if not chunk.is_in_place or chunk.metadata_state == "pending"]
    until = max([world.scheduler.now, *waits]) + CLOSED_WITHIN
    if any(not one.chunks for one in world.ledger.recordings()):
        until = max(until, world.scheduler.now + _NO_EVENT)
    while world.scheduler.now < until and not world.is_at_rest():
        world.scheduler.run(min(until, world.scheduler.now + HOUR))


def _given_up(world: World) -> list[str]:
    states = (RecordingState.LOST, RecordingState.UNCONFIRMED, RecordingState.SAFE, RecordingState.DAMAGED)
    return [
        one.key
        for one in world.ledger.recordings()
        if world.replayed[one.key] < 2 and (one.state in states or one.manifest.state == "given_up")
    ]


def _mend(world: World) -> None:
    for raw in world.hosts.dead_letters:
        _deliver(world, raw)
    world.hosts.dead_letters.clear()
    for one in world.ledger.recordings():
        if "alert.fallback_not_cleaned" in kinds_of(one):
            blobs = world.containers.own.blobs
            for name in [name for name in blobs if name.startswith(one.key)]:
                del blobs[name]
        place = world.containers.at(ContainerUrl.parse(one.container_url))
        for chunk in one.chunks:
            is_in_the_way = chunk.last_error is not None and chunk.last_error.code == "destination_conflict"
            if chunk.state in IN_FALLBACK_STATES and is_in_the_way:
                place.blobs.pop(chunk.blob or "", None)
                place.archived.discard(chunk.blob or "")  # what is written there next is in no archive
    world.hosts.request(lambda: http.verify_recordings(_ALL, _JSON), lambda _answer: None)
    world.scheduler.run(world.scheduler.now + 30 * MINUTE)
    for key in _given_up(world):
        world.replayed[key] += 1
        world.hosts.request(lambda key=key: handlers.replay_recording(key, {}), lambda _answer: None)  # type: ignore[misc]
    world.scheduler.run(world.scheduler.now + 5 * MINUTE)


def _check_rest(world: World) -> None:
    """Nothing remains: no message, no lease, no copy in the fallback, no alert that is owed or was never published."""
    left = set(world.containers.own.blobs) - _last_traces(world)
    assert not left, f"in the fallback: {sorted(left)}"
    for recording in world.ledger.recordings():
        assert recording.closed_at is not None
        assert not recording.outbox
        kinds = {entry.kind for entry in recording.timeline}
        published = {seq for key, seq in world.published if key == recording.key}
        missing = set(range(1, recording.alert_count + 1)) - published
        assert not missing or "alert_not_published" in kinds, f"alerts {missing} were never published"
        for chunk in recording.chunks:
            assert chunk.lease is None
            assert not chunk.leftovers or chunk.state is ChunkState.DAMAGED  # a copy would be of use yet


def _last_traces(world: World) -> set[str]:
    """Metadata of lost chunks whose copy a person removed: all that is left of them, so nothing removes it."""
    return {
        places.fallback_name(one, places.metadata_name(one, chunk))
        for one in world.ledger.recordings()
        for chunk in one.chunks
        if chunk.state in MISSING_STATES
        and any(entry.kind == "copy_missing" and entry.chunk == chunk.index for entry in one.timeline)
    }


# --- the draw


def _settings(rng: Random) -> Settings:
    return settings(
        places=(CONTAINER, OTHER),
        window=timedelta(hours=rng.choices((3, 24), (9, 1))[0]),
        block_bytes=rng.choice((600, 4000)),
        delivery_window=timedelta(days=rng.choice((1, 1, 2))),
        digest_exports=rng.random() < 0.8,
        delete_at_acs=rng.random() < 0.3,
        preflight=rng.choice(("warn", "enforce", "off")),
        event_topic="https://topic.example/api/events" if rng.random() < 0.3 else None,
        audited=timedelta(days=30) if rng.random() < 0.3 else None,
    )


def _troubles(rng: Random) -> list[Trouble]:
    """Which kinds there are at all; then when, how long and how hard."""
    weight = rng.choice((0.0, 0.1, 0.25, 0.5))
    found: list[Trouble] = []

    def draw(service: str, kind: Kind, rates: tuple[float, ...], most: timedelta, **more: Any) -> None:
        if rng.random() < weight:
            begin = BEGIN + timedelta(minutes=rng.choice((0, 1, 5, 60, 200)))
            length = min(most, timedelta(minutes=rng.choice((2, 20, 60, 240, 1000, 2500))))
            found.append(Trouble(service, kind, begin, begin + length, rng.choice(rates), **more))

    for service in ("acs", "media", "destination", "fallback", "ledger", "queue", "notifier"):
        draw(service, Kind.ERROR, (0.05, 0.3, 1), 5 * HOUR if service in ("ledger", "media", "queue") else 2 * DAY)
        draw(service, Kind.LOST, (0.05, 0.3), 5 * HOUR)
        draw(service, Kind.SLOW, (0.1, 1), 2 * HOUR)
    draw("destination", Kind.REFUSAL, (1,), 2 * DAY, error=rng.choice(REFUSALS))
    draw("fallback", Kind.REFUSAL, (1,), 3 * DAY)
    draw("media", Kind.REFUSAL, (1,), 3 * DAY)
    draw("destination", Kind.REMOVED, (1,), DAY)
    draw("media", Kind.LIES, (0.1, 0.5, 1), 5 * HOUR)
    draw("worker", Kind.CRASH, (0.01, 0.1), 3 * HOUR)
    draw("worker", Kind.CRASH, (0.3,), 2 * MINUTE)
    draw("all", Kind.RESTART, (1,), MINUTE)
    draw("queue", Kind.DOUBLED, (0.1, 1), DAY)
    draw("queue", Kind.VANISHED, (0.1, 1), 5 * HOUR)
    draw("queue", Kind.STALE, (0.1, 1), DAY)
    draw("timer", Kind.BOTH, (1,), DAY)
    return found


def _call(number: int, rng: Random) -> Call:
    begin = BEGIN + timedelta(seconds=rng.choice((1, 1, 30, 3600, 4 * 3600)))
    pieces = []
    for index in range(rng.choice((1, 1, 1, 2, 3))):
        versions = [_media(rng)]
        if rng.random() < 0.06:
            versions.append(_media(rng))
        way = rng.choices(list(WAYS), list(WAYS.values()))[0]
        document = f"{index}-eus-d{number}-{rng.randrange(16**8):08x}"
        pieces.append(Piece(document, index, versions, way, is_stubborn=rng.random() < 0.1))
    call = Call(
        number,
        begin,
        begin + timedelta(seconds=rng.choice((1, 1, 20, 1800))),
        rng.choice((CONTAINER, OTHER)),
        pieces,
        locator=rng.choice(_LOCATORS) if rng.random() < 0.4 else None,
        has_events=rng.random() > 0.03,
    )
    if call.locator is None:
        call.recording_id = recording_id_of(100 + number)
    return call


def _media(rng: Random) -> bytes:
    return rng.choice((mp3(rng.randint(2, 30)), wav(rng.randrange(100, 9000, 2)), mp4()))


# --- what happens


def _happens(world: World, call: Call, truth: Truth) -> None:
    scheduler, rng = world.scheduler, world.rng
    if call.locator:
        scheduler.at(call.begin, lambda: _start(world, call))
    if rng.random() < 0.6:
        late = rng.choice((timedelta(0), 30 * MINUTE))
        scheduler.at(call.begin + late, lambda: world.hosts.event(call_started(call, scheduler.now)))
    scheduler.at(call.end, lambda: _ends(world, call, truth))


def _start(world: World, call: Call) -> None:
    """A client starts the recording; without a good answer it asks again, under the same key."""
    assert call.locator is not None
    locator_id = call.ids[call.locator]
    world.acs.calls.add(locator_id)
    world.acs.connections[call.ids["callConnectionId"]] = call.ids["serverCallId"]
    body = json.dumps({call.locator: locator_id, "containerUrl": str(call.container)}).encode()
    headers = {"content-type": "application/json"}
    if world.rng.random() < 0.8:
        headers["idempotency-key"] = f"key-{call.number}"
    left = iter(range(4))

    def ask() -> None:
        world.hosts.request(lambda: handlers.start_recording(body, headers), answered)

    def answered(answer: Response | None) -> None:
        recording_id = world.acs.recording_of(locator_id)
        call.recording_id = call.recording_id or recording_id
        world.visits[f"start {answer.status if answer else 'no answer'}"] += 1
        if answer is not None and answer.status == 201:
            said = json.loads(answer.body)
            assert said["recordingId"] == recording_id
            call.container_is_certain = call.container_is_certain and "warnings" not in said
            return
        call.container_is_certain = False
        if next(left, None) is not None:
            world.scheduler.at(world.scheduler.now + MINUTE, ask)

    ask()


def _ends(world: World, call: Call, truth: Truth) -> None:
    rng, scheduler = world.rng, world.scheduler
    if call.locator:
        world.acs.calls.discard(call.ids[call.locator])
        call.recording_id = world.acs.recording_of(call.ids[call.locator])
        if call.recording_id is None:
            call.pieces.clear()  # it was never started
            return
        world.acs.states[call.recording_id] = "inactive"
    truth.produce(world, call)
    if not call.has_events:
        return
    named: dict[str, Any] = {} if rng.random() < 0.8 else {"names_recording": False}
    batches = [call.pieces]
    if len(call.pieces) > 1 and rng.random() < 0.4:
        batches = [call.pieces[:1], call.pieces]
    if rng.random() < 0.3:
        batches.append(call.pieces)
    at = call.end + timedelta(minutes=rng.choice((0, 1, 1, 3, 120)))
    if rng.random() < 0.04:
        evil = rng.choice(("https://evil.example/x", "https://stranger.blob.core.windows.net/x/y.mp3"))
        forged = [claim(piece.document, piece.index, contentLocation=evil) for piece in call.pieces]
        nothing = dict.fromkeys(("contentLocation", "metadataLocation", "deleteLocation"))
        forged.append(claim("ghost", 9, **rng.choice(({}, nothing))))
        long_ago = "2026-11-21T00:00:00Z"
        raw = envelope(world, call, forged, recordingStartTime=long_ago)
        scheduler.at(at - 30 * MINUTE * rng.random(), lambda: _deliver(world, raw))
    for pieces in batches:
        scheduler.at(at, lambda pieces=pieces: _tell(world, call, truth, pieces, named))  # type: ignore[misc]
        at += timedelta(minutes=rng.choice((0, 1, 60, 400)))


def _tell(world: World, call: Call, truth: Truth, pieces: list[Piece], named: dict[str, Any]) -> None:
    raw = truth.event(world, call, pieces, **named)

    def taken() -> None:
        for piece in pieces:
            piece.known_at = piece.known_at or world.scheduler.now

    world.hosts.event(raw, on_taken=taken)


def _deliver(world: World, raw: str) -> None:
    world.hosts.event(raw)


def _meddle(world: World, rng: Random, end: Any) -> None:
    """People and other programs: reads, replays, old and foreign messages."""
    for _ in range(rng.choice((0, 0, 1, 3))):
        at = BEGIN + timedelta(minutes=rng.choice((2, 30, 200, 1500)))
        world.scheduler.at(at, lambda: _meddled(world))
    for minutes in rng.sample((3, 10, 40, 130), rng.choice((0, 0, 0, 1, 2))):
        world.scheduler.at(BEGIN + minutes * MINUTE, lambda: by_hand(world))
    for minutes in rng.sample((130, 260, 700, 1500), rng.choice((0, 0, 1, 2, 4))):
        world.scheduler.at(min(end, BEGIN + minutes * MINUTE), lambda: spoil(world))
        world.scheduler.at(BEGIN + (minutes + rng.choice((5, 90))) * MINUTE, lambda: _asked(world))
    if rng.random() < 0.1:
        foreign = rng.choice((b"not a message", b"\xff\xfe", encode_message(WorkItem("0" * 32, "recording"))))
        world.scheduler.at(BEGIN + MINUTE, lambda: world.queue.put(foreign, rng.choice(list(Lane))))


def _meddled(world: World) -> None:
    keys = sorted(world.ledger.documents)
    if not keys:
        return
    key = world.rng.choice(keys)
    chunks = world.ledger.recording(key).chunks
    if chunks and world.rng.random() < 0.3:
        chunk = world.rng.choice(chunks)
        item = WorkItem(key, chunk.key, world.rng.randint(1, chunk.generation))
        world.queue.put(_of_another_version(item, world.rng), world.rng.choice(list(Lane)))
    replays = world.rng.random() < 0.5
    world.hosts.request(
        lambda: handlers.replay_recording(key, {}) if replays else handlers.get_recording(key), lambda _answer: None
    )
    world.hosts.request(lambda: handlers.list_recordings("https://app/api/recordings"), lambda _answer: None)


def _of_another_version(item: WorkItem, rng: Random) -> bytes:
    """A message as this version writes it, or an older one without times and traces, or a newer one with more."""
    plain = json.loads(encode_message(item))
    more = rng.choice(({}, {"trace": "00-" + "a" * 32 + "-" + "b" * 16 + "-01"}, {"version": 2, "weight": [1]}))
    return json.dumps(plain | more).encode()


def _asked(world: World) -> None:
    """A person has one recording, or all, verified or replayed, in earnest or to see what it would do."""
    body = world.rng.choice((_ALL, b'{"dryRun": true}'))
    keys = sorted(world.ledger.documents)
    key = world.rng.choice(keys) if keys else "none"
    act = world.rng.choice(
        (
            lambda: http.verify_recording(key, {}),
            lambda: http.verify_recording(key, {}),
            lambda: http.verify_recordings(body, _JSON),
            lambda: http.replay_recordings(body, _JSON),
            lambda: http.replay_recordings(body, _JSON),
            lambda: http.act_on_recording(key, world.rng.choice(("pause", "resume")), {}),
        )
    )
    world.hosts.request(act, lambda _answer: None)


__all__ = ["CONTAINER", "run_world"]
