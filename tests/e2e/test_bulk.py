"""`POST /api/replays` and `POST /api/verifications` over the real stack, after a container was mended."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any

from tests.e2e.support import ARCHIVE, plan
from tests.local.host.support import call
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from tests.e2e.support import Recorded, World


def post(world: World, path: str, body: Any, *, status: int = 200) -> dict[str, Any]:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {"content-type": "application/json"}
    answer = call(world.stack.host_url, f"/api/{path}", method="POST", body=data, headers=headers)
    assert answer.status == status, answer.body
    found: dict[str, Any] = answer.json()
    return found


def has_cause(recorded: Recorded, cause: str) -> bool:
    return bool(recorded.story().get("cause") == cause)


def is_read(recorded: Recorded) -> bool:
    return "sha256" in recorded.chunk().get("check", {})


def test_what_waits_for_a_container_goes_on_when_it_is_mended(world: World) -> None:
    """Three recordings fail on one container; it is made again, and one call sets all of them going."""
    world.blobs.delete_container(ARCHIVE)
    url = world.url(ARCHIVE)
    try:
        waiting = [world.start(containerUrl=url).end(plan(40_000)) for _ in range(3)]
        other = world.start()
        for recorded in waiting:
            recorded.wait_for("in_fallback")
            eventually(partial(has_cause, recorded, "container_missing"), what="the cause")
    finally:
        world.blobs.create_container(ARCHIVE)
    selected = {"cause": "container_missing", "container": url, "state": "unfinished"}
    dry = post(world, "replays", selected)
    keys = {recorded.key for recorded in waiting}
    assert (dry["dryRun"], dry["matched"]) == (True, 3)
    assert {one["key"] for one in dry["results"]} == keys
    assert all("replayed" not in {entry["kind"] for entry in one.story()["timeline"]} for one in waiting)
    first = post(world, "replays", selected | {"dryRun": False, "limit": 2})
    second = post(world, "replays", selected | {"dryRun": False, "cursor": first["nextCursor"]})
    handled = [one["key"] for one in first["results"] + second["results"]]
    assert len(first["results"]) == 2
    assert sorted(handled) == sorted(keys)
    for recorded in waiting:
        story = recorded.whole()
        assert story["state"] == "complete"
        assert "container_missing" in story["alerts"]
    other.end(plan(40_000)).whole()
    # And all of them are verified by their period.
    since = min(str(recorded.story()["createdAt"]) for recorded in waiting)
    period = {"from": since, "container": url, "state": "complete"}
    assert [one["outcome"] for one in post(world, "verifications", period)["results"]] == ["would_look"] * 3
    looked = post(world, "verifications", period | {"dryRun": False})
    assert {(one["outcome"], one["digest"]) for one in looked["results"]} == {("intact", "pending")}
    for recorded in waiting:
        eventually(partial(is_read, recorded), what="the digest")


def test_a_body_that_cannot_be_used_is_a_problem_that_names_every_fault(world: World) -> None:
    for path in ("replays", "verifications"):
        bad = post(world, path, {"state": "odd", "dryRun": 1, "more": 2}, status=400)
        assert {fault["field"] for fault in bad["errors"]} == {"state", "dryRun", "more"}
        assert post(world, path, b"{", status=400)["code"] == "not_json"
        assert post(world, path, b"")["dryRun"] is True
