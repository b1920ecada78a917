"""The running app against its document: no 5xx, no status and no shape that is not in it.

Schemathesis draws requests from the document, good ones and bad ones, the same in every run. What answers of success
look like is shown by real recordings and a real rejected event, for random ids are those of nothing.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
import schemathesis
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from local.services import ROOT
from shared.api.openapi import document
from tests.e2e.support import plan
from tests.local.host.support import call
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.support import World

DOCUMENT = json.loads(document())
SCHEMA = schemathesis.openapi.from_dict(DOCUMENT)
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
)
EXAMPLES = 20
VERBS = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
OPERATIONS = [(path, verb) for path, item in DOCUMENT["paths"].items() for verb in VERBS if verb.lower() in item]


def test_what_is_drawn_from_the_document_is_answered_as_it_says(world: World, tmp_path: Path) -> None:
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "run", str(ROOT / "shared" / "api" / "openapi.json")),
        *("--url", f"{world.stack.host_url}/api", "--checks", ",".join(CHECKS)),
        *("--phases", "examples,coverage,fuzzing", "--mode", "all"),
        *("--max-examples", str(EXAMPLES), "--seed", "1", "--generation-database", "none", "--no-color"),
    ]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)
    summary = done.stdout[-8000:]
    assert done.returncode == 0, summary + done.stderr[-2000:]
    assert f"Tested: {len(OPERATIONS)}" in summary, summary


def _asked(world: World, path: str, verb: str, status: int, **parts: Any) -> dict[str, Any]:
    """The answer, once it is found to be as the document has it."""
    case = SCHEMA[path][verb].Case(**parts)
    answer = case.call(base_url=f"{world.stack.host_url}/api")
    case.validate_response(
        answer, checks=[status_code_conformance, content_type_conformance, response_schema_conformance]
    )
    assert answer.status_code == status, answer.text
    body: dict[str, Any] = answer.json()
    return body


def test_answers_of_success_have_the_documented_shape(world: World) -> None:
    """A recording on its way, one that is being rescued, and one that is complete; each verb; a rejected event."""
    new = world.stack.acs.create_call()
    body = {"serverCallId": new.server_call_id, "recordingContent": "audio"}
    started = _asked(world, "/recordings", "POST", 201, body=body, media_type="application/json")
    one = {"path_parameters": {"recordingId": started["recordingId"]}}
    _asked(world, "/recordings/{recordingId}", "GET", 200, **one)
    _asked(world, "/recordings/{recordingId}/pause", "POST", 200, **one)
    _asked(world, "/recordings/{recordingId}/pause", "POST", 409, **one)
    _asked(world, "/recordings/{recordingId}/resume", "POST", 200, **one)
    _asked(world, "/recordings", "GET", 200, query={"limit": 200})
    _asked(world, "/recordings/{recordingId}/replay", "POST", 202, **one)
    _asked(world, "/recordings/{recordingId}/stop", "POST", 200, **one)
    _asked(world, "/recordings/{recordingId}/stop", "POST", 404, **one)
    rescued = world.start()
    fault = world.stack.acs.add_fault(kind="status", status=503, operation="media", recording_id=rescued.id)
    rescued.end(plan(5_000, 6_000, export="service-outage"))
    eventually(lambda: rescued.story().get("cause"))
    one = {"path_parameters": {"recordingId": rescued.key}}
    _asked(world, "/recordings/{recordingId}", "GET", 200, **one)
    assert _asked(world, "/causes", "GET", 200)["causes"]
    world.stack.acs.faults.remove(fault.fault_id)
    rescued.whole()
    assert _asked(world, "/recordings/{recordingId}", "GET", 200, **one)["state"] == "complete"
    _asked(world, "/recordings/{recordingId}/replay", "POST", 200, **one)
    verified = _asked(world, "/recordings/{recordingId}/verify", "POST", 202, **one)
    assert [file["result"] for file in verified["files"]] == ["intact", "intact"]
    assert _asked(world, "/recordings/{recordingId}", "GET", 200, **one)["chunks"][0]["check"]["result"] == "intact"
    assert _asked(world, "/recordings", "GET", 200, query={"state": "finished", "limit": 200})["recordings"]
    for path in ("/replays", "/verifications"):
        for is_dry_run in (True, False):
            selected = {"state": "complete", "limit": 2, "dryRun": is_dry_run}
            assert _asked(world, path, "POST", 200, body=selected, media_type="application/json")["results"]
    assert _asked(world, "/statistics", "GET", 200)["eventToSafe"]["count"] >= 1
    assert len(_asked(world, "/statistics", "GET", 200, query={"days": 31})["buckets"]) == 31
    world.deliver({"id": "documented", "eventType": "Microsoft.Communication.RecordingFileStatusUpdated"})
    listed = _asked(world, "/rejected-events", "GET", 200, query={"limit": 1})
    event = {"path_parameters": {"eventId": listed["events"][0]["id"]}}
    _asked(world, "/rejected-events/{eventId}/replay", "POST", 202, **event)
    assert "replayed" in _asked(world, "/rejected-events", "GET", 200)["events"][0]
    for path in ("/health", "/doctor", "/openapi.json", "/statistics"):
        _asked(world, path, "GET", 200)


@pytest.mark.parametrize("path", sorted({path for path, _ in OPERATIONS}))
def test_a_wrong_verb_is_answered_with_the_right_ones(world: World, path: str) -> None:
    allowed = {verb for one, verb in OPERATIONS if one == path}
    for verb in set(VERBS) - allowed:
        answer = call(world.stack.host_url, f"/api{re.sub('{.*?}', 'x', path)}", method=verb)
        assert (answer.status, answer.json()["code"]) == (405, "verb_not_allowed"), (verb, answer.body)
        assert set(answer.headers["allow"].split(", ")) == allowed


def test_a_path_with_an_empty_id_is_not_the_list(world: World) -> None:
    answer = world.get("/api/recordings/")
    assert (answer.status, answer.json()["code"]) == (404, "recording_unknown")
