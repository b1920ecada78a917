"""The run: feeds the storm, watches memory, waits for the end, counts."""

from __future__ import annotations

import random
import statistics
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from azure.core.exceptions import ResourceNotFoundError
from azure.storage.blob import BlobServiceClient, ContainerClient

from bench.load.transactions import LoggedAzurite, transactions
from local.acs import AcsConfig, ChunkPlan, EndPlan
from local.acs.request import read_start_request
from local.services import CONTAINER
from local.stack import Stack

if TYPE_CHECKING:
    from collections.abc import Callable

MIB = 1024 * 1024
_LEDGER = "recording-ledger"
# So many recordings are read back byte for byte; of all, size and noted SHA-256 are compared.
_READ_BACK = 500
_LOOK_AGAIN = 10.0
# Flat: the last fifth of the run may have so much more than the second fifth (the first one warms up).
_GROWTH = 1.15


@dataclass(frozen=True, kw_only=True)
class Options:
    """`size` in bytes of each recording's media; `seconds` bounds the wait for the rescues."""

    events: int = 10_000
    size: int = 20_000
    workers: int = 2
    seconds: float = 3600.0
    seed: int = 1


class _Memory:
    """Resident bytes of each worker, every second, in a thread."""

    def __init__(self, stack: Stack) -> None:
        self._pids = stack.host.worker_pids()
        self._samples: dict[int, list[int]] = {index: [] for index in self._pids}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="memory")
        self._thread.start()

    def _run(self) -> None:
        while not self._stop.wait(1.0):
            for index, pid in self._pids.items():
                pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
                self._samples[index].append(pages * 4096)

    def stop(self) -> dict[int, list[int]]:
        """Ends it; the samples by worker."""
        self._stop.set()
        self._thread.join()
        return self._samples


class Load:
    """One run. `say` takes lines for people."""

    def __init__(self, options: Options, *, say: Callable[[str], None], log_dir: Path | None = None) -> None:
        self._options = options
        self._log_dir = log_dir
        self._say = say
        self._faults: list[str] = []
        self._numbers: dict[str, Any] = {}

    def run(self) -> tuple[dict[str, Any], list[str]]:
        """The numbers, and what was not as it should be."""
        with tempfile.TemporaryDirectory(prefix="load-") as folder:
            azurite = LoggedAzurite(folder=Path(folder) / "azurite")
            stack = Stack(
                workers=self._options.workers,
                acs_config=AcsConfig(seed=self._options.seed),
                log_dir=self._log_dir,
            )
            stack.services.azurite = azurite
            with stack, BlobServiceClient.from_connection_string(azurite.connection_string) as blobs:
                self._storm(stack, blobs, azurite.log)
        return self._numbers, self._faults

    def _storm(self, stack: Stack, blobs: BlobServiceClient, log: Path) -> None:
        options = self._options
        calls = self._calls(stack)
        _, before = transactions(log)
        memory = _Memory(stack)
        began = time.monotonic()
        try:
            plan = EndPlan(chunks=(ChunkPlan(size=options.size),), export="role-missing")
            for call in calls:
                stack.acs.end_call(call, plan=plan)
            self._numbers["all calls ended after, s"] = round(time.monotonic() - began, 1)
            acknowledged = self._wait(stack, blobs, began)
        finally:
            samples = memory.stop()
        seconds = time.monotonic() - began
        counted, _ = transactions(log, skip=before)
        self._numbers |= {
            "all acknowledged after, s": round(acknowledged, 1),
            "all rescued after, s": round(seconds, 1),
            "rescued a second": round(options.events / seconds, 1),
        }
        text = stack.host_log.read_text(encoding="utf-8", errors="replace")
        self._numbers["queued anew by the sweep"] = text.count('"event":"sweep.requeued"')
        self._numbers["failed tries"] = text.count('"event":"rescue.failed"')
        self._deliveries(stack)
        self._memory(samples)
        self._transactions(counted)
        self._compare(stack, blobs)

    def _calls(self, stack: Stack) -> list[str]:
        """Calls under record into the default container; the app hears of them by their events only."""
        url = f"{stack.azurite.blob_url}/{CONTAINER}"
        found = []
        for _ in range(self._options.events):
            call = stack.acs.create_call()
            body = {
                "callConnectionId": call.call_connection_id,
                "recordingContentType": "audio",
                "recordingChannelType": "mixed",
                "recordingFormatType": "mp3",
                "externalStorage": {
                    "recordingStorageKind": "azureBlobStorage",
                    "recordingDestinationContainerUrl": url,
                },
            }
            stack.acs.resource.start(read_start_request(body, strict=True), body=b"", repeat_id=None)
            found.append(call.call_id)
        return found

    def _wait(self, stack: Stack, blobs: BlobServiceClient, began: float) -> float:
        """Until nothing is open any more; seconds until all events were acknowledged."""
        ledger = blobs.get_container_client(_LEDGER)
        acknowledged = 0.0
        while time.monotonic() < began + self._options.seconds:
            # Looking costs transactions too: seldom, where there is much to be looked at.
            stack.eventgrid.wait_idle(_LOOK_AGAIN)
            time.sleep(_LOOK_AGAIN * min(1.0, self._options.events / 1000))
            if not acknowledged and stack.eventgrid.pending == 0:
                acknowledged = time.monotonic() - began
            known, unfinished = _count(ledger, "recordings/"), _count(ledger, "open/")
            self._say(
                f"  {time.monotonic() - began:6.0f} s  {stack.eventgrid.pending} events waiting,"
                f" {known} recordings known, {unfinished} unfinished"
            )
            if acknowledged and known == self._options.events and not unfinished:
                return acknowledged
        self._faults.append(f"not done within {self._options.seconds:.0f} s")
        return acknowledged

    # --- what came of it

    def _deliveries(self, stack: Stack) -> None:
        tries = [one for delivery in stack.eventgrid.deliveries for one in delivery.attempts]
        outcomes = Counter(f"{one.outcome} {one.status}" for one in tries)
        states = Counter(str(delivery.state) for delivery in stack.eventgrid.deliveries)
        times = sorted(one.seconds for one in tries)
        self._numbers |= {
            "events": dict(states),
            "tries to deliver": dict(outcomes),
            "POST to answer, ms": {
                name: round(times[min(len(times) - 1, int(len(times) * share))] * 1000)
                for name, share in (("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("most", 1.0))
            },
        }
        if states["delivered"] != self._options.events:
            self._faults.append(f"events: {dict(states)}")

    def _memory(self, samples: dict[int, list[int]]) -> None:
        for index, sizes in samples.items():
            fifth = max(1, len(sizes) // 5)
            early, late = statistics.mean(sizes[fifth : 2 * fifth] or sizes), statistics.mean(sizes[-fifth:])
            self._numbers[f"worker {index}, resident MiB"] = {
                "at the start": round(sizes[0] / MIB),
                "second fifth": round(early / MIB),
                "last fifth": round(late / MIB),
                "most": round(max(sizes) / MIB),
            }
            if late > early * _GROWTH:
                self._faults.append(f"worker {index} grows: from {early / MIB:.0f} to {late / MIB:.0f} MiB")

    def _transactions(self, counted: Counter[str]) -> None:
        total = sum(counted.values())
        each = {name: round(count / self._options.events, 2) for name, count in counted.most_common()}
        self._numbers["storage transactions a recording"] = round(total / self._options.events, 1)
        self._numbers["of which"] = {name: count for name, count in each.items() if count >= 0.01}

    def _compare(self, stack: Stack, blobs: BlobServiceClient) -> None:
        container = blobs.get_container_client(CONTAINER)
        listed = list(container.list_blobs(include=["metadata"]))
        there = {str(blob.name).rpartition("/")[2]: blob for blob in listed}
        recordings = stack.acs.resource.recordings()
        wrong = 0
        for recording in recordings:
            media = recording.chunks[0].media
            blob = there.get(f"0-audiomp3.{media.document_id}.mp3")
            is_right = blob is not None and blob.size == media.size
            wrong += not (is_right and blob is not None and (blob.metadata or {}).get("sha256") == media.sha256)
        chosen = random.Random(self._options.seed).sample(recordings, min(_READ_BACK, len(recordings)))
        for recording in chosen:
            media = recording.chunks[0].media
            blob = there.get(f"0-audiomp3.{media.document_id}.mp3")
            data = container.download_blob(blob.name).readall() if blob is not None else b""
            wrong += data != b"".join(media.blocks())
        self._numbers["files in the container"] = len(listed)
        self._numbers["read back byte for byte"] = len(chosen)
        if wrong:
            self._faults.append(f"{wrong} recordings are missing or differ")


def _count(container: ContainerClient, prefix: str) -> int:
    try:
        return sum(1 for _ in container.list_blob_names(name_starts_with=prefix))
    except ResourceNotFoundError:
        return 0
