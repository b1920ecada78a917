"""Stop, pause, resume, by the app's API; who asked is in the timeline."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

from tests.local.host.support import call

if TYPE_CHECKING:
    from tests.e2e.support import World
    from tests.local.host.support import Answer

OBJECT_ID = "00000000-0000-0000-0000-00000000abcd"
_PRINCIPAL = {"auth_typ": "aad", "claims": [{"typ": "oid", "val": OBJECT_ID}]}
SIGNED_IN = {"x-ms-client-principal": base64.b64encode(json.dumps(_PRINCIPAL).encode()).decode()}


def _post(world: World, path: str) -> Answer:
    return call(world.stack.host_url, path, method="POST", headers=SIGNED_IN)


def _timeline(story: dict[str, Any], *kinds: str) -> list[tuple[str, str]]:
    return [(entry["kind"], entry["by"]) for entry in story["timeline"] if entry["kind"] in kinds]


def test_a_recording_is_paused_resumed_and_stopped(strict_world: World) -> None:
    """ACS's state follows each verb; a stopped recording is exported and ends as any other."""
    recorded = strict_world.start()
    for verb, identity, state, truth in (
        ("pause", recorded.id, "inactive", "paused"),
        ("resume", recorded.key, "active", "active"),
        ("stop", recorded.id, "inactive", "ended"),
    ):
        answer = _post(strict_world, f"/api/recordings/{identity}/{verb}")
        assert answer.status == 200, answer.body
        assert answer.json() == {"recordingId": recorded.id, "key": recorded.key, "recordingState": state}
        assert strict_world.stack.acs.truth(recorded.id)["state"] == truth
    story = recorded.whole()
    who = f"entra:{OBJECT_ID}"
    assert _timeline(story, "paused", "resumed", "stopped") == [("paused", who), ("resumed", who), ("stopped", who)]
    assert story["state"] == "complete"
    [line] = strict_world.logged("recording.stopped", recording=recorded.key)
    assert line["by"] == who


def test_acs_errors_are_mapped_as_for_a_start(strict_world: World) -> None:
    recorded = strict_world.start()
    path = f"/api/recordings/{recorded.key}"
    assert (_post(strict_world, f"{path}/resume").status, _post(strict_world, f"{path}/resume").json()["code"]) == (
        409,
        "action_not_allowed",
    )
    for scripted, status, code in (
        ({"status": 403, "code": "7504"}, 403, "acs_forbidden"),
        ({"status": 429, "code": "8589", "retry_after": "7"}, 429, "acs_throttled"),
        ({"status": 503}, 503, "acs_unavailable"),
        ({"status": 401, "code": "7509"}, 502, "acs_unauthorized"),
    ):
        fault = strict_world.stack.acs.add_fault(kind="status", operation="stop", recording_id=recorded.id, **scripted)
        answer = _post(strict_world, f"{path}/stop")
        assert (answer.status, answer.json()["code"]) == (status, code), answer.body
        strict_world.stack.acs.faults.remove(fault.fault_id)
    assert _post(strict_world, f"{path}/stop").status == 200
    again = _post(strict_world, f"{path}/stop")
    assert (again.status, again.json()["code"]) == (404, "recording_not_found")
    assert (_post(strict_world, "/api/recordings/unknown/stop").json()["code"]) == "recording_unknown"


def test_without_a_sign_in_in_front_nobody_can_write_a_name_into_a_timeline(world: World) -> None:
    """The header is the caller's own there."""
    recorded = world.start()
    assert _post(world, f"/api/recordings/{recorded.key}/stop").status == 200
    assert _timeline(recorded.story(), "started", "stopped") == [("started", "api"), ("stopped", "api")]
