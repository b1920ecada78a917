"""The real JavaScript SDK against the emulator, through a recording's whole life."""

from __future__ import annotations

import hashlib
import json
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from local.node import MODULES, find_node

if TYPE_CHECKING:
    from local.acs import AcsEmulator

SCRIPT = Path(__file__).parent / "js" / "conformance.mjs"
CONTAINER_URL = "https://customer.blob.core.windows.net/recordings"


@pytest.fixture
def answer(acs: AcsEmulator) -> dict[str, Any]:
    """What the script says that the SDK made of each answer."""
    assert (MODULES / "@azure" / "communication-call-automation").is_dir(), "run `make setup`"
    node = find_node()
    command = node.command("node", str(SCRIPT), acs.origin, acs.connection_string, CONTAINER_URL)
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=node.environment(), check=False)
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def test_the_sdk_takes_the_emulator_for_the_service(acs: AcsEmulator, answer: dict[str, Any]) -> None:
    """Start, state, pause, resume, stop, refusals, downloads whole and in part, delete: strict mode, HMAC checked."""
    states = [answer[step]["recordingState"] for step in ("started", "paused", "resumed", "second")]
    assert states == ["active", "inactive", "active", "active"]
    assert (answer["startedTwice"]["status"], answer["startedTwice"]["code"]) == (400, "8553")
    assert (answer["unknown"]["status"], answer["noCall"]["code"]) == (404, "8522")

    recording = acs.resource.find(answer["second"]["recordingId"])
    assert recording.request.container_url == CONTAINER_URL
    media = recording.chunks[0].media
    for step, (start, size) in {"whole": (0, 300_000), "part": (1000, 500), "rest": (299_000, 1000)}.items():
        wanted = hashlib.sha256(media.read(start, size)).hexdigest()
        assert answer[step] == {"bytes": size, "sha256": wanted}
    assert answer["metadata"]["bytes"] > 0
    assert answer["deleted"]["status"] == 404
    assert "not a valid" in answer["foreign"]["message"]
    assert [entry["range"] for entry in acs.requests() if entry["operation"] == "media"][:3] == [
        None,
        "bytes=1000-1499",
        "bytes=299000-",
    ]
