"""One world from a seed."""

from __future__ import annotations

from datetime import timedelta
from random import Random
from typing import TYPE_CHECKING, Any

from shared.domain.locations import ContainerUrl
from tests.simulation.invariants import Truth, check_always, check_end
from tests.simulation.world import BEGIN, SimWorld, Trouble
from tests.support.fakes import ACCOUNT, settings
from tests.unit.rig import DAY, HOUR, MEDIA, MINUTE, claim, event, mp3, mp4, wav

if TYPE_CHECKING:
    from shared.app import App
    from shared.settings import Settings

CONTAINER = ContainerUrl.parse(f"{ACCOUNT}/recordings")
_SERVICES = ("acs", "media", "destination", "fallback", "ledger", "queue", "notifier")
_WAYS = ("failed", "exported", "silent", "claimed_late", "claimed_never", "late", "gone")


def run_world(seed: int) -> SimWorld:
    """Runs the world of that seed to its end; AssertionError where an invariant does not hold."""
    rng = Random(seed)  # noqa: S311 - reproducible, and nothing secret
    world = SimWorld(
        seed, processes=rng.randint(1, 3), troubles=_troubles(rng), crash_at=_crashes(rng), settings=_settings(rng)
    )
    truths, events = _recording(world, rng)
    for delay, raw in events:
        world.live(delay)
        world.deliver_event(raw)
        check_always(world)
    for _ in range(30):
        world.live(2 * HOUR)
        check_always(world)
        if rng.random() < 0.05:
            key = next(iter({*world.rig.ledger.open, *world.rig.ledger.closed}))
            _replay(world, key)
        if not world.rig.ledger.open:
            break
    world.clear()
    _settle(world)
    check_end(world, truths)
    return world


def _settle(world: SimWorld) -> None:
    """The troubles are over: a person has mended all, and replays what was given up."""
    world.live(2 * HOUR)
    for key in {*world.rig.ledger.open, *world.rig.ledger.closed}:
        if world.rig.ledger.recording(key).chunks:
            _replay(world, key)
    world.live(4 * DAY)


def _replay(world: SimWorld, key: str) -> None:
    def act(app: App) -> None:
        app.replay.replay(key)

    world.function(act)


def _settings(rng: Random) -> Settings:
    return settings(
        places=(CONTAINER,),
        block_bytes=rng.choice((600, 4000)),
        delivery_window=timedelta(days=rng.choice((1, 3))),
        digest_exports=rng.random() < 0.8,
    )


def _troubles(rng: Random) -> list[Trouble]:
    """Swarm style: each world draws which kinds of trouble it has at all."""
    found = []
    for service in rng.sample(_SERVICES, rng.randint(0, 4)):
        begin = BEGIN + timedelta(minutes=rng.choice((0, 0, 10, 120)))
        length = timedelta(minutes=rng.choice((5, 60, 300, 1200)))
        found.append(Trouble(service, rng.choice(("error", "lost")), begin, begin + length, rng.choice((0.1, 0.4, 1))))
    if rng.random() < 0.3:
        length = timedelta(hours=rng.choice((1, 10, 30)))
        found.append(Trouble("destination", "refusal", BEGIN, BEGIN + length, 1))
    if rng.random() < 0.3:
        found.append(Trouble("worker", "crash", BEGIN, BEGIN + 2 * HOUR, rng.choice((0.02, 0.1))))
    # A ledger that takes nothing for a day is no world in which anything can be promised.
    return [
        one
        for one in found
        if not (one.service in ("ledger", "media") and one.rate == 1 and one.end > BEGIN + 5 * HOUR)
    ]


def _crashes(rng: Random) -> frozenset[int]:
    return frozenset(rng.sample(range(1, 150), rng.choice((0, 0, 1, 3))))


def _recording(world: SimWorld, rng: Random) -> tuple[list[Truth], list[tuple[timedelta, str]]]:
    """ACS's side: what there is of the chunks, and the events about them with the time before each."""
    truths: list[Truth] = []
    claims: list[dict[str, Any]] = []
    for index in range(rng.choice((1, 1, 2, 3))):
        document = f"doc-{index}"
        data = rng.choice((mp3(rng.randint(2, 30)), wav(rng.randrange(100, 9000, 2)), mp4()))
        way = rng.choices(_WAYS, (50, 15, 8, 8, 8, 8, 5))[0]
        claims.append(_chunk(world, rng, (document, index, way), data))
        truths.append(Truth(document, data, is_kept=way != "gone"))
    sparse: dict[str, Any] = {"recordingFormatType": None} if rng.random() < 0.5 else {}
    whole = event(*claims, **sparse)
    events = [(timedelta(0), whole)]
    if len(claims) > 1 and rng.random() < 0.4:
        events = [(timedelta(0), event(*claims[:1], **sparse)), (rng.choice((MINUTE, 5 * HOUR)), whole)]
    if rng.random() < 0.3:
        events.append((rng.choice((timedelta(0), HOUR)), whole))
    return truths, events


def _chunk(world: SimWorld, rng: Random, what: tuple[str, int, str], data: bytes) -> dict[str, Any]:
    document, index, way = what
    rig = world.rig
    form = "wav" if data.startswith(b"RIFF") else "mp4" if data[4:8] == b"ftyp" else "mp3"
    kind = f"audio{form}" if form != "mp4" else "audiovideomp4"
    folder = "20261122/call-1/rec-1-acs"
    name = f"{folder}/{index}-{kind}.{document}.{form}"
    if way != "gone":
        rig.put_media(document, data)
    if way in ("exported", "silent"):
        rig.destination.put(name, data, content_type="audio/mpeg", overwrite=True)
        rig.destination.put(
            f"{folder}/{index}-acsmetadata.{document}.json", b"{}", content_type="application/json", overwrite=True
        )
    if way in ("exported", "claimed_late", "claimed_never"):
        return claim(document, index, contentLocation=CONTAINER.blob_url(name))
    if rng.random() < 0.3:
        return claim(document, index, contentLocation=None)
    if rng.random() < 0.2:
        return claim(document, index, deleteLocation=f"{MEDIA}/{document}")
    return claim(document, index)
