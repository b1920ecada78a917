"""The two worlds that a contract is held against: `FakeSide` in memory, `RealSide` over HTTP.

Beside the ports, each side has the test's own hands on the world behind them.
"""

from __future__ import annotations

import base64
import time
import uuid
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Protocol

from azure.storage.blob import BlobServiceClient
from azure.storage.queue import QueueClient, QueueServiceClient

from local.acs import ChunkPlan, EndPlan
from shared.adapters.queue import QUEUES
from shared.app import Ports, azure_ports
from shared.domain.locations import ContainerUrl
from shared.ports import Lane, StartRequest
from shared.settings import load_settings
from shared.start.request import parse_start_request
from shared.worker.message import decode_message
from tests.support.fakes import CONTAINER, MediaFile, World, settings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from local.acs import AcsEmulator
    from local.azurite import Azurite
    from shared.ports import Container, WorkItem
    from tests.support.memory_storage import MemoryStorage

_POLL_SECONDS = 0.1


@dataclass(frozen=True)
class Held:
    """A recording's media as ACS keeps it."""

    location: str
    data: bytes


class Side(Protocol):
    """Ports, and what is behind them. `place` exists and is empty; `missing` is allowed and does not exist."""

    ports: Ports
    place: ContainerUrl
    missing: ContainerUrl

    def drop(self, place: ContainerUrl) -> None:
        """Deletes the container."""

    def call(self) -> dict[str, str]:
        """A call that can be recorded: its ids by locator."""

    def end(self, recording_id: str) -> None:
        """The call of that recording ends."""

    def media(self, size: int) -> Held:
        """A finished recording of that size."""

    def visible(self, *, at_least: int = 0, within: timedelta = timedelta(0)) -> list[tuple[WorkItem, Lane]]:
        """Takes the messages that can be received now, or that many within that time, with their lanes."""

    def poison(self, body: str, *, lane: Lane = Lane.NORMAL) -> None:
        """The host gives a message up."""

    def poisoned(self) -> int:
        """How many messages are in the poison queues."""

    def rejected(self) -> list[bytes]:
        """What was kept as rejected."""


def container(side: Side) -> Container:
    """The side's destination."""
    return side.ports.containers.destination(side.place)


def request(side: Side, **fields: object) -> StartRequest:
    """A start request as the app reads it."""
    allowed = settings(places=(side.place,)).allowed
    return parse_start_request(fields, default_container=side.place, allowed=allowed)


class FakeSide:
    """Everything in memory."""

    def __init__(self) -> None:
        self.place = CONTAINER
        self.missing = ContainerUrl.parse(f"{CONTAINER.account_url}/missing")
        self.world = World(settings(places=(self.place, self.missing)))
        self.world.containers.at(self.missing).exists = False
        self.ports = self.world.ports

    def drop(self, place: ContainerUrl) -> None:
        self.world.containers.at(place).exists = False

    def call(self) -> dict[str, str]:
        ids = {name: str(uuid.uuid4()) for name in ("serverCallId", "groupCallId", "roomId", "callConnectionId")}
        self.world.acs.calls |= set(ids.values())
        return ids

    def end(self, recording_id: str) -> None:
        self.world.acs.states[recording_id] = "inactive"

    def media(self, size: int) -> Held:
        held = Held(f"https://eu-storage.asm.skype.com/v1/objects/{uuid.uuid4()}/content/video", bytes(range(256)) * 40)
        held = Held(held.location, (b"ID3" + held.data * (size // len(held.data) + 1))[:size])
        self.world.media.files[held.location] = MediaFile(held.data)
        return held

    def visible(self, *, at_least: int = 0, within: timedelta = timedelta(0)) -> list[tuple[WorkItem, Lane]]:
        self.world.clock.advance(within)
        found = []
        while (delivery := self.world.queue.receive()) is not None:
            found.append((delivery.item, delivery.lane))
            self.world.queue.finish(delivery)
        assert len(found) >= at_least
        return found

    def poison(self, body: str, *, lane: Lane = Lane.NORMAL) -> None:  # noqa: ARG002 - one list serves all queues
        self.world.queue.poison.append(body.encode())

    def poisoned(self) -> int:
        return len(self.world.queue.poison)

    def rejected(self) -> list[bytes]:
        return list(self.world.ledger.rejected.values())


class MemoryAccount:
    """What `RealSide` needs of an account, of a storage in memory."""

    def __init__(self, storage: MemoryStorage) -> None:
        self.connection_string = storage.connection_string()
        self.blob_url = "https://memory.blob.example"


class RealSide:
    """The app's own adapters; containers of this side's own, the account's queues emptied."""

    def __init__(
        self,
        azurite: Azurite | MemoryAccount,
        acs: AcsEmulator,
        *,
        changes: Mapping[str, str] | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        self._id = uuid.uuid4().hex[:12]
        self.acs = acs
        self.place = ContainerUrl.parse(f"{azurite.blob_url}/dest-{self._id}")
        self.missing = ContainerUrl.parse(f"{azurite.blob_url}/missing-{self._id}")
        self.settings = load_settings(
            {
                "AzureWebJobsStorage": azurite.connection_string,
                "ACS_CONNECTION_STRING": acs.connection_string,
                "RECORDING_CONTAINER_URL": str(self.place),
                "RECORDING_CONTAINERS_ALLOWED": f"{self.missing},https://other.blob.core.windows.net/recordings",
                "RECORDING_STORAGE_CONNECTION_STRING": azurite.connection_string,
                "FALLBACK_CONTAINER": f"fallback-{self._id}",
                "LEDGER_CONTAINER": f"ledger-{self._id}",
                "REJECTED_EVENTS_CONTAINER": f"rejected-{self._id}",
                "LOCAL_ACS_ORIGIN": acs.origin,
            }
            | dict(changes or {})
        )
        self.ports = azure_ports(self.settings)
        self.blobs = BlobServiceClient.from_connection_string(azurite.connection_string, **(options or {}))
        self.blobs.create_container(self.place.container)
        self.queues = QueueServiceClient.from_connection_string(azurite.connection_string, **(options or {}))
        for name in [queue.name for queue in self.queues.list_queues()]:
            self.queues.delete_queue(name)

    def close(self) -> None:
        """Ends the test's own connections."""
        self.blobs.close()
        self.queues.close()

    def drop(self, place: ContainerUrl) -> None:
        self.blobs.delete_container(place.container)

    def call(self) -> dict[str, str]:
        call = self.acs.create_call(group_call_id=str(uuid.uuid4()), room_id=f"room-{uuid.uuid4()}")
        return {
            "serverCallId": call.server_call_id,
            "groupCallId": str(call.group_call_id),
            "roomId": str(call.room_id),
            "callConnectionId": call.call_connection_id,
        }

    def end(self, recording_id: str) -> None:
        self.acs.end_call(self.acs.resource.find(recording_id).call.call_id)
        self.acs.wait_idle()

    def media(self, size: int) -> Held:
        call = self.call()
        started = self.ports.acs.start_recording(
            request(self, serverCallId=call["serverCallId"]), container=self.place, repeatability_id=str(uuid.uuid4())
        )
        recording = self.acs.resource.find(started.recording_id)
        self.acs.end_call(recording.call.call_id, plan=EndPlan(chunks=(ChunkPlan(size=size),), export="role-missing"))
        self.acs.wait_idle()
        chunk = recording.chunks[0]
        return Held(chunk.content_location, chunk.media.read(0, chunk.media.size))

    def queue(self, *, lane: Lane = Lane.NORMAL, is_poison: bool = False) -> QueueClient:
        """The queue itself, without any encoding."""
        client: QueueClient = self.queues.get_queue_client(QUEUES[lane] + ("-poison" if is_poison else ""))
        return client

    def visible(self, *, at_least: int = 0, within: timedelta = timedelta(0)) -> list[tuple[WorkItem, Lane]]:
        until = time.monotonic() + within.total_seconds() + 10
        found: list[tuple[WorkItem, Lane]] = []
        while True:
            there = {queue.name for queue in self.queues.list_queues()}
            for lane, name in QUEUES.items():
                if name in there:
                    found += self._take(lane)
            if len(found) >= at_least or time.monotonic() > until:
                return found
            time.sleep(_POLL_SECONDS)

    def _take(self, lane: Lane) -> list[tuple[WorkItem, Lane]]:
        found = []
        for item in self.queue(lane=lane).receive_messages(messages_per_page=32):
            # The Functions host reads base64 and nothing else.
            message = decode_message(base64.b64decode(item.content, validate=True))
            assert message is not None
            found.append((message, lane))
            self.queue(lane=lane).delete_message(item)
        return found

    def poison(self, body: str, *, lane: Lane = Lane.NORMAL) -> None:
        queue = self.queue(lane=lane, is_poison=True)
        if queue.queue_name not in {known.name for known in self.queues.list_queues()}:
            queue.create_queue()
        queue.send_message(body)

    def poisoned(self) -> int:
        names = [queue.name for queue in self.queues.list_queues() if queue.name.endswith("-poison")]
        counts = [self.queues.get_queue_client(name).get_queue_properties() for name in names]
        return sum(int(one.approximate_message_count or 0) for one in counts)

    def rejected(self) -> list[bytes]:
        kept = self.blobs.get_container_client(self.settings.rejected_container)
        return [bytes(kept.download_blob(name).readall()) for name in list(kept.list_blob_names())]
