"""The deep profile: the real adapters and storage SDKs over a storage in memory; every request is a turn.

What the fast profile does to a call of a port happens here to each HTTP request: others go on meanwhile, the process
dies before or after it, the service refuses, fails, or does it and the connection breaks, so that the SDK tries again.
"""

from __future__ import annotations

import base64
from dataclasses import replace
from datetime import timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any, cast

import requests
from azure.core.pipeline.transport import HttpTransport
from greenlet import getcurrent

from shared.adapters.blob import BlobContainers, blob_service
from shared.adapters.ledger import BlobLedger
from shared.adapters.queue import QUEUES, StorageWorkQueue, queue_service
from shared.domain.codec import decode, parse_time
from shared.domain.recording import Recording
from shared.ports import OpenEntry, WorkItem
from shared.settings import Secret, StorageAccount
from shared.worker.message import decode_message, encode_message
from tests.simulation.hosts import Process
from tests.simulation.scheduler import Task
from tests.simulation.troubles import Kind
from tests.simulation.world import World
from tests.support.fakes.queue import MAX_DEQUEUE
from tests.support.memory_storage import MemoryStorage, RefusedError, StoredBlob

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from shared.app import Ports
    from shared.domain.locations import ContainerUrl
    from shared.ports import Lane
    from shared.settings import Settings
    from tests.support.memory_storage import Answer, Request, StoredMessage

_DOMAIN = "core.windows.net"
_LANES = {name: lane for lane, name in QUEUES.items()}
_REFUSALS = {
    "StorageAccessDenied": (403, "AuthorizationPermissionMismatch"),
    "StorageNetworkDenied": (403, "AuthorizationFailure"),
    "StorageFull": (507, "InsufficientStorage"),
    "StorageImmutable": (409, "BlobImmutableDueToPolicy"),
    "StorageInvalid": (400, "InvalidHeaderValue"),
}

_read: Callable[[bytes], Recording] = lru_cache(maxsize=256)(lambda data: decode(Recording, data))


def deep_settings(settings: Settings) -> Settings:
    """The same over accounts by key."""
    app = MemoryStorage.connection_string("app", _DOMAIN)
    customer = MemoryStorage.connection_string("customer", _DOMAIN)
    return replace(
        settings, app_storage=StorageAccount(connection_string=Secret(app)), recording_storage=Secret(customer)
    )


class DeepWorld(World):
    """A world whose ledger, queues and containers are the real adapters' over `storage`."""

    def _storage(self) -> None:
        self.storage = MemoryStorage(lambda: self.scheduler.now, page=self.page)
        self.storage.around = self._request
        for place in self.settings.allowed.places:
            self.storage.make(place.account_url.partition("://")[2], place.container)
        self.ledger = _Ledger(self)
        self.queue = _Queue(self)
        self.containers = _Containers(self)
        self.storage.sent = lambda name, message: self.hosts.expect(cast("Any", _Delivery(message, _LANES[name])))

    def ports_of(self, process: Process) -> Ports:
        plain = super().ports_of(process)
        with self.storage.below_the_adapters():
            account = self.settings.app_storage
            key = account.connection_string
            app = blob_service(
                self.settings, account_url=None, connection_string=key.reveal() if key else None, credential=None
            )
            ledger = BlobLedger(
                app, container=self.settings.ledger_container, rejected=self.settings.rejected_container
            )
            queue = StorageWorkQueue(queue_service(account, None), keep_rejected=ledger.keep_rejected)
            containers = BlobContainers(self.settings, app_service=app, credential=None)
            for place in self.settings.allowed.places:
                containers.destination(place)  # its client is made now, over the memory
        return replace(plain, ledger=ledger, queue=queue, containers=containers)

    def enter(self) -> Callable[[], None]:
        """As for any world; and what the SDKs wait before they try again passes in virtual time.

        On the class, for each client of the SDKs wraps its parent's transport, and would sleep by itself.
        """
        leave_world = super().enter()
        patched: Any = HttpTransport
        kept, patched.sleep = patched.sleep, lambda _self, seconds: self._sleeps(timedelta(seconds=seconds))

        def leave() -> None:
            patched.sleep = kept
            leave_world()

        return leave

    def _sleeps(self, length: timedelta) -> None:
        if isinstance(getcurrent(), Task):
            self.scheduler.sleep(length)

    def _request(self, request: Request, act: Callable[[], Answer]) -> Answer:
        task = getcurrent()
        if not isinstance(task, Task) or not isinstance(task.owner, Process):
            return act()
        service = self._service_of(request)
        kind = request.query.get("comp") or request.query.get("restype") or "object"
        name = f"{request.method} {kind}"
        return self.turn(task.owner, service, name, act, is_change=request.method not in ("GET", "HEAD"))

    def turn(self, process: Process, service: str, name: str, act: Callable[[], Answer], *, is_change: bool) -> Answer:
        """One request."""
        self.calls += 1
        self.pause_in(service)
        self.check_timeout(process)
        if is_change:
            self.may_die(process, f"before {service} {name}")
        self._fails(service, name)
        if name.startswith("POST") and self.strikes("queue", Kind.VANISHED):
            raise requests.ConnectionError("reset")
        answer = act()
        if name.startswith("POST") and self.strikes("queue", Kind.DOUBLED):
            act()
        if is_change:
            self.may_die(process, f"after {service} {name}")
        if self.strikes(service, Kind.LOST):
            raise requests.ReadTimeout("no answer") if self.rng.random() < 0.5 else requests.ConnectionError("reset")
        return answer

    def _fails(self, service: str, name: str) -> None:
        refusal = self.strikes(service, Kind.REFUSAL)
        if refusal and service == "destination" and name != "GET object":
            raise RefusedError(*_REFUSALS.get(refusal.error.__name__, (403, "InsufficientAccountPermissions")))
        if refusal and name == "DELETE object":
            raise RefusedError(403, "AuthorizationPermissionMismatch")
        if self.strikes(service, Kind.ERROR):
            status, code = self.rng.choice(((500, "InternalError"), (503, "ServerBusy")))
            raise RefusedError(status, code)

    def _service_of(self, request: Request) -> str:
        if ".queue." in request.host:
            return "queue"
        if request.host.startswith("customer"):
            return "destination"
        container = request.path.strip("/").partition("/")[0]
        return "fallback" if container == self.settings.fallback_container else "ledger"


class _Ledger:
    """The test's own eyes on the ledger's documents."""

    def __init__(self, world: DeepWorld) -> None:
        self._world = world

    def _under(self, prefix: str) -> dict[str, StoredBlob]:
        blobs = self._world.storage.blobs(f"app.blob.{_DOMAIN}", self._world.settings.ledger_container)
        return {
            name.removeprefix(prefix).removesuffix(".json"): blob
            for name, blob in blobs.items()
            if name.startswith(prefix)
        }

    @property
    def open(self) -> dict[str, tuple[Recording, str, OpenEntry]]:
        """Open documents by key."""
        return {
            key: (_read(blob.data), blob.etag, _entry(key, blob.metadata)) for key, blob in self._under("open/").items()
        }

    @property
    def documents(self) -> dict[str, Any]:
        """All of them, by key."""
        return {key: (_read(blob.data), blob.etag) for key, blob in self._under("closed/").items()} | self.open

    def recordings(self) -> list[Recording]:
        """All of them as they are."""
        return [document[0] for document in self.documents.values()]

    def recording(self, key: str) -> Recording:
        """One of them."""
        found: Recording = self.documents[key][0]
        return found


def _entry(key: str, metadata: dict[str, str]) -> OpenEntry:
    due, risk = (parse_time(metadata[name]) if name in metadata else None for name in ("due", "risk"))
    return OpenEntry(key, due, risk, metadata.get("state", ""))


class _Delivery:
    """A stored message as the hosts handle it."""

    def __init__(self, message: StoredMessage, lane: Lane) -> None:
        self.message = message
        self.lane = lane
        self.id = message.id

    @property
    def body(self) -> bytes:
        return base64.b64decode(self.message.text)

    @property
    def due(self) -> datetime:
        return self.message.visible_at

    @due.setter
    def due(self, at: datetime) -> None:
        self.message.visible_at = at

    @property
    def dequeue_count(self) -> int:
        return self.message.count


class _Queue:
    """What the Functions host does with the queues."""

    def __init__(self, world: DeepWorld) -> None:
        self._world = world

    def _messages(self, name: str) -> list[StoredMessage]:
        return self._world.storage.queues.get((f"app.queue.{_DOMAIN}", name), [])

    @property
    def waiting(self) -> list[StoredMessage]:
        """All messages, visible or not."""
        return [message for name in QUEUES.values() for message in self._messages(name)]

    @property
    def poison(self) -> list[StoredMessage]:
        """What was given up."""
        return [message for name in QUEUES.values() for message in self._messages(f"{name}-poison")]

    def receive(self, *, lease: timedelta, lane: Lane) -> _Delivery | None:
        """The message that is visible longest."""
        now = self._world.scheduler.now
        while visible := [one for one in self._messages(QUEUES[lane]) if one.visible_at <= now]:
            message = min(visible, key=lambda one: one.visible_at)
            message.count, message.receipt = message.count + 1, self._world.storage.etag()
            message.visible_at = now + lease
            delivery = _Delivery(message, lane)
            if message.count <= MAX_DEQUEUE:
                return delivery
            self.fail(delivery)
        return None

    def finish(self, delivery: _Delivery) -> None:
        """Deleted."""
        messages = self._messages(QUEUES[delivery.lane])
        if delivery.message in messages:
            messages.remove(delivery.message)

    def fail(self, delivery: _Delivery) -> None:
        """Visible again, or poisoned."""
        if delivery.message.count >= MAX_DEQUEUE:
            self.finish(delivery)
            name = f"{QUEUES[delivery.lane]}-poison"
            key = (f"app.queue.{_DOMAIN}", name)
            delivery.message.visible_at = self._world.scheduler.now
            self._world.storage.queues.setdefault(key, []).append(delivery.message)
        else:
            delivery.due = self._world.scheduler.now

    def put(self, body: bytes, lane: Lane) -> None:
        """A message that another program put there."""
        self._world.storage.put_message(f"app.queue.{_DOMAIN}", QUEUES[lane], base64.b64encode(body).decode())

    def again(self, item: WorkItem, lane: Lane) -> None:
        """An old message, once more."""
        assert decode_message(encode_message(item))
        self.put(encode_message(item), lane)


class _Containers:
    """The test's own hands on the containers."""

    def __init__(self, world: DeepWorld) -> None:
        self._world = world
        host = f"app.blob.{_DOMAIN}"
        self.own = _Place(world.storage, host, world.settings.fallback_container)
        self.places = {
            (place.account_url, place.container): _Place(
                world.storage, place.account_url.partition("://")[2], place.container
            )
            for place in world.settings.allowed.places
        }

    def at(self, place: ContainerUrl) -> _Place:
        """One of them."""
        return self.places[place.account_url, place.container]


class _Place:
    """One container."""

    def __init__(self, storage: MemoryStorage, host: str, name: str) -> None:
        self._storage = storage
        self._key = (host, name)
        self._aside: Any = None
        self.refusal = None
        self.archived: set[str] = set()

    @property
    def exists(self) -> bool:
        return self._key in self._storage.containers

    @exists.setter
    def exists(self, is_there: bool) -> None:
        if is_there and not self.exists:
            self._storage.containers[self._key] = self._aside
        elif not is_there and self.exists:
            self._aside = self._storage.containers.pop(self._key)

    @property
    def blobs(self) -> dict[str, StoredBlob]:
        if not self.exists and self._aside is not None:
            aside: dict[str, StoredBlob] = self._aside.blobs
            return aside
        return self._storage.blobs(*self._key)

    def put(self, name: str, data: bytes, *, content_type: str, overwrite: bool) -> None:
        """Writes a file, as ACS or a person does."""
        if overwrite or name not in self.blobs:
            self.blobs[name] = StoredBlob(data, self._storage.etag(), content_type, {})
