"""Every request of a recording, counted and named: exported well, rescued small, rescued large, retried fifty times.
`make bench-requests`. The app in this process, with the real SDKs, over Azurite and the bench's media source.
"""

from __future__ import annotations

import argparse
import io
import json
import time
import wave
from collections import Counter
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from azure.storage.blob import BlobServiceClient

from bench.clients import CONTAINER, MIB, Task, Whole, failed_export, settings_of
from bench.measure import machine
from bench.report import Goal, write
from bench.servers import Servers
from local.azurite import Azurite
from shared import index
from shared.adapters import acs, blob
from shared.adapters.transport import LocalOriginTransport, Transport
from shared.app import azure_ports, compose
from shared.domain.naming import recording_key
from shared.domain.recording import Recording, Started

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shared.app import App

# Kind of request → why it is there. A kind that is not named here ends the run.
REASONS = {
    "ids: list": "whose recording is it? Asked by its own id, then by its call's",
    "aliases: list": "the call may be a group call or a room that a recording was started for",
    "open: get": "the document is decided on as it is; a message carries none of it",
    "closed: get": "none is open: an event after the close must not begin a second document beside the closed one",
    "closed: head": "a new document is no second one: none was opened and closed between the look and the write",
    "open: put": "the plan before its message; the lease before bytes move; an outcome that leads nowhere at once",
    "closed: put": "the document is archived: only a higher revision replaces it",
    "open: delete": "only after the closed copy is there; a reader finds one of them at any time",
    "ids: put": "found by its call's id afterwards",
    "finished: put": "listed and searched once it is closed",
    "recordings: list": "is it there? ACS may export late, or name its own URL all the same; an attempt may have died",
    "recordings: head": "is the metadata of the reported export there?",
    "recordings: get": "is the reported export there, and is it media: its structure and, of a small one, its SHA-256",
    "recordings: get blocklist": "is a file made of this app's blocks; after a commit, of those that were sent",
    "recordings: put": "the file of one block; the metadata; the manifest",
    "recordings: put block": "a block, with its checksum",
    "recordings: put blocklist": "the commit, where nothing of that name is",
    "fallback: list": "ACS gives nothing: did an attempt that died leave the file in the fallback?",
    "queue: put": "one message a plan, after the document",
    "queue: get and delete": "the host takes the message, and deletes it when the function has returned",
    "ACS: GET": "the media by ranges; the metadata",
    "ACS: HEAD": "how many bytes ACS says it has",
}


@dataclass
class Log:
    """The kinds of requests, in order."""

    made: list[str] = field(default_factory=list)

    def add(self, request: Any) -> None:
        """One request of a client."""
        parts = urlsplit(request.url)
        path, query = parts.path.strip("/").split("/"), parse_qs(parts.query)
        comp = query.get("comp", [""])[0]
        method = {"PUT": "put", "GET": "get", "HEAD": "head", "DELETE": "delete", "POST": "post"}[request.method]
        container = path[1] if len(path) > 1 else ""
        place = container.removeprefix("recording-")
        if container == "recording-ledger":
            place = (path[2] if len(path) > 2 else query.get("prefix", ["?"])[0]).split("/")[0]
        if comp == "list":
            self.made.append(f"{place}: list")
        else:
            self.made.append(f"{place}: {method} {comp}".strip())

    def storage(self) -> Counter[str]:
        """How many of each kind, without ACS's."""
        return Counter(kind for kind in self.made if not kind.startswith("ACS"))


@contextmanager
def _counting(log: Log) -> Iterator[None]:
    """Both kinds of transport note what they send, while clients are made within it."""

    class Counted(Transport):
        def send(self, request: Any, **kwargs: Any) -> Any:
            log.add(request)
            return super().send(request, **kwargs)

    class CountedAcs(LocalOriginTransport):
        def send(self, request: Any, **kwargs: Any) -> Any:
            log.made.append(f"ACS: {request.method}")
            return super().send(request, **kwargs)

    def pooled(connections: int, *, read_bytes: int, read_seconds: float | None = None) -> Transport:
        return Counted(connections, read_bytes=read_bytes, read_seconds=read_seconds)

    places = ((vars(blob), "pooled_transport", pooled), (vars(acs), "LocalOriginTransport", CountedAcs))
    before = [(place, name, place[name]) for place, name, _ in places]
    for place, name, counted in places:
        place[name] = counted
    try:
        yield
    finally:
        for place, name, own in before:
            place[name] = own


class Clock:
    """Moves only when it is set."""

    def __init__(self) -> None:
        self.moment = datetime.now(UTC)

    def now(self) -> datetime:
        """See the port."""
        return self.moment

    def pause(self, seconds: float) -> None:
        """See the port."""
        self.moment += timedelta(seconds=seconds)


class Queue:
    """Holds messages until they are due; each costs the app one request, and the host two."""

    def __init__(self, log: Log, clock: Clock) -> None:
        self._log = log
        self._clock = clock
        self.held: list[tuple[datetime, Any]] = []

    def send(self, message: Any, *, delay: timedelta, **_: Any) -> None:
        """See the port."""
        self._log.made += ["queue: put", "queue: get and delete", "queue: get and delete"]
        self.held.append((self._clock.now() + delay, message))

    def drain_poison(self, *, limit: int) -> list[Any]:  # noqa: ARG002 - the port's
        """See the port."""
        return []

    def take(self) -> Any:
        """The message that is due first, at its moment; None where there is none."""
        if not self.held:
            return None
        self.held.sort(key=lambda held: held[0])
        due, message = self.held.pop(0)
        self._clock.moment = max(self._clock.moment, due)
        return message


class World:
    """The app over Azurite and a source, and the log of its requests."""

    def __init__(self, azurite: Azurite, source: str) -> None:
        self.log = Log()
        self.clock = Clock()
        self.queue = Queue(self.log, self.clock)
        self.azurite = azurite
        settings = settings_of({"storage": azurite.connection_string, "source": source})
        settings = replace(settings, digest_exports=True)
        queue: Any = self.queue
        self.app: App
        with _counting(self.log):
            ports = replace(azure_ports(settings), queue=queue, clock=self.clock)
            self.app = compose(settings, ports)
            ports.containers.fallback()
            # Containers are made, clients built, and the account has shown which checksum it verifies.
            self.tell(event("warm", 300_000))
            self.work()

    def tell(self, raw: dict[str, Any]) -> None:
        """An event comes."""
        self.app.intake.handle(json.dumps([raw]))

    def start(self, tag: str) -> None:
        """The recording was started here: ACS's answer is in the ledger, and its ids lead to it."""
        recording_id = event(tag, 0)["data"]["recordingId"]
        key, now = recording_key(recording_id), self.clock.now()
        started = Started("serverCallId", f"{tag}-server", "audio", "mixed", "wav", now)
        recording = Recording(
            key=key,
            container_url=str(self.app.settings.default_container),
            created_at=now - timedelta(minutes=5),
            recording_id=recording_id,
            server_call_id=f"{tag}-server",
            started=started,
            event_check_at=now + timedelta(hours=4),
        )
        store = self.app.store
        store.commit(key, None, lambda _: recording)
        for identity in (recording_id, f"{tag}-server"):
            index.remember(store.ledger, identity, key=key, at=recording.created_at, role=index.STARTED)

    def work(self, *, most: int = 10_000) -> int:
        """Handles up to that many messages; how many there were."""
        for count in range(most):
            message = self.queue.take()
            if message is None:
                return count
            self.app.worker.handle(message, message_id=f"m{count}")
        return most


def minute() -> bytes:
    """A minute of silence as a WAV, which is what the events say."""
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setparams((1, 1, 8000, 0, "NONE", ""))
        out.writeframes(bytes(60 * 8000))
    return file.getvalue()


def event(tag: str, size: int | str, *, export: str | None = None) -> dict[str, Any]:
    """A recording's one event: a failed export of `size` bytes, or one to the URL `export`."""
    location = f"https://eu-api.asm.skype.com/v1/objects/{tag}-0/{size}/content/video"
    raw = failed_export(location, f"{tag}/0.wav")
    # As real events have them: the ids that lead to a recording started here, and to its folder.
    raw["subject"] = f"/recording/call/{tag}-call/serverCallId/{tag}-server/recordingId/{raw['data']['recordingId']}"
    chunk = raw["data"]["recordingStorageInfo"]["recordingChunks"][0]
    if export:
        chunk["contentLocation"] = export
        chunk["metadataLocation"] = export.replace(".wav", "-acsmetadata.json")
    return raw


def stories(world: World, *, retries: int) -> dict[str, Log]:
    """Each story's requests, from its event to its closed document (of the last one: as far as it goes)."""
    found: dict[str, Log] = {}

    def story(name: str, delivery: dict[str, Any], *, most: int = 10_000) -> None:
        world.log.made.clear()
        world.tell(delivery)
        world.work(most=most)
        found[name] = Log(list(world.log.made))

    for tag in ("well", "small"):
        world.start(tag)
    story("exported well", event("well", 0, export=_exported(world, "well")))
    story("exported well, not started here", event("other", 0, export=_exported(world, "other")))
    story("rescued, 300 kB", event("small", 300_000))
    story("rescued, 300 kB, not started here", event("small2", 300_000))
    story("rescued, 64 MiB, not started here", event("large", 64 * MIB))
    # The source answers 404 to a path that names no size, as often as it is asked.
    story(f"asked {retries} times for what ACS does not have", event("retried", "nothing"), most=retries)
    return found


def _exported(world: World, tag: str) -> str:
    """The URL of a file, its metadata beside it, where ACS would have put them."""
    name = f"{world.clock.now():%Y%m%d}/{tag}-call/folder/0-{tag}-0.wav"
    with BlobServiceClient.from_connection_string(world.azurite.connection_string) as service:
        container = service.get_container_client(CONTAINER)
        container.upload_blob(name, minute())
        container.upload_blob(name.replace(".wav", "-acsmetadata.json"), b"{}")
        return str(container.get_blob_client(name).url)


def run(*, retries: int) -> dict[str, Log]:
    """All stories."""
    with Servers(processes=1) as servers, ExitStack() as stack:
        azurite = stack.enter_context(Azurite())
        with BlobServiceClient.from_connection_string(azurite.connection_string) as service:
            service.create_container(CONTAINER)
        return stories(World(azurite, servers.source), retries=retries)


def cpu(*, count: int) -> dict[str, float]:
    """Milliseconds of CPU of this process for an event, and for a rescue of 300 kB, over the bench's sink."""
    with Servers(processes=1) as servers:
        whole = Whole({"storage": servers.storage, "source": servers.source})
        found = {}
        for tag, number in (("warm", 5), ("cpu", count)):
            task, begun = Task(300_000, number, tag), time.process_time()
            whole.prepare(task)
            reported = time.process_time()
            whole.run(task)
            found = {"event": (reported - begun) / number, "rescue": (time.process_time() - reported) / number}
    return {name: round(seconds * 1e3, 2) for name, seconds in found.items()}


def table(found: dict[str, Log]) -> str:
    """Kinds of requests by story, with the reason for each."""
    kinds = sorted({kind for log in found.values() for kind in log.made})
    unknown = [kind for kind in kinds if kind not in REASONS]
    if unknown:
        raise RuntimeError(f"requests without a reason: {', '.join(unknown)}")
    names = list(found)
    lines = [f"| request | {' | '.join(names)} | why |", "|---|" + "---|" * (len(names) + 1)]
    for kind in kinds:
        counts = " | ".join(str(log.made.count(kind) or "") for log in found.values())
        lines.append(f"| {kind} | {counts} | {REASONS[kind]} |")
    sums = " | ".join(f"**{log.storage().total()}**" for log in found.values())
    lines.append(f"| **storage, all** | {sums} | |")
    return "\n".join(lines)


def main() -> None:
    """The program."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer retries, nothing published")
    quick = parser.parse_args().quick
    about = machine()
    found = run(retries=5 if quick else 50)
    text = table(found)
    print(text)
    if quick:
        return
    used = cpu(count=200)
    line = "CPU of this process, over the sink: {event} ms an event, {rescue} ms the rescue of 300 kB after it."
    text = f"{text}\n\n{line.format(**used)}"
    totals = {name: log.storage().total() for name, log in found.items()}
    goals = [
        Goal("storage requests of a small rescue", totals["rescued, 300 kB"], 14, is_most=True),
        Goal("storage requests of a recording exported well", totals["exported well"], 10, is_most=True),
        Goal("CPU of an event, ms", used["event"], 2.5, is_most=True),
        Goal("CPU of a small rescue, event to closed, ms", used["event"] + used["rescue"], 10, is_most=True),
    ]
    counts = {name: Counter(log.made) for name, log in found.items()}
    write("requests", about=about, results={"counts": counts, "cpu_ms": used}, text=text, goals=goals)


if __name__ == "__main__":
    main()
