"""A process dies before and after every effect of a short story; queue and sweep recover; everything is as without it.

Each story runs once undisturbed, which counts its effects; then once for each of them, with the crash there. Those
that go on for days repeat themselves: of those every n-th effect is taken, and all of the first ones.
"""

from __future__ import annotations

import hashlib
import json
import logging
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from shared.api.query import parse_query
from shared.domain.codec import decode
from shared.domain.errors import Blame, StorageAccessDenied
from shared.domain.recording import ChunkState, Recording, RecordingState
from shared.intake.event import CALL_STARTED
from tests.simulation.invariants import check_always
from tests.simulation.run import CONTAINER
from tests.simulation.sequence import BEGIN, SimWorld, Trouble
from tests.support.fakes import settings
from tests.unit.rig import DAY, HOUR, claim, event, mp3, wav

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from shared.app import App

S = ChunkState
_OF_CALL = "/recording/call/call-1/serverCallId/server-1"
_BLOB = "20261122/call-1/rec-1-acs/0-audiomp3.doc-0.mp3"
_METADATA = "20261122/call-1/rec-1-acs/0-acsmetadata.doc-0.json"
# So many crash points a story at the most; fewer where it makes hundreds of attempts.
_MOST, _MOST_OF_LONG = 60, 10


@dataclass(frozen=True)
class Story:
    """`play` is what happens in the world; `states` the chunks' in the end, by document; `alerts`: those owed at least.

    `kept`: documents whose copy stays in the fallback; `are_linked`: two records name each other.
    """

    play: Callable[[SimWorld], None]
    states: dict[str, ChunkState]
    alerts: frozenset[str] = frozenset()
    kept: frozenset[str] = frozenset()
    are_linked: bool = False


TOPIC = "https://events.westeurope-1.eventgrid.azure.net/api/events"
DATA = {"doc-0": mp3(9), "doc-1": wav(3000)}


def _two_fetched(world: SimWorld) -> None:
    world.rig.put_media("doc-0", DATA["doc-0"])
    world.rig.put_media("doc-1", DATA["doc-1"])
    world.deliver_event(event(claim(), claim("doc-1", 1)))
    world.live(2 * DAY)


def _export_there(world: SimWorld) -> None:
    world.rig.destination.put(_BLOB, DATA["doc-0"], content_type="audio/mpeg", overwrite=False)
    world.rig.destination.put(_METADATA, b"{}", content_type="application/json", overwrite=False)
    world.deliver_event(event(claim(contentLocation=CONTAINER.blob_url(_BLOB))))
    world.live(2 * DAY)


def _export_missing(world: SimWorld) -> None:
    world.rig.put_media("doc-0", DATA["doc-0"])
    world.deliver_event(event(claim(contentLocation=CONTAINER.blob_url(_BLOB))))
    world.live(2 * DAY)


def _refused_for_a_day(world: SimWorld) -> None:
    world.troubles.append(Trouble("destination", "refusal", BEGIN, BEGIN + DAY, 1))
    world.rig.put_media("doc-0", DATA["doc-0"])
    world.deliver_event(event(claim()))
    world.live(4 * DAY)


def _refused_for_ever(world: SimWorld) -> None:
    world.rig.destination.refusal = StorageAccessDenied("403", blame=Blame.DESTINATION)
    world.rig.put_media("doc-0", DATA["doc-0"])
    world.deliver_event(event(claim()))
    world.live(6 * DAY)


def _copy_removed(world: SimWorld) -> None:
    """A person removes the copy in the fallback while the destination refuses; ACS still has the media."""
    world.troubles.append(Trouble("destination", "refusal", BEGIN, BEGIN + 4 * HOUR, 1))
    world.rig.put_media("doc-0", DATA["doc-0"])
    world.deliver_event(event(claim()))
    world.live(3 * HOUR)
    world.rig.fallback.blobs.clear()
    world.live(4 * DAY)


def _lost(world: SimWorld) -> None:
    """The event of a start of this app's own, so that the chunk counts as confirmed; ACS never gives the media."""
    _started(world, "serverCallId", "server-1")
    world.deliver_event(event(claim(), subject=_OF_CALL))
    world.live(3 * DAY)


def _one_lost_of_two(world: SimWorld) -> None:
    _started(world, "serverCallId", "server-1")
    world.rig.put_media("doc-1", DATA["doc-1"])
    world.deliver_event(event(claim(), claim("doc-1", 1), subject=_OF_CALL))
    world.live(3 * DAY)


def _unmatched_then_joined(world: SimWorld) -> None:
    """Started for a group; the event names the call alone, and CallStarted, which joins the two, comes after it."""
    _started(world, "groupCallId", "group-1")
    world.rig.put_media("doc-0", DATA["doc-0"])
    world.deliver_event(event(claim(), subject=_OF_CALL))
    world.live(HOUR)
    data = {"serverCallId": "server-1", "group": {"id": "group-1"}, "startedBy": {}}
    envelope = {"id": "c", "topic": "/acs", "subject": "call", "eventType": CALL_STARTED, "dataVersion": "1.0"}
    world.deliver_event(json.dumps(envelope | {"eventTime": "2026-11-22T11:59:00Z", "data": data}))
    world.live(6 * DAY)


def _deleted_then_replayed(world: SimWorld) -> None:
    """The file is deleted, a verification finds that, and a replay fetches it again."""
    _rescued(world)
    name = next(name for name, blob in world.rig.destination.blobs.items() if blob.data == DATA["doc-0"])
    del world.rig.destination.blobs[name]
    _asked(world, lambda app: app.verification.verify("rec-1"))
    world.live(HOUR)
    _asked(world, lambda app: app.replay.replay("rec-1"))
    world.live(2 * DAY)


def _overwritten_and_restored(world: SimWorld) -> None:
    """One byte differs: only its digest tells. The file is put back, and a verification ends the damage."""
    _rescued(world)
    blobs = world.rig.destination.blobs
    name = next(name for name, blob in blobs.items() if blob.data == DATA["doc-0"])
    blobs[name] = replace(blobs[name], data=DATA["doc-0"][:-1] + b"x", etag="other")
    _asked(world, lambda app: app.verification.verify("rec-1"))
    world.live(HOUR)
    blobs[name] = replace(blobs[name], data=DATA["doc-0"], etag="restored")
    _asked(world, lambda app: app.verification.verify("rec-1"))
    world.live(2 * DAY)


def _overwritten_for_good(world: SimWorld) -> None:
    """ACS has nothing any more: the damage stays, and no replay calls it a loss."""
    _rescued(world)
    world.rig.drop_media()
    world.live(2 * DAY)
    blobs = world.rig.destination.blobs
    name = next(name for name, blob in blobs.items() if blob.data == DATA["doc-0"])
    blobs[name] = replace(blobs[name], data=b"other", etag="other")
    _asked(world, lambda app: app.verification.verify("rec-1"))
    _asked(world, lambda app: app.replay.replay("rec-1"))
    world.live(2 * DAY)


def _rescued(world: SimWorld) -> None:
    world.rig.put_media("doc-0", DATA["doc-0"])
    world.deliver_event(event(claim()))
    world.live(HOUR)


def _asked(world: SimWorld, call: Callable[[App], object]) -> None:
    """A caller asks until it has an answer."""

    def ask(app: App) -> None:
        call(app)

    while not world.function(ask):
        pass


def _started(world: SimWorld, locator: str, identity: str) -> None:
    world.rig.acs.calls.add(identity)
    body = {locator: identity, "containerUrl": str(CONTAINER)}

    def start(app: App) -> None:
        app.start.start(body, idempotency_key="one")

    while not world.function(start):
        pass
    for known in world.rig.acs.states:
        world.rig.acs.states[known] = "inactive"


STORIES = {
    "two chunks fetched": Story(_two_fetched, {"doc-0": S.RESCUED, "doc-1": S.RESCUED}),
    "export there": Story(_export_there, {"doc-0": S.EXPORTED}),
    "export missing": Story(_export_missing, {"doc-0": S.RESCUED}, frozenset({"export_not_found"})),
    "destination refuses for a day": Story(
        _refused_for_a_day, {"doc-0": S.DELIVERED}, frozenset({"storage_access_denied"})
    ),
    "destination refuses for ever": Story(
        _refused_for_ever,
        {"doc-0": S.UNDELIVERABLE},
        frozenset({"storage_access_denied", "delivery_given_up"}),
        frozenset({"doc-0"}),
    ),
    "fallback copy removed": Story(_copy_removed, {"doc-0": S.RESCUED}, frozenset({"fallback_missing"})),
    "lost": Story(_lost, {"doc-0": S.LOST}, frozenset({"deadline", "lost"})),
    "one lost of two": Story(_one_lost_of_two, {"doc-0": S.LOST, "doc-1": S.RESCUED}, frozenset({"deadline", "lost"})),
    "deleted, then replayed": Story(_deleted_then_replayed, {"doc-0": S.RESCUED}, frozenset({"damaged"})),
    "overwritten, then restored": Story(_overwritten_and_restored, {"doc-0": S.RESCUED}, frozenset({"damaged"})),
    "overwritten for good": Story(_overwritten_for_good, {"doc-0": S.DAMAGED}, frozenset({"damaged"})),
    "unmatched, then joined": Story(
        _unmatched_then_joined, {"doc-0": S.RESCUED}, frozenset({"event_overdue", "no_event"}), are_linked=True
    ),
}


def _world(crash_at: frozenset[int]) -> SimWorld:
    given = settings(places=(CONTAINER,), block_bytes=4000, delivery_window=timedelta(days=1), event_topic=TOPIC)
    return SimWorld(1, processes=2, crash_at=crash_at, settings=given)


def _played(story: Story, crash_at: frozenset[int] = frozenset()) -> SimWorld:
    world = _world(crash_at)
    story.play(world)
    check_always(world)
    return world


def _check(world: SimWorld, story: Story) -> None:
    """Nothing owed, no lease, the right bytes once, every alert published, the expected end."""
    rig = world.rig
    assert not rig.ledger.open
    assert not rig.queue.waiting
    assert not rig.queue.poison
    recordings = [decode(Recording, data) for data, _ in rig.ledger.closed.values()]
    chunks = {chunk.document_id: chunk for recording in recordings for chunk in recording.chunks}
    assert {document: chunk.state for document, chunk in chunks.items()} == story.states
    for document, chunk in chunks.items():
        assert chunk.lease is None
        assert not chunk.leftovers
        if chunk.is_safe:
            container = rig.fallback if document in story.kept else rig.destination
            name = chunk.fallback_blob if document in story.kept else chunk.blob
            assert container.blobs[name or ""].data == DATA[document]
            assert chunk.sha256 == hashlib.sha256(DATA[document]).hexdigest()
            assert [blob.data for blob in rig.destination.blobs.values()].count(DATA[document]) == int(
                document not in story.kept
            )
    kept = {chunks[document].fallback_blob for document in story.kept}
    media = {name for name in rig.fallback.blobs if "acsmetadata" not in name}
    assert media == kept, "copies in the fallback"
    for recording in recordings:
        published = {alert.seq for _, key, alert in rig.notifier.alerts if key == recording.key}
        assert published == set(range(1, recording.alert_count + 1)), "an alert or event was never published"
        news = {(alert.seq, name) for name, key, alert in rig.notifier.alerts if key == recording.key}
        stored = [seq for seq, name in news if name == "stored"]
        was_whole = recording.state in (RecordingState.COMPLETE, RecordingState.DAMAGED)
        damaged = [seq for seq, name in news if name == "damaged"]
        assert int(was_whole) <= len(stored) <= int(was_whole) * (1 + len(damaged)), "one fact, and one a repair"
        begun = [seq for seq, name in news if name == "rescue_started"]
        assert len(begun) == sum(chunk.state is not S.EXPORTED for chunk in recording.chunks)
    query = parse_query([("state", "finished")])
    listed = [one["key"] for one in world.apps[0].listing.page(query)["recordings"]]
    assert sorted(listed) == sorted(recording.key for recording in recordings), "lists leave something out"
    if story.are_linked:
        one, other = recordings
        assert (one.links, other.links) == ((other.key,), (one.key,))
    assert story.alerts <= {name for name, _, _ in rig.notifier.alerts}


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    logger = logging.getLogger("recorder")
    before = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    yield
    logger.setLevel(before)


def _points(count: int) -> list[int]:
    """All of the first effects, and as many of the others as are allowed, evenly."""
    most = _MOST if count <= 2 * _MOST else _MOST_OF_LONG
    first = list(range(1, min(count, most // 2) + 1))
    others = list(range(len(first) + 1, count + 1))
    return first + others[:: max(1, -(-len(others) // (most - len(first))))]


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", STORIES)
def test_a_crash_at_any_effect_changes_nothing(name: str) -> None:
    """However the process dies, the end is the same, and no alert is missing."""
    story = STORIES[name]
    undisturbed = _played(story)
    _check(undisturbed, story)
    assert undisturbed.changes > 10
    failures = []
    for point in _points(undisturbed.changes):
        world = _played(story, frozenset({point}))
        assert world.crashes == 1, f"no crash at {point}"
        try:
            _check(world, story)
        except AssertionError as error:
            failures.append(f"{world.trace}: {error}"[:600])
    assert not failures, f"{len(failures)} crashes: " + "\n".join(failures[:5])
