"""What the end-to-end tests share: the app by its API, and whether a recording is whole."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from azure.storage.blob import BlobServiceClient

from local.acs import ChunkPlan, EndPlan
from local.acs.documents import chunk_metadata
from local.demo.proof import prove
from tests.local.host.support import Answer, call, notify
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import timedelta

    from local.acs.model import Call
    from local.stack import Stack

ARCHIVE = "customer-archive"
EVENT_FUNCTION = "recording_file_status_updated"


def plan(*sizes: int, delay: timedelta | None = None, **more: Any) -> EndPlan:
    """An end plan with chunks of these sizes (bytes)."""
    return EndPlan(chunks=tuple(ChunkPlan(size=size) for size in sizes), event_delay=delay, **more)


@dataclass(frozen=True)
class Recorded:
    """A recording that was started by the app's API. `started`: the answer's body."""

    world: World
    call: Call
    started: dict[str, Any]

    @property
    def id(self) -> str:
        return str(self.started["recordingId"])

    @property
    def key(self) -> str:
        return str(self.started["key"])

    def end(self, plan: EndPlan) -> Recorded:
        """Ends the call; returns when export and event are out."""
        self.world.stack.acs.end_call(self.call.call_id, plan=plan)
        return self

    def story(self) -> dict[str, Any]:
        answer = self.world.get(f"/api/recordings/{self.key}")
        assert answer.status == 200, answer.body
        story: dict[str, Any] = answer.json()
        return story

    def chunk(self, index: int = 0) -> dict[str, Any]:
        """The chunk as the app tells it; empty before the event."""
        return next((chunk for chunk in self.story()["chunks"] if chunk["index"] == index), {})

    def wait_for(self, state: str, *, index: int = 0, seconds: float = 25.0) -> dict[str, Any]:
        """The chunk, once it is in this state."""

        def probe() -> dict[str, Any] | None:
            chunk = self.chunk(index)
            return chunk if chunk.get("state") == state else None

        return eventually(probe, seconds=seconds, what=f"{state} of chunk {index} of {self.story()}")

    def whole(self, *, seconds: float = 25.0) -> dict[str, Any]:
        """The story, once the app has nothing left to do; every file of it compared with what ACS recorded."""

        def closed() -> dict[str, Any] | None:
            story = self.story()
            # A digest, a deletion at ACS or a copy to be cleaned may follow the close.
            return story if story.get("closedAt") and "nextDueAt" not in story else None

        story = eventually(closed, seconds=seconds, what="the end of the story")
        recording = self.world.stack.acs.resource.find(self.id)
        proof = prove(
            story,
            self.world.stack.acs.truth(self.id),
            metadata={chunk.index: chunk_metadata(recording, chunk) for chunk in recording.chunks},
            service=self.world.blobs,
        )
        assert not proof.differences, proof.differences
        return story

    def manifest(self) -> dict[str, Any]:
        name = self.story()["manifest"]["blob"]
        container = self.started["containerUrl"].split("/")[4]
        data = self.world.blobs.get_blob_client(container, name).download_blob().readall()
        document: dict[str, Any] = json.loads(data)
        return document


class World:
    """A running stack, and what one does with it."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack

    @cached_property
    def blobs(self) -> BlobServiceClient:
        return BlobServiceClient.from_connection_string(self.stack.azurite.connection_string)

    def url(self, container: str) -> str:
        return f"{self.stack.azurite.blob_url}/{container}"

    def get(self, path: str) -> Answer:
        return call(self.stack.host_url, path)

    def post(self, body: Any, *, headers: Mapping[str, str] | None = None) -> Answer:
        """`POST /api/recordings`."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        sent = {"content-type": "application/json", **(headers or {})}
        return call(self.stack.host_url, "/api/recordings", method="POST", body=data, headers=sent)

    def start(self, **more: Any) -> Recorded:
        """A new call, recorded."""
        new = self.stack.acs.create_call()
        answer = self.post({"serverCallId": new.server_call_id, **more})
        assert answer.status == 201, answer.body
        return Recorded(self, new, answer.json())

    def deliver(self, event: dict[str, Any]) -> int:
        """Posts an event as Event Grid does; the status of the answer."""
        return notify(self.stack.host_url, EVENT_FUNCTION, [event]).status

    def sweep(self) -> int:
        """Runs the sweep now; the status of the answer."""
        headers = {"content-type": "application/json"}
        return call(self.stack.host_url, "/admin/functions/sweep", method="POST", body=b"{}", headers=headers).status

    def logged(self, event: str, **fields: Any) -> list[dict[str, Any]]:
        """The app's log lines with this event name and these fields."""
        found = []
        for line in self.stack.host_log.read_text(encoding="utf-8").splitlines():
            _, mark, rest = line.partition(f'{{"event":"{event}"')
            if mark:
                fields_there = json.loads(mark + rest)
                if fields.items() <= fields_there.items():
                    found.append(fields_there)
        return found

    def names(self, container: str, prefix: str = "") -> list[str]:
        """The blobs of a container, none if there is no container."""
        client = self.blobs.get_container_client(container)
        return list(client.list_blob_names(name_starts_with=prefix)) if client.exists() else []
