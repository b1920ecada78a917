"""Events of a recording, and the watch that reads them over fakes."""

from __future__ import annotations

import json
from typing import Any

from shared.domain import naming
from shared.domain.locations import ContainerUrl
from shared.domain.recording import ChunkState, Recording
from tests.support.fakes import CONTAINER, World
from tests.unit.builders import DELETE, HOUR, MEDIA, METADATA, NOON
from tests.unit.test_events import DATA, GRID

S = ChunkState
FOLDER = "20261122/call-1/eyJQbGF0-acs"
KEY = naming.recording_key("recording-1")
TEAM = ContainerUrl.parse("https://team.blob.core.windows.net/calls/a")


def failed(index: int = 0, **changes: Any) -> dict[str, Any]:
    """A chunk that was not exported."""
    document = f"d{index}"
    return {
        "documentId": document,
        "index": index,
        "endReason": "SessionEnded",
        "contentLocation": MEDIA.format(document),
        "metadataLocation": METADATA.format(document),
        "deleteLocation": DELETE.format(document),
    } | changes


def exported(index: int = 0, *, container: str = str(CONTAINER), **changes: Any) -> dict[str, Any]:
    """A chunk that ACS says it exported."""
    place = f"{container}/{FOLDER}/{index}"
    blobs = {"contentLocation": f"{place}-audiomp3.mp3", "metadataLocation": f"{place}-acsmetadata.json"}
    return failed(index) | blobs | changes


def told(*chunks: dict[str, Any], subject: str = "/recording/call/call-1", at: Any = NOON, **data: Any) -> str:
    """An event; of one failed mp3 chunk of a recording that ended at `at`, where nothing else is said."""
    fields = DATA | {
        "recordingStorageInfo": {"recordingChunks": list(chunks) or [failed()]},
        "recordingId": "recording-1",
        "recordingStartTime": (at - HOUR).isoformat(),
        "recordingDurationMs": 3_600_000,
        "recordingContentType": "Audio",
        "recordingFormatType": "Mp3",
        "storageType": None,
    }
    fields |= data
    event = GRID | {"subject": subject, "data": {name: value for name, value in fields.items() if value is not None}}
    return json.dumps([event | {"eventTime": at.isoformat()}])


def watch(world: World, *events: str, **ports: Any) -> Recording:
    app = world.app(**ports)
    for event in events:
        app.watch.handle(event)
    [document] = world.ledger.documents
    return world.ledger.recording(document)


def started(world: World, body: dict[str, Any] | None = None) -> str:
    world.acs.calls.add("call")
    answer = world.app().start.start(body or {"serverCallId": "call"}, idempotency_key=None).answer
    return str(answer["recordingId"])
