"""`GET /api/recordings`: the unfinished ones, nearest deadline first, page by page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

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


def _keys(world: World, query: str) -> list[str]:
    return [one["key"] for page in _pages(world, query) for one in page]


def test_finished_recordings_are_listed_newest_first_and_found_by_every_id(world: World) -> None:
    """Page by page, each once; by state, route, container, period and the ids of the recording and its call."""
    recorded = [world.start() for _ in range(3)]
    for one in recorded[:2]:
        one.end(plan(5_000)).whole()
    recorded[2].end(plan(5_000, export="role-missing")).whole()
    keys = [one.key for one in reversed(recorded)]
    for query in ("&state=finished", "&state=complete", "&state=all&order=newest"):
        pages = _pages(world, query)
        assert all(len(page) == 2 for page in pages[:-1])
        listed = [one["key"] for page in pages for one in page]
        assert len(listed) == len(set(listed))
        assert [key for key in listed if key in keys] == keys
    assert keys[0] in _keys(world, "&route=rescued")
    assert keys[1] not in _keys(world, "&route=rescued")
    started = recorded[0].story()
    assert _keys(world, f"&container={started['containerUrl']}&state=complete")[: len(keys)] == keys
    assert keys[0] not in _keys(world, f"&to={started['createdAt']}")
    assert set(keys) <= set(_keys(world, f"&from={started['createdAt']}"))
    ids = {name: started[name] for name in ("recordingId", "callId", "serverCallId")}
    for name, value in ids.items():
        assert _keys(world, f"&{name}={quote(value, safe='')}") == [recorded[0].key], name


def test_a_recording_shows_what_was_asked_for_and_what_became_of_it(world: World) -> None:
    """What the start said, both ends of the window while it lasts, every attempt's error, and how it was proved."""
    recorded = world.start(recordingFormat="wav", recordingChannel="unmixed", recordingContent="audio")
    started = recorded.story()["started"]
    assert started["locator"] == {"kind": "serverCallId", "id": recorded.call.server_call_id}
    assert (started["recordingFormat"], started["recordingChannel"], started["recordingContent"]) == (
        "wav",
        "unmixed",
        "audio",
    )
    assert started["containerUrl"] == recorded.started["containerUrl"]
    fault = world.stack.acs.add_fault(kind="status", status=503, operation="media", recording_id=recorded.id)
    recorded.end(plan(5_000, export="firewall"))
    eventually(lambda: len(recorded.chunk().get("errors", [])) >= 2)
    story = recorded.story()
    assert (story["cause"], story["blame"]) == ("media_unavailable", "acs")
    assert story["atRiskFrom"] < story["abandonAfter"]
    assert {error["step"] for error in story["chunks"][0]["errors"]} == {"fetch"}
    assert recorded.key in _keys(world, "&cause=media_unavailable")
    world.stack.acs.faults.remove(fault.fault_id)
    done = recorded.whole()
    assert done["attempts"] == len(done["chunks"][0]["errors"]) + 1 or done["attempts"] > 8
    assert done["bytesDone"] == done["bytesTotal"] == done["size"]
    assert "cause" not in done


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


def test_what_holds_recordings_up_is_grouped_and_what_became_of_them_counted(world: World) -> None:
    """A media store that is away: one cause, with a hint; then it is rescued, and counted as that."""
    before = world.get("/api/statistics").json()["buckets"][-1]
    recorded = world.start()
    fault = world.stack.acs.add_fault(kind="status", status=503, operation="media", recording_id=recorded.id)
    recorded.end(plan(5_000, export="firewall"))
    eventually(lambda: recorded.story().get("cause"))
    groups = world.get("/api/causes").json()["causes"]
    [group] = [one for one in groups if one["cause"] == "media_unavailable"]
    assert recorded.key in group["sample"]
    assert group["hint"]
    world.stack.acs.faults.remove(fault.fault_id)
    recorded.whole()
    after = world.get("/api/statistics?days=31").json()
    assert len(after["buckets"]) == 31
    assert after["buckets"][-1]["rescued"] >= before["rescued"] + 1
    assert after["eventToSafe"]["count"] >= 1
    assert world.get("/api/statistics?days=32").status == 400
    assert world.get("/api/causes?x=1").status == 400
