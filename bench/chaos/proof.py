"""Whether everything is whole at the end: what ACS recorded against what the containers hold, and nothing left over.

The blobs are read back; what the app says of them is compared, not believed.
"""

from __future__ import annotations

import hashlib
import json
import re
import statistics
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote, unquote, urlsplit

from azure.core.exceptions import ResourceNotFoundError

from bench.chaos.scenario import LATER, MAIN, SECOND
from local.acs.documents import chunk_metadata
from local.json_http import ask

if TYPE_CHECKING:
    from azure.storage.blob import BlobServiceClient
    from azure.storage.queue import QueueServiceClient

    from bench.chaos.scenario import Fate
    from local.stack import Stack

LEDGER, FALLBACK, REJECTED = "recording-ledger", "recording-fallback", "rejected-events"
# Written by the preflight, never committed.
_PROBE = "acs-byos-recorder-preflight"
_MEDIA = re.compile(r"(\d+)-[a-z0-9]+\.(.+)\.(?:mp3|mp4|wav)")


@dataclass
class Storage:
    """The clients of the one account, and what is asked of it all the time."""

    blobs: BlobServiceClient
    queues: QueueServiceClient

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.blobs.close()
        self.queues.close()

    def names(self, container: str, prefix: str | None = None) -> list[str]:
        """Committed blobs; none where there is no container."""
        try:
            return list(self.blobs.get_container_client(container).list_blob_names(name_starts_with=prefix))
        except ResourceNotFoundError:
            return []

    def size(self, container: str, name: str) -> int | None:
        """Of a committed blob; None where there is none."""
        try:
            return int(self.blobs.get_blob_client(container, name).get_blob_properties().size)
        except ResourceNotFoundError:
            return None

    def uncommitted(self, container: str) -> list[str]:
        """Names with staged blocks and no blob."""
        try:
            listing = self.blobs.get_container_client(container).list_blobs(include=["uncommittedblobs"])
            every = {str(blob.name) for blob in listing}
        except ResourceNotFoundError:
            return []
        return sorted(every - set(self.names(container)))

    def documents(self) -> int:
        """How many recordings the ledger has."""
        names = [*self.names(LEDGER, "open/"), *self.names(LEDGER, "closed/")]
        return len({name.rpartition("/")[2] for name in names})

    def markers(self) -> list[str]:
        """The unfinished ones."""
        return self.names(LEDGER, "open/")

    def messages(self, *, poison: bool = False) -> int:
        """Messages in all queues, invisible ones too; or in the poison queues."""
        found = 0
        for queue in self.queues.list_queues():
            if poison == str(queue.name).endswith("-poison"):
                properties = self.queues.get_queue_client(str(queue.name)).get_queue_properties()
                found += properties.approximate_message_count or 0
        return found


class Prover:
    """Looks at everything; `findings` has a sentence for each thing that is not as it should be."""

    def __init__(self, stack: Stack, storage: Storage, fates: list[Fate], recordings: dict[int, str]) -> None:
        self.findings: list[str] = []
        self.summary: dict[str, Any] = {}
        self._stack = stack
        self._storage = storage
        self._fates = fates
        self._recordings = recordings
        self._places: dict[str, set[str]] = {name: set(storage.names(name)) for name in (MAIN, SECOND, LATER)}
        self._explained: dict[str, set[str]] = {name: set() for name in self._places}
        self._safe_documents: set[str] = set()

    def run(self, *, is_settled: bool) -> None:
        """The whole proof."""
        if not is_settled:
            self.findings.append("the run did not come to rest in its time")
        counted: Counter[str] = Counter()
        routes: Counter[str] = Counter()
        tries: list[int] = []
        for fate in self._fates:
            recording_id = self._recordings.get(fate.number)
            if recording_id is None:
                self.findings.append(f"recording {fate.number} ({fate.story}) was never started")
                continue
            story = self._one(fate, recording_id, counted)
            routes[str(story.get("route"))] += 1
            tries.append(int(story.get("attempts", 0)))
        self._leftovers(counted)
        self.summary = {
            "routes": dict(routes),
            "tries": {"sum": sum(tries), "median": statistics.median(tries or [0]), "most": max(tries, default=0)},
            **counted,
        }

    # --- one recording

    def _one(self, fate: Fate, recording_id: str, counted: Counter[str]) -> dict[str, Any]:
        label = f"recording {fate.number} ({fate.story})"
        try:
            path = f"/api/recordings/{quote(recording_id, safe='')}"
            story: dict[str, Any] = ask(self._stack.host_url, path)
        except (OSError, RuntimeError) as error:
            self.findings.append(f"{label}: the app does not tell its story: {error}")
            return {}
        truth = self._stack.acs.truth(recording_id)
        label = f"recording {fate.number} ({fate.story}, key {story['key']})"
        if story["state"] != "complete" or not story.get("closedAt"):
            states = [(chunk["index"], chunk["state"], chunk.get("lastError")) for chunk in story["chunks"]]
            self.findings.append(f"{label}: {story['state']}, closed {story.get('closedAt')}: {states}")
        known = {chunk["documentId"]: chunk for chunk in story["chunks"]}
        if set(known) != {real["documentId"] for real in truth["chunks"]}:
            self.findings.append(f"{label}: the app knows {len(known)} chunks, ACS made {len(truth['chunks'])}")
        made = self._stack.acs.resource.find(recording_id)
        for real, chunk in zip(truth["chunks"], made.chunks, strict=True):
            own = known.get(real["documentId"], {})
            is_whole = self._chunk(f"{label} chunk {real['index']}", own, real, chunk_metadata(made, chunk))
            counted["chunks whole"] += is_whole
            counted["bytes compared"] += real["bytes"] if is_whole else 0
            counted["handovers"] += own.get("continuations", 0)
            counted["crashes met by chunks"] += own.get("crashes", 0)
            if is_whole:
                self._safe_documents.add(real["documentId"])
            self._late(label, own, real, counted)
        self._manifest(label, story, truth)
        counted["recordings whole"] += story["state"] == "complete"
        counted["alerts raised"] += len(story["alerts"])
        return story

    def _chunk(self, label: str, own: dict[str, Any], real: dict[str, Any], metadata: bytes) -> bool:
        before = len(self.findings)
        if own.get("where") != "destination":
            self.findings.append(f"{label} is not in the destination: {own.get('state')}")
            return False
        found = self._read(own["blob"])
        if found is None or (len(found), hashlib.sha256(found).hexdigest()) != (real["bytes"], real["sha256"]):
            self.findings.append(f"{label}: {'no blob' if found is None else 'other bytes'} at {own['blob']}")
        if own.get("size") != real["bytes"] or own.get("sha256") not in (None, real["sha256"]):
            self.findings.append(f"{label}: the ledger says {own.get('size')} bytes, SHA-256 {own.get('sha256')}")
        if own["state"] != "exported" and own.get("sha256") is None:
            self.findings.append(f"{label}: rescued, and the ledger has no checksum")
        if not own.get("metadataBlob") or self._read(own["metadataBlob"]) != metadata:
            self.findings.append(f"{label}: metadata is missing or differs: {own.get('metadataBlob')}")
        elif own["metadataBlob"].rpartition("/")[0] != own["blob"].rpartition("/")[0]:
            self.findings.append(f"{label}: the metadata is not beside the media: {own['metadataBlob']}")
        return len(self.findings) == before

    def _late(self, label: str, own: dict[str, Any], real: dict[str, Any], counted: Counter[str]) -> None:
        """ACS's own export that came after a rescue is a second file, explained; it must be whole too."""
        for url in real["blobUrls"]:
            if url in (own.get("blob"), own.get("metadataBlob")):
                continue
            data = self._read(url)
            if data is None:
                continue
            if not url.endswith(".json"):
                counted["late exports beside a rescue"] += 1
                if hashlib.sha256(data).hexdigest() != real["sha256"]:
                    self.findings.append(f"{label}: ACS's late export was changed: {url}")

    def _manifest(self, label: str, story: dict[str, Any], truth: dict[str, Any]) -> None:
        name = story["manifest"].get("blob")
        base = "/".join(story["containerUrl"].split("/")[:5])
        data = self._read(f"{base}/{name}") if name else None
        if data is None:
            self.findings.append(f"{label}: there is no manifest")
            return
        listed = {one["documentId"]: one for one in json.loads(data)["chunks"]}
        for real in truth["chunks"]:
            one = listed.get(real["documentId"], {})
            if one.get("size") != real["bytes"] or one.get("sha256") not in (None, real["sha256"]):
                self.findings.append(f"{label}: the manifest says of chunk {real['index']}: {one}")

    # --- what must not be there

    def _leftovers(self, counted: Counter[str]) -> None:
        storage = self._storage
        for container, there in self._places.items():
            unexpected = sorted(there - self._explained[container])
            self.findings.extend(f"an unexpected file in {container}: {name}" for name in unexpected)
        self.findings.extend(f"left in the fallback: {name}" for name in storage.names(FALLBACK))
        for container in (*self._places, FALLBACK):
            for name in storage.uncommitted(container):
                match = _MEDIA.fullmatch(name.rpartition("/")[2])
                if name != _PROBE and (match is None or match[2] not in self._safe_documents):
                    self.findings.append(f"staged blocks that nothing explains in {container}: {name}")
                counted["names with staged blocks left (storage drops them in a week)"] += name != _PROBE
        self.findings.extend(f"an open marker: {name}" for name in storage.markers())
        self.findings.extend(f"a rejected event: {name}" for name in storage.names(REJECTED))
        if poison := storage.messages(poison=True):
            self.findings.append(f"{poison} messages in the poison queues")
        if waiting := storage.messages():
            self.findings.append(f"{waiting} messages in the queues")
        if (made := len(self._stack.acs.resource.recordings())) != len(self._fates):
            self.findings.append(f"{made} recordings were started at ACS, not {len(self._fates)}")
        undelivered = [one for one in self._stack.eventgrid.deliveries if one.state != "delivered"]
        self.findings.extend(f"an event was not delivered: {one.state} {one.reason}" for one in undelivered)

    def _read(self, url: str) -> bytes | None:
        """A blob by its plain URL; it is explained then."""
        account = self._storage.blobs.account_name
        container, _, name = unquote(urlsplit(url).path).removeprefix(f"/{account}/").partition("/")
        self._explained.setdefault(container, set()).add(name)
        try:
            data: bytes = self._storage.blobs.get_blob_client(container, name).download_blob().readall()
        except ResourceNotFoundError:
            return None
        return data
