"""`POST /api/recordings/{recordingId}/replay`: an operator has mended something, and the recording goes on now."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest
from azure.core import MatchConditions
from azure.core.exceptions import ResourceModifiedError

from tests.e2e.support import ARCHIVE, plan
from tests.local.host.support import Answer, call
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from tests.e2e.support import Recorded, World


def _replay(world: World, identity: str, body: bytes = b"") -> Answer:
    path = f"/api/recordings/{quote(identity, safe='')}/replay"
    return call(world.stack.host_url, path, method="POST", body=body)


def _days_pass(recorded: Recorded, days: int) -> None:
    """As if the recording were so much older: nobody waits for that. Workers see by the ETag that it was changed."""
    document = recorded.world.blobs.get_blob_client("recording-ledger", f"open/{recorded.key}.json")

    def is_written() -> bool:
        found = document.download_blob()
        kept = json.loads(found.readall())
        past = (datetime.now(UTC) - timedelta(days=days)).isoformat()
        for chunk in kept["chunks"]:
            chunk |= {"reportedAt": past, "atRiskFrom": past, "abandonAfter": past, "isLastAttemptDone": True}
        same, data = MatchConditions.IfNotModified, json.dumps(kept)
        try:
            document.upload_blob(data, overwrite=True, etag=found.properties.etag, match_condition=same)
        except ResourceModifiedError:  # a worker was faster
            return False
        return True

    eventually(is_written, what="a write of the ledger's document")


def _is_logged(world: World, recorded: Recorded, count: int) -> bool:
    return len(world.logged("alert.delivery_given_up", recording=recorded.key)) >= count


def _closed(recorded: Recorded) -> dict[str, object] | None:
    story = recorded.story()
    return story if story.get("closedAt") else None


def test_a_delivery_that_was_given_up_goes_on_when_its_container_is_mended(world: World) -> None:
    """One more try for each replay, said again where it fails; once it is delivered nothing is left to do."""
    world.blobs.delete_container(ARCHIVE)
    recorded = world.start(containerUrl=world.url(ARCHIVE))
    recorded.end(plan(1_700_000))
    # The rescue and the first delivery have failed; seconds pass before the next one.
    eventually(lambda: recorded.chunk().get("state") == "in_fallback" and recorded.chunk()["attempts"] == 2)
    _days_pass(recorded, 8)
    for count in (1, 2):
        assert _replay(world, recorded.key).status == 202
        given_up = eventually(lambda: _closed(recorded), what="the end of the tries")
        assert (given_up["state"], given_up["chunkStates"]) == ("safe", {"undeliverable": 1})
        eventually(lambda: "delivery_given_up" in recorded.story()["alerts"], what="the alert")
        # The alert is owed in the document, and published by a message of its own.
        eventually(partial(_is_logged, world, recorded, count))
    world.blobs.create_container(ARCHIVE)
    answer = _replay(world, recorded.id, b"whatever is sent")
    story = answer.json()
    assert (answer.status, story["key"], story["replay"]["outcome"]) == (202, recorded.key, "going")
    assert "closedAt" not in story
    assert recorded.key in [one["key"] for one in world.get("/api/recordings?limit=200").json()["recordings"]]
    story = recorded.whole()
    assert (story["route"], story["chunkStates"]) == ("delivered", {"delivered": 1})
    assert recorded.manifest()["state"] == "complete"
    # The fallback is cleaned by a step of its own, which holds the close up no longer.
    eventually(lambda: not world.names("recording-fallback", recorded.key))
    eventually(lambda: world.names("recording-ledger", f"open/{recorded.key}") == [])
    again = _replay(world, recorded.key)
    assert (again.status, again.json()["replay"]["reason"]) == (200, "nothing to do: in place")
    assert [one["outcome"] for one in world.logged("recording.replayed", recording=recorded.key)] == ["going"] * 3


def test_a_lost_recording_is_found_when_its_file_is_there_after_all(world: World) -> None:
    """No event names it; the loss is alerted once."""
    recorded = world.start()
    fault = world.stack.acs.add_fault(kind="status", status=404, operation="media", recording_id=recorded.id)
    recorded.end(plan(90_000, export="firewall"))
    eventually(lambda: recorded.story()["attempts"])
    _days_pass(recorded, 2)
    lost = eventually(lambda: _closed(recorded), what="the end of the tries")
    assert lost["state"] == "lost"
    assert "lost" in recorded.story()["alerts"]
    world.stack.acs.faults.remove(fault.fault_id)
    assert _replay(world, recorded.key).status == 202
    assert eventually(lambda: _closed(recorded), what="the end of the look")["state"] == "lost"
    world.stack.acs.late_export(recorded.id)
    assert _replay(world, recorded.key).status == 202
    eventually(lambda: _closed(recorded), what="the end of the look")
    assert recorded.whole()["route"] == "exported"
    assert recorded.manifest()["state"] == "complete"
    eventually(lambda: len(world.logged("alert.lost", recording=recorded.key)) == 1)


@pytest.mark.parametrize("identity", ["0" * 32, "unknown", "../open", "a" * 3000])
def test_a_recording_nobody_heard_of_is_a_404(world: World, identity: str) -> None:
    """Whatever is asked for, and nothing is set going."""
    answer = _replay(world, identity)
    assert answer.status == 404
    assert answer.headers["content-type"].startswith("application/problem+json")
    assert answer.json()["code"] == "recording_unknown"


def test_a_recording_that_runs_is_asked_for_and_runs_on(world: World) -> None:
    """And it is rescued as ever when its call ends."""
    recorded = world.start()
    answer = _replay(world, recorded.id)
    assert (answer.status, answer.json()["state"]) == (202, "started")
    assert eventually(lambda: {"still_recording"} & {entry["kind"] for entry in recorded.story()["timeline"]})
    recorded.end(plan(50_000, export="firewall"))
    assert recorded.whole()["route"] == "rescued"
