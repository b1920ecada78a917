"""Runs it: starts everything, lets calls be recorded and end, makes trouble, waits for recovery, has it proved."""

from __future__ import annotations

import http.client
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor, wait
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from azure.storage.blob import BlobServiceClient
from azure.storage.queue import QueueServiceClient

from bench.chaos.cutter import CuttableAzurite
from bench.chaos.proof import Prover, Storage
from bench.chaos.report import Result
from bench.chaos.scenario import LATER, MAIN, SECOND, Fate, Options, fates
from bench.chaos.troubles import Troubles
from local.acs import AcsConfig, EventForm
from local.eventgrid import Subscription
from local.json_http import HttpError, ask
from local.services import EVENT_FUNCTION
from local.stack import Stack

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

# Everything that takes minutes in the cloud takes seconds here.
SETTINGS = {
    "RESCUE_BLOCK_MIB": "1",
    "RESCUE_MEMORY_MIB": "8",
    "RESCUE_TIME_BUDGET_SECONDS": "5",
    "RESCUE_FIRST_DELAY_SECONDS": "0.5",
    "RESCUE_LONGEST_DELAY_SECONDS": "4",
}
# What a request meets whose worker is killed.
_BROKEN = (OSError, HttpError, http.client.HTTPException)
_QUEUE_LEASE = 6.0
_SWEEP_EVERY = 4.0
_FEEDERS = 8
_PROOF_SECONDS = 30.0


class Director:
    """One run. `say` takes lines for people."""

    def __init__(self, options: Options, *, say: Callable[[str], None], log_dir: Path | None = None) -> None:
        self._options = options
        self._say = say
        self._azurite = CuttableAzurite(seed=options.seed)
        config = AcsConfig(seed=options.seed, event=EventForm(delete_location_exported=True))
        self._stack = Stack(
            workers=options.workers,
            settings=SETTINGS,
            acs_config=config,
            containers=(MAIN, SECOND, LATER),
            queue_lease=_QUEUE_LEASE,
            log_dir=log_dir,
            seed=options.seed,
        )
        self._stack.services.azurite = self._azurite
        self._stop = threading.Event()
        self._recordings: dict[int, str] = {}
        self._findings: list[str] = []
        self._began = self._zero = 0.0

    def run(self) -> Result:
        """The whole run; never raises for what the app does: the result says it."""
        self._began = time.monotonic()
        chosen = fates(self._options)
        with self._stack as stack:
            troubles = Troubles(stack, self._azurite, self._options)
            with self._storage() as storage:
                storage.blobs.delete_container(LATER)
                self._subscribe()
                sweeper = threading.Thread(target=self._sweep, name="sweeper")
                sweeper.start()
                try:
                    self._play(chosen, troubles, storage)
                    is_settled = self._settle(storage)
                    prover = Prover(stack, storage, chosen, self._recordings)
                    prover.run(is_settled=is_settled)
                finally:
                    self._stop.set()
                    sweeper.join()
            return Result(
                options=self._options,
                seconds=time.monotonic() - self._began,
                stories=Counter(fate.story for fate in chosen),
                troubles=troubles.counted,
                faults=self._struck(),
                deliveries=self._deliveries(),
                findings=[*self._findings, *prover.findings],
                proof=prover.summary,
            )

    # --- the play

    def _play(self, chosen: list[Fate], troubles: Troubles, storage: Storage) -> None:
        self._zero = time.monotonic()
        made = threading.Timer(
            self._options.trouble * 0.6, lambda: _until_done(lambda: storage.blobs.create_container(LATER))
        )
        made.start()
        troubles.start()
        try:
            with ThreadPoolExecutor(_FEEDERS, thread_name_prefix="feed") as feeders:
                late = [feeders.submit(self._record, fate) for fate in sorted(chosen, key=lambda one: one.begins)]
                while (left := self._zero + self._options.trouble - time.monotonic()) > 0:
                    self._stop.wait(min(10.0, left))
                    self._progress(storage)
                troubles.stop()
                wait(late)
                self._keep_word(chosen, storage)
                self._findings += [
                    f"a call could not be played: {error!r}" for one in late if (error := one.exception())
                ]
        finally:
            troubles.stop()
            made.join()

    def _record(self, fate: Fate) -> None:
        """A call, recorded and ended as its fate says; and ACS's late export, where it has one."""
        acs = self._stack.acs
        self._sleep_until(fate.begins - 1.0)
        call = acs.create_call()
        container = f"{self._azurite.blob_url}/{fate.container}"
        if fate.starter == "app":
            body = {"serverCallId": call.server_call_id, "containerUrl": container, **fate.kind}
            recording_id = self._start(body, key=f"chaos-{fate.number}")
        else:
            names = {f"{name}Type": value for name, value in fate.kind.items()}
            storage = {"recordingStorageKind": "azureBlobStorage", "recordingDestinationContainerUrl": container}
            path = f"/_control/calls/{call.call_id}/recordings"
            recording_id = ask(acs.origin, path, body={**names, "externalStorage": storage})["recordingId"]
        self._recordings[fate.number] = recording_id
        for fault in fate.faults:
            acs.add_fault(recording_id=recording_id, **fault)
        self._sleep_until(fate.begins)
        acs.end_call(call.call_id, plan=fate.plan)
        if fate.late_after is not None:
            self._export_late(fate, recording_id)
        if fate.again_after is not None:
            time.sleep(fate.again_after)
            acs.publish_again(recording_id)

    def _start(self, body: dict[str, Any], *, key: str) -> str:
        """As a careful caller does: the same request again, with its Idempotency-Key, until there is an answer."""
        give_up = time.monotonic() + 60
        while True:
            try:
                started = ask(self._stack.host_url, "/api/recordings", body=body, headers={"Idempotency-Key": key})
            except _BROKEN:
                if time.monotonic() > give_up:
                    raise
                time.sleep(0.5)
            else:
                return str(started["recordingId"])

    def _export_late(self, fate: Fate, recording_id: str) -> None:
        acs = self._stack.acs
        give_up = time.monotonic() + 60
        while not acs.resource.find(recording_id).published and time.monotonic() < give_up:
            time.sleep(0.1)  # first the export that fails, however long that takes
        time.sleep(fate.late_after or 0)
        chunks = frozenset(range(len(fate.plan.chunks))) if fate.is_claimed else None
        acs.late_export(recording_id, chunks=chunks, event=fate.late_event)

    def _keep_word(self, chosen: list[Fate], storage: Storage) -> None:
        """What was claimed from the first is written for sure, once storage works; else ACS lost it, not the app.

        A request to frozen storage may have been carried out late, over a newer one, or not at all.
        """
        for fate in chosen:
            recording_id = self._recordings.get(fate.number)
            if not fate.is_claimed or recording_id is None:
                continue
            for real in self._stack.acs.truth(recording_id)["chunks"]:
                if storage.size(fate.container, real["blobNames"][0]) != real["bytes"]:
                    self._stack.acs.late_export(recording_id, chunks=frozenset({real["index"]}))

    # --- around it

    def _storage(self) -> Storage:
        text = self._azurite.connection_string
        # A look at frozen storage ends soon: it must not hold up the play.
        options: dict[str, Any] = {"retry_total": 3, "initial_backoff": 0, "increment_base": 1.2, "read_timeout": 6}
        return Storage(
            BlobServiceClient.from_connection_string(text, **options),
            QueueServiceClient.from_connection_string(text, **options),
        )

    def _subscribe(self) -> None:
        """As the stack does, with doubled and reordered deliveries; not slowed down after failures, to stay bounded."""
        endpoint = f"{self._stack.host_url}/runtime/webhooks/EventGrid?functionName={EVENT_FUNCTION}"
        subscription = Subscription(
            "recordings",
            endpoint,
            duplicate_probability=0.2,
            reorder_window=timedelta(seconds=2),
            delay_after=0,
        )
        self._stack.eventgrid.subscribe(subscription)

    def _sweep(self) -> None:
        """The timer's five minutes, shortened."""
        while not self._stop.wait(_SWEEP_EVERY):
            try:
                ask(self._stack.host_url, "/admin/functions/sweep", body={})
            except (*_BROKEN, ValueError):
                continue  # its worker was killed; or the answer is well, and has no body

    def _sleep_until(self, seconds: float) -> None:
        time.sleep(max(0.0, self._zero + seconds - time.monotonic()))

    def _settle(self, storage: Storage) -> bool:
        """Waits until nothing is under way any more: deliveries, open recordings, queued tries."""
        give_up = self._began + self._options.seconds - _PROOF_SECONDS * self._options.recordings / 200
        while time.monotonic() < give_up:
            is_done = self._stack.eventgrid.pending == 0 and storage.documents() == self._options.recordings
            if is_done and not storage.markers() and not storage.messages():
                self._progress(storage)
                return True
            self._stop.wait(1.0)
            if int(time.monotonic() - self._zero) % 10 == 0:
                self._progress(storage)
        return False

    def _progress(self, storage: Storage) -> None:
        at = time.monotonic() - self._zero
        try:
            known, unfinished = storage.documents(), len(storage.markers())
        except Exception as error:  # noqa: BLE001 - storage is frozen or cut off: the report says so
            self._say(f"  {at:5.0f} s  storage does not answer ({type(error).__name__})")
            return
        self._say(f"  {at:5.0f} s  {known} recordings known, {unfinished} unfinished, {storage.messages()} messages")

    def _struck(self) -> Counter[str]:
        found: Counter[str] = Counter()
        for fault in self._stack.acs.faults.listing():
            name = f"{fault['kind']} {fault['status']}" if fault["kind"] == "status" else str(fault["kind"])
            found[f"{name} ({fault['operation']})"] += fault["struck"]
        return Counter({name: count for name, count in found.items() if count})

    def _deliveries(self) -> Counter[str]:
        found: Counter[str] = Counter()
        seen: set[str] = set()
        for delivery in self._stack.eventgrid.deliveries:
            found["deliveries"] += 1
            found["repeated"] += delivery.event_id in seen
            found["failed tries"] += len(delivery.attempts) - 1
            found[f"ended {delivery.state}"] += 1
            seen.add(delivery.event_id)
        return found


def _until_done(action: Callable[[], object]) -> None:
    """Again until it works: storage may be frozen just then."""
    for _ in range(20):
        try:
            action()
        except Exception:  # noqa: BLE001 - whatever a cut connection raises
            time.sleep(0.5)
        else:
            return
