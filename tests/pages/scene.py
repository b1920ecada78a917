"""A small world to look at: one recording in each state that can be had in seconds, and a rejected event."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.e2e.support import ARCHIVE, Recorded, World, plan
from tests.e2e.test_replay import _days_pass
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Callable

SECOND = "second-archive"
MARKUP = "<img src=x onerror=alert(1)><script>alert(2)</script>"


@dataclass(frozen=True)
class Scene:
    """`exported` is complete; `held` and `held_too` wait in the fallback for a container that is gone; `saving` waits
    for media that ACS does not give; `running` has no event yet; `lost` is lost.
    """

    world: World
    exported: Recorded
    held: Recorded
    held_too: Recorded
    saving: Recorded
    running: Recorded
    lost: Recorded

    def of(self, identity: str) -> dict[str, Any]:
        """A recording as the API shows it."""
        answer: dict[str, Any] = self.world.get(f"/api/recordings/{identity}").json()
        return answer


def _is(recorded: Recorded, wanted: Callable[[dict[str, Any]], object]) -> None:
    eventually(lambda: wanted(recorded.story()), what=f"that of {recorded.key}")


def rejected_event(reason: str = MARKUP) -> dict[str, Any]:
    """An event about a recording that names no chunk: kept, and not used. `reason` is a text in it."""
    return {
        "id": "rejected-1",
        "subject": f"/recording/call/{reason}/recordingId/x",
        "eventType": "Microsoft.Communication.RecordingFileStatusUpdated",
        "eventTime": "2026-11-24T00:00:00Z",
        "dataVersion": "1.0",
        "data": {"recordingStorageInfo": {"recordingChunks": []}, "sessionEndReason": reason},
    }


def build(world: World) -> Scene:
    """Makes it happen, by the app's own API and the emulator's faults."""
    acs = world.stack.acs
    exported = world.start().end(plan(400_000, 120_000))
    _is(exported, lambda story: story.get("closedAt"))
    held, held_too = (world.start(containerUrl=world.url(ARCHIVE)) for _ in range(2))
    world.blobs.delete_container(ARCHIVE)
    held.end(plan(1_500_000, 300_000))
    held_too.end(plan(700_000))
    for one in (held, held_too):
        _is(one, lambda story: story["state"] == "safe" and any(chunk.get("lastError") for chunk in story["chunks"]))
    lost, saving = world.start(recordingFormat="mp3"), world.start()
    fault = acs.add_fault(kind="status", status=404, operation="media", recording_id=lost.id)
    acs.add_fault(kind="status", status=503, operation="media", recording_id=saving.id)
    lost.end(plan(90_000, export="firewall"))
    saving.end(plan(5_000_000, export="service-outage"))
    _is(lost, lambda story: story["attempts"])
    _days_pass(lost, 2)
    _is(lost, lambda story: story["state"] == "lost")
    acs.faults.remove(fault.fault_id)
    _is(saving, lambda story: any(chunk.get("lastError") for chunk in story["chunks"]))
    running = world.start()
    assert world.deliver(rejected_event()) == 202
    return Scene(world, exported, held, held_too, saving, running, lost)
