"""`GET /api/recordings`: the unfinished ones, nearest deadline first, page by page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.support import plan
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from tests.e2e.support import World


def _pages(world: World, query: str = "") -> list[list[dict[str, Any]]]:
    pages, cursor = [], ""
    while True:
        answer = world.get(f"/api/recordings?limit=2{query}{cursor}")
        assert answer.status == 200, answer.body
        page = answer.json()
        pages.append(page["recordings"])
        if "nextCursor" not in page:
            return pages
        cursor = f"&cursor={page['nextCursor']}"


def test_unfinished_recordings_are_listed_nearest_end_of_the_window_first(world: World) -> None:
    """Finished ones are gone from the list; the pages hold each unfinished one once, in order."""
    done = world.start()
    done.end(plan(5_000)).whole()
    recorded = [world.start() for _ in range(3)]
    world.stack.acs.add_fault(kind="status", status=503, operation="media", recording_id=recorded[2].id)
    recorded[2].end(plan(5_000, export="firewall"))
    recorded[2].wait_for("pending")
    listed = [one for page in _pages(world) for one in page]
    keys = [one["key"] for one in listed]
    assert len(keys) == len(set(keys))
    assert done.key not in keys
    assert {one.key for one in recorded} <= set(keys)
    # By the end of the window; those without an event yet by when they are asked about.
    ends = [(one.get("atRiskFrom") or one["nextDueAt"])[:19] for one in listed]
    assert ends == sorted(ends)
    assert all(len(page) <= 2 for page in _pages(world))
    saving = [one["key"] for page in _pages(world, "&state=saving") for one in page]
    assert recorded[2].key in saving
    assert recorded[0].key not in saving


@pytest.mark.parametrize("query", ["limit=0", "limit=201", "limit=x", "state=complete", "cursor=%25%25", "limit=1.5"])
def test_a_query_that_cannot_be_meant_is_a_400(world: World, query: str) -> None:
    """With the field that is wrong."""
    answer = world.get(f"/api/recordings?{query}")
    assert answer.status == 400, answer.body
    assert answer.json()["errors"][0]["field"] == query.partition("=")[0]


@pytest.mark.parametrize("identity", ["0" * 32, "unknown", "..%2Fopen", "a" * 3000])
def test_a_recording_nobody_heard_of_is_a_404(world: World, identity: str) -> None:
    """Whatever is asked for."""
    answer = world.get(f"/api/recordings/{identity}")
    assert answer.status == 404
    assert answer.json()["code"] == "recording_unknown"


def test_the_sweep_runs_by_hand_and_disturbs_nothing(world: World) -> None:
    """A sweep while a recording runs and another waits for its next try: both stay as they are."""
    running, waiting = world.start(), world.start()
    fault = world.stack.acs.add_fault(kind="status", status=503, operation="media", recording_id=waiting.id)
    waiting.end(plan(5_000, export="firewall"))
    waiting.wait_for("pending")
    before = len(world.logged("sweep.done"))
    assert world.sweep() == 202
    done = eventually(lambda: world.logged("sweep.done")[before:])[0]
    assert done["sent"] == 0
    assert done["open"] >= 2
    assert running.story()["state"] == "started"
    world.stack.acs.faults.remove(fault.fault_id)
    assert waiting.whole()["route"] == "rescued"
