"""Recordings of which no event came, and what ACS leaves in the container."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from tests.support.fakes import CONTAINER, World, settings
from tests.unit.builders import HOUR

if TYPE_CHECKING:
    from shared.domain.locations import ContainerUrl
    from shared.domain.recording import Recording

FOLDER = "20261122/call-1/eyJQbGF0-acs"
MINUTE = timedelta(minutes=1)


def begun(*, container: ContainerUrl = CONTAINER) -> tuple[World, str]:
    """A recording started at noon, and its key."""
    world = World(settings(places=[container]))
    world.acs.calls.add("call")
    return world, world.app().start.start({"serverCallId": "call"}, idempotency_key=None).answer["key"]


def swept(world: World, key: str, *, after: timedelta = 5 * HOUR, **ports: Any) -> Recording:
    """The recording as two looks leave it: the second comes when its event had time to arrive."""
    world.clock.advance(after)
    world.app(**ports).sweep.run()
    if world.ledger.recording(key).check_at == world.clock.now() + QUARTER:
        world.clock.advance(QUARTER)
        world.app(**ports).sweep.run()
    return world.ledger.recording(key)


def ended(world: World) -> None:
    world.acs.states = dict.fromkeys(world.acs.states, "inactive")


QUARTER = timedelta(minutes=15)
BEGAN = "2026-11-22T12:00:05.1234567Z"


def export(
    world: World,
    folder: str = FOLDER,
    *,
    indices: tuple[int, ...] = (0,),
    start: Any = BEGAN,
    ending: str = "mp3",
    **told: Any,
) -> None:
    """What ACS leaves in the container."""
    for index in indices:
        metadata = {"chunkDocumentId": f"d{index}", "chunkIndex": index, "chunkStartTime": start} | told
        data = json.dumps(metadata).encode()
        for name, content in ((f"{index}-audiomp3.{ending}", b"ID3"), (f"{index}-acsmetadata.json", data)):
            world.destination.put(f"{folder}/{name}", content, content_type="x", overwrite=True)


def adopted(world: World) -> int:
    return sum(bool(world.ledger.recording(key).chunks) for key in world.ledger.documents)
