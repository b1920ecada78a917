"""What is measured in a Python process of its own: the product's engine, its whole rescue, the SDKs' own way, obstore.

A client is made once (imports, connections' pools), then asked to bring files. `python -m bench.clients JSON` says
`ready`, does each task it reads from its input (a JSON line) and prints what it cost (a JSON line).
"""

from __future__ import annotations

import base64
import json
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

from bench.procfs import cpu_seconds, forget_peak, peak_rss, rss

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shared.app import Ports

CONTAINER = "recordings"
ACS = "endpoint=https://bench.communication.azure.com/;accesskey=" + base64.b64encode(b"bench").decode()
MIB = 1024 * 1024


@dataclass(frozen=True)
class Task:
    """Bring `count` files of `size` bytes; `tag` makes their names new. `at_once`: files under way together."""

    size: int
    count: int
    tag: str
    at_once: int = 4

    def names(self) -> Iterator[tuple[str, str]]:
        """Path at the source and name in the container, for each file."""
        for number in range(self.count):
            yield f"/v1/objects/{self.tag}-{number}/{self.size}/content/video", f"{self.tag}/{number}.wav"


class Client(Protocol):
    """Something that brings files."""

    def run(self, task: Task) -> str | None:
        """Brings them all; SHA-256 (hex) of one of them, where the client knows it. Raises when one fails."""
        ...


def settings_of(config: dict[str, Any]) -> Any:
    """The app's settings for a source and a storage account."""
    from shared.settings import load_settings

    storage = config["storage"]
    app = config.get("app_storage") or storage
    endpoint = dict(part.split("=", 1) for part in storage.rstrip(";").split(";"))["BlobEndpoint"]
    environment = {
        "AzureWebJobsStorage": app,
        "ACS_CONNECTION_STRING": ACS,
        "RECORDING_CONTAINER_URL": f"{endpoint}/{CONTAINER}",
        "RECORDING_STORAGE_CONNECTION_STRING": storage,
        "RESCUE_BLOCK_MIB": str(config.get("block_mib", 8)),
        "RESCUE_MEMORY_MIB": str(config.get("memory_mib", 40)),
        "LOCAL_ACS_ORIGIN": "http://127.0.0.1:1",
    }
    # The settings take a plain loopback origin only; a measurement over TLS needs the other.
    return replace(load_settings(environment), local_acs_origin=config["source"])


class _Product:
    def __init__(self, config: dict[str, Any]) -> None:
        from shared.app import azure_ports

        self.settings = settings_of(config)
        self.ports: Ports = azure_ports(self.settings)

    @staticmethod
    def location(path: str) -> str:
        return f"https://eu-api.asm.skype.com{path}"


class Engine(_Product):
    """`shared.transfer.engine` on the real adapters, without ledger and manifest."""

    def __init__(self, config: dict[str, Any]) -> None:
        super().__init__(config)
        self._has_digests = config.get("digests", True)
        if not self._has_digests:
            _take_out_digests()
        from shared.transfer.engine import Engine as TransferEngine
        from shared.transfer.throttle import Throttle

        settings, ports = self.settings, self.ports
        self._transfer = TransferEngine(
            media=ports.media,
            slots=ports.slots,
            throttle=Throttle(clock=ports.clock, most=settings.blocks_in_flight),
            clock=ports.clock,
            sizes=settings.block_sizes,
        )
        self._target = ports.containers.destination(settings.default_container)

    def run(self, task: Task) -> str | None:
        """See `Client`."""
        from shared.transfer.budget import Budget
        from shared.transfer.job import Job, Progress

        until = datetime.now(UTC) + timedelta(hours=1)

        def bring(names: tuple[str, str]) -> str:
            path, name = names
            job = Job(self.location(path), self._target, lambda _form: name, "wav", Budget(until, until))
            return str(self._transfer.run(job, Progress()).sha256)

        digest = _at_once(bring, task)
        return digest if self._has_digests else None


def _take_out_digests() -> None:
    """Lets the engine compute nothing over the bytes: shows what moving them costs, and what knowing them."""
    from types import SimpleNamespace

    from shared.adapters import verification
    from shared.transfer import engine as transfer
    from shared.transfer import job, ranges

    nothing = SimpleNamespace(update=lambda _: None, hexdigest=lambda: "0" * 64)
    vars(job)["hashlib"] = vars(transfer)["hashlib"] = SimpleNamespace(sha256=lambda _=b"": nothing)
    vars(ranges)["crc64"] = vars(verification)["crc64"] = lambda _: 0


class Whole(_Product):
    """The rescue as the queue function runs it: ledger, metadata, manifest and all."""

    def __init__(self, config: dict[str, Any]) -> None:
        super().__init__(config)
        self._queue = _Queue()
        self._compose(self._queue)

    def _compose(self, queue: Any) -> None:
        from shared.app import compose

        self._app = compose(self.settings, replace(self.ports, queue=queue))

    def prepare(self, task: Task) -> None:
        """The events, as Event Grid would have brought them."""
        for path, name in task.names():
            self._app.intake.handle(json.dumps([failed_export(self.location(path), name)]))

    def run(self, task: Task) -> str | None:
        """See `Client`."""
        messages, self._queue.sent = self._queue.sent, []
        with ThreadPoolExecutor(6 if task.count > 1 else 1) as pool:
            list(pool.map(lambda one: self._app.worker.handle(one, message_id="bench"), messages))
        found = [self.ports.ledger.load(message.recording_key) for message in messages]
        for each in found:
            if each is None or each.recording.closed_at is None:
                raise RuntimeError(f"a rescue failed: {each}")
        return found[0].recording.chunks[0].sha256 if found[0] else None


class Patient(Whole):
    """The same at a source that says 429: each next try when it is due, until the recording is closed."""

    def run(self, task: Task) -> str | None:  # noqa: ARG002 - what to bring was said to `prepare`
        """See `Client`."""
        key = self._queue.sent[0].recording_key
        give_up = time.monotonic() + 120
        while self._queue.sent and time.monotonic() < give_up:
            messages, self._queue.sent = self._queue.sent, []
            time.sleep(self._queue.delay)
            for message in messages:
                self._app.worker.handle(message, message_id="bench")
        found = self.ports.ledger.load(key)
        if found is None or found.recording.closed_at is None:
            raise RuntimeError(f"the rescue did not end: {found}")
        digest: str | None = found.recording.chunks[0].sha256
        return digest


class _Queue:
    def __init__(self) -> None:
        self.sent: list[Any] = []
        self.delay = 0.0

    def send(self, message: Any, *, delay: timedelta, **_: Any) -> None:
        self.delay = delay.total_seconds()
        self.sent.append(message)

    def drain_poison(self, *, limit: int) -> list[Any]:  # noqa: ARG002 - the port's
        return []


def failed_export(location: str, name: str) -> dict[str, Any]:
    """The event of a failed export of one chunk; `name` makes its ids."""
    recording_id = base64.urlsafe_b64encode(name.encode()).decode()
    now = datetime.now(UTC)
    chunk = {
        "documentId": name.replace("/", "-").removesuffix(".wav"),
        "index": 0,
        "endReason": "SessionEnded",
        "contentLocation": location,
        "metadataLocation": location.replace("content/video", "content/acsmetadata"),
    }
    data = {
        "recordingStorageInfo": {"recordingChunks": [chunk]},
        "recordingStartTime": (now - timedelta(minutes=5)).isoformat(),
        "recordingDurationMs": 60_000,
        "recordingContentType": "Audio",
        "recordingChannelType": "Mixed",
        "recordingFormatType": "Wav",
        "sessionEndReason": "CallEnded",
        "recordingId": recording_id,
    }
    return {
        "id": recording_id,
        "topic": "/bench",
        "subject": f"/recording/call/{recording_id}/recordingId/{recording_id}",
        "eventType": "Microsoft.Communication.RecordingFileStatusUpdated",
        "eventTime": now.isoformat(),
        "dataVersion": "1.0",
        "metadataVersion": "1",
        "data": data,
    }


class SdkWay:
    """What one would write first: `download_recording` into `upload_blob`."""

    def __init__(self, config: dict[str, Any]) -> None:
        from azure.communication.callautomation import CallAutomationClient
        from azure.storage.blob import BlobServiceClient

        self._acs = CallAutomationClient.from_connection_string(ACS, transport=_redirected(config["source"]))
        self._container = BlobServiceClient.from_connection_string(config["storage"]).get_container_client(CONTAINER)

    def run(self, task: Task) -> str | None:
        """See `Client`."""

        def bring(names: tuple[str, str]) -> None:
            path, name = names
            answer: Any = self._acs.download_recording(_Product.location(path))
            self._container.upload_blob(name, answer.iter_bytes(), length=task.size)

        return _at_once(bring, task)


def _redirected(origin: str) -> Any:
    """azure-core's own transport, which sends what is meant for the media host to `origin`."""
    from azure.core.pipeline.transport import RequestsTransport

    class Redirected(RequestsTransport):  # type: ignore[misc]  # loaded on demand by azure-core
        def send(self, request: Any, **kwargs: Any) -> Any:
            meant = request.url
            request.headers["Host"] = urlsplit(meant).netloc
            request.url = origin + meant.partition(urlsplit(meant).netloc)[2]
            try:
                return super().send(request, **kwargs)
            finally:
                request.url = meant

    return Redirected()


class Obstore:
    """obstore (Rust): ranged GETs, streamed into a block upload."""

    def __init__(self, config: dict[str, Any]) -> None:
        from obstore.store import AzureStore, HTTPStore

        parts = dict(part.split("=", 1) for part in config["storage"].rstrip(";").split(";"))
        options: Any = {"allow_http": True, "allow_invalid_certificates": True}
        self._source: Any = HTTPStore(config["source"], client_options=options)
        self._store: Any = AzureStore(
            CONTAINER,
            account_name=parts["AccountName"],
            account_key=parts["AccountKey"],
            endpoint=parts["BlobEndpoint"],
            client_options=options,
        )
        self._pool = ThreadPoolExecutor(8)

    def run(self, task: Task) -> str | None:
        """See `Client`."""
        import obstore

        block = 8 * MIB

        def pieces(path: str) -> Iterator[Any]:
            asked: list[Any] = []
            for start in range(0, task.size, block):
                length = min(block, task.size - start)
                asked.append(self._pool.submit(obstore.get_range, self._source, path, start=start, length=length))
                if len(asked) > 4:
                    yield asked.pop(0).result()
            for future in asked:
                yield future.result()

        def bring(names: tuple[str, str]) -> None:
            path, name = names
            if task.size <= block:
                obstore.put(self._store, name, obstore.get(self._source, path).bytes())
            else:
                obstore.put(self._store, name, pieces(path), chunk_size=block, max_concurrency=4)

        return _at_once(bring, task)


CLIENTS = {"engine": Engine, "whole": Whole, "sdk": SdkWay, "obstore": Obstore, "patient": Patient}


def _at_once(bring: Any, task: Task) -> str | None:
    with ThreadPoolExecutor(task.at_once) as pool:
        found = list(pool.map(bring, task.names()))
    return found[0] if found else None


def main() -> None:
    """The child's loop."""
    config = json.loads(sys.argv[1])
    if config.get("certificate"):
        os.environ["REQUESTS_CA_BUNDLE"] = config["certificate"]
    client: Any = CLIENTS[config["client"]](config)
    print("ready", flush=True)
    for line in sys.stdin:
        task = Task(**json.loads(line))
        if isinstance(client, Whole):
            client.prepare(task)
        forget_peak()
        idle, cpu, begun = rss(), cpu_seconds(), time.perf_counter()
        digest = client.run(task)
        wall = time.perf_counter() - begun
        result = {"wall": wall, "cpu": cpu_seconds() - cpu, "idle": idle, "peak": peak_rss(), "sha256": digest}
        print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
