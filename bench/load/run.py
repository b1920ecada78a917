"""The run: feeds the storm, has it watched, waits for the end, counts."""

from __future__ import annotations

import random
import statistics
import tempfile
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from azure.core.exceptions import ResourceNotFoundError
from azure.storage.blob import BlobServiceClient, ContainerClient

from bench.load.fairness import fairness
from bench.load.transactions import LoggedAzurite, transactions
from bench.load.watch import MIB, Watcher
from local.acs import FULL, AcsConfig, ChunkPlan, EndPlan
from local.acs.request import read_start_request
from local.clock import Clock
from local.services import CONTAINER
from local.stack import Stack
from shared.domain.naming import recording_key

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

_LEDGER = "recording-ledger"
# So many recordings are read back byte for byte; of all, size and noted SHA-256 are compared.
_READ_BACK = 500
# Flat: the last fifth of the run may have so much more than the second fifth (the first one warms up); a run of fewer
# seconds is all warming up.
_GROWTH = 1.15
_SHORTEST = 30
# The urgent ones ended so long ago: their events are late, and of the 24 hours two are left.
_AGO = timedelta(hours=22)
# Of the emulator: an event waits behind all that ended before it.
_PATIENCE = 600.0


@dataclass(frozen=True, kw_only=True)
class Options:
    """`size` in bytes of each recording's media; `seconds` bounds the storm; `urgent`: the share with 2 hours left."""

    events: int = 10_000
    size: int = 20_000
    workers: int = 2
    seconds: float = 3600.0
    seed: int = 1
    urgent: float = 0.1


class Load:
    """One run. `say` takes lines for people, every 15 s at least while the storm goes on.

    `numbers` and `faults` (what was not as it should be) grow as it goes on, so that a run that is broken off has some.
    `is_whole`: all recordings were rescued.
    """

    def __init__(self, options: Options, *, say: Callable[[str], None], log_dir: Path | None = None) -> None:
        self._options = options
        self._log_dir = log_dir
        self._say = say
        self.faults: list[str] = []
        self.numbers: dict[str, Any] = {}
        self.is_whole = False

    def run(self) -> tuple[dict[str, Any], list[str]]:
        """The numbers and the faults. Ctrl-C ends it early: then they are of what was done until then."""
        try:
            with tempfile.TemporaryDirectory(prefix="load-") as folder:
                self._run(Path(folder))
        except KeyboardInterrupt:
            self.faults.append("interrupted: the numbers are of a part of the run")
        return self.numbers, self.faults

    def _run(self, folder: Path) -> None:
        azurite = LoggedAzurite(folder=folder / "azurite")
        stack = Stack(
            workers=self._options.workers,
            clock=Clock(start=datetime.now(UTC) - _AGO),
            # Events that name their recording: its document is found by that id when all is compared.
            acs_config=AcsConfig(seed=self._options.seed, call_started=False, event=FULL),
            log_dir=self._log_dir,
        )
        stack.services.azurite = azurite
        with stack, BlobServiceClient.from_connection_string(azurite.connection_string) as blobs:
            calls = self._calls(stack)
            urgent = self._end_early(stack, calls)
            _, before = transactions(azurite.log)
            watcher = Watcher(stack, events=self._options.events, tell=self._tell)
            try:
                with watcher:
                    self._feed(stack, calls, urgent)
                    self._wait(watcher)
            finally:
                # Of an interrupted run, too.
                self._sum_up(stack, watcher, urgent)
                self._transactions(transactions(azurite.log, skip=before)[0])
            self._compare(stack, blobs, watcher.log.closed)

    def _plan(self, *, publish: bool) -> EndPlan:
        return EndPlan(chunks=(ChunkPlan(size=self._options.size),), export="role-missing", publish_event=publish)

    def _end_early(self, stack: Stack, calls: Sequence[str]) -> dict[str, str]:
        """Ends the urgent calls, without events yet, and moves the clock to the present. Call → recording."""
        chosen = random.Random(self._options.seed).sample(calls, round(len(calls) * self._options.urgent))
        ended = {call: stack.acs.end_call(call, plan=self._plan(publish=False))[0].recording_id for call in chosen}
        stack.acs.wait_idle(_PATIENCE)
        stack.clock.advance(_AGO)
        return ended

    def _feed(self, stack: Stack, calls: Sequence[str], urgent: dict[str, str]) -> None:
        """All events at once, the urgent ones anywhere between the others."""
        plan = self._plan(publish=True)
        for call in calls:
            if call in urgent:
                stack.acs.publish_again(urgent[call], timeout=_PATIENCE)
            else:
                stack.acs.end_call(call, plan=plan)

    def _wait(self, watcher: Watcher) -> None:
        self.numbers["all calls ended after, s"] = round(watcher.seconds, 1)
        if not watcher.done.wait(max(0.0, self._options.seconds - watcher.seconds)):
            self.faults.append(f"not done within {self._options.seconds:.0f} s: the numbers are of a part of the run")

    def _tell(self, watcher: Watcher) -> None:
        """How far it is: into the numbers, and to people."""
        log = watcher.log
        self.numbers |= {
            "seconds": round(watcher.seconds, 1),
            "acknowledged": len(log.recorded),
            "rescued": len(log.closed),
        }
        resident = ", ".join(f"{size / MIB:.0f}" for size in watcher.samples[-1].resident.values())
        self._say(
            f"  {watcher.seconds:6.0f} s  {len(log.recorded)} acknowledged, {len(log.closed)} rescued"
            f" of {self._options.events}; workers {resident} MiB"
        )

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
            stack.acs.resource.start(read_start_request(body), body=b"", repeat_id=None)
            found.append(call.call_id)
        return found

    # --- what came of it

    def _sum_up(self, stack: Stack, watcher: Watcher, urgent: dict[str, str]) -> None:
        log, rescued = watcher.log, len(watcher.log.closed)
        self.is_whole = watcher.done.is_set()
        seconds = (max(log.closed.values()) if self.is_whole else watcher.began + watcher.seconds) - watcher.began
        acknowledged = watcher.acknowledged_at
        self._tell(watcher)
        self.numbers |= {
            "seconds": round(seconds, 1),
            "all acknowledged after, s": round(acknowledged - watcher.began, 1) if acknowledged else None,
            "all rescued after, s": round(seconds, 1) if self.is_whole else None,
            "rescued a second": round(rescued / seconds, 1),
            "queued anew by the sweep": log.resent,
            "failed tries": log.counted["fetch.failed"],
            "worker CPU a recording, ms": round(watcher.cpu / max(1, rescued) * 1000, 1),
        }
        keys = {recording_key(recording) for recording in urgent.values()}
        for name, found in fairness(keys, recorded=log.recorded, closed=log.closed).items():
            self.numbers[f"order: {name}"] = found
        self._deliveries(stack)
        self._memory(watcher)

    def _deliveries(self, stack: Stack) -> None:
        deliveries = stack.eventgrid.deliveries
        tries = [one for delivery in deliveries for one in delivery.attempts]
        states = Counter(str(delivery.state) for delivery in deliveries)
        delivered = [(one.publish_time, one.attempts[-1]) for one in deliveries if one.state == "delivered"]
        whole = [(last.at - published).total_seconds() + last.seconds for published, last in delivered]
        self.numbers |= {
            "events": dict(states),
            "tries to deliver": dict(Counter(f"{one.outcome} {one.status}" for one in tries)),
            "POST to answer, ms": _shares([one.seconds * 1000 for one in tries]),
            "event to acknowledged, ms": _shares([seconds * 1000 for seconds in whole]),
        }
        if states["delivered"] != self._options.events:
            self.faults.append(f"events: {dict(states)}")

    def _memory(self, watcher: Watcher) -> None:
        for index in watcher.samples[0].resident:
            there = [(one.rescued, one.resident[index]) for one in watcher.samples if index in one.resident]
            sizes = [size for _, size in there]
            quarters = {
                f"{share} %": next((size for done, size in there if done >= self._options.events * share / 100), None)
                for share in (25, 50, 75, 100)
            }
            fifth = max(1, len(sizes) // 5)
            early, late = statistics.mean(sizes[fifth : 2 * fifth] or sizes), statistics.mean(sizes[-fifth:])
            found = {
                "at the start": sizes[0],
                **quarters,
                "most": max(sizes),
                "second fifth": early,
                "last fifth": late,
            }
            self.numbers[f"worker {index}, resident MiB"] = {
                name: None if size is None else round(size / MIB) for name, size in found.items()
            }
            if len(sizes) >= _SHORTEST and late > early * _GROWTH:
                self.faults.append(f"worker {index} grows: from {early / MIB:.0f} to {late / MIB:.0f} MiB")

    def _transactions(self, counted: Counter[str]) -> None:
        rescued = max(1, self.numbers["rescued"])
        each = {name: round(count / rescued, 2) for name, count in counted.most_common()}
        self.numbers["storage transactions a recording"] = round(sum(counted.values()) / rescued, 1)
        self.numbers["of which"] = {name: count for name, count in each.items() if count >= 0.01}

    def _compare(self, stack: Stack, blobs: BlobServiceClient, closed: Collection[str]) -> None:
        """What the app says it rescued: size and noted SHA-256 of all, the bytes of some."""
        self._say("  reading back")
        container = blobs.get_container_client(CONTAINER)
        listed = list(container.list_blobs(include=["metadata"]))
        there = {str(blob.name).rpartition("/")[2]: blob for blob in listed}
        rescued = [one for one in stack.acs.resource.recordings() if recording_key(one.recording_id) in closed]
        chosen = set(random.Random(self._options.seed).sample(range(len(rescued)), min(_READ_BACK, len(rescued))))
        wrong = 0
        for number, recording in enumerate(rescued):
            media = recording.chunks[0].media
            blob = there.get(f"0-audiomp3.{media.document_id}.mp3")
            if blob is None or blob.size != media.size or (blob.metadata or {}).get("sha256") != media.sha256:
                wrong += 1
            elif number in chosen:
                wrong += container.download_blob(blob.name).readall() != b"".join(media.blocks())
        self.numbers["files in the container"] = len(listed)
        self.numbers["read back byte for byte"] = len(chosen)
        if wrong:
            self.faults.append(f"{wrong} recordings are missing or differ")
        unfinished = _count(blobs.get_container_client(_LEDGER), "open/")
        if unfinished and self.is_whole:
            self.faults.append(f"{unfinished} recordings are unfinished in the ledger")


def _count(container: ContainerClient, prefix: str) -> int:
    try:
        return sum(1 for _ in container.list_blob_names(name_starts_with=prefix))
    except ResourceNotFoundError:
        return 0


def _shares(values: list[float]) -> dict[str, int]:
    ordered = sorted(values) or [0.0]
    places = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "most": 1.0}
    return {name: round(ordered[min(len(ordered) - 1, int(len(ordered) * share))]) for name, share in places.items()}
