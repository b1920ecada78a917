"""The fakes under trouble: every call of a port passes one gate, which fails it, slows it, loses its answer, kills its
process or lets another function run in between, as the seed says.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from shared.domain.codec import decode, encode
from shared.domain.errors import Blame, MediaNotFound, PreconditionFailed, RecorderError, StorageError, Unexpected
from shared.domain.locations import ContainerUrl
from shared.domain.recording import Recording
from tests.simulation.liar import lie_of
from tests.simulation.trouble import after_lost_answer, error_of, refusal_of
from tests.support.fakes import (
    FakeContainer,
    FakeContainers,
    FakeLedger,
    FakeMedia,
    MediaFile,
    World,
    settings,
    watched,
)
from tests.support.fakes.acs import honest
from tests.support.fakes.storage import Blob

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime
    from random import Random

    from shared.app import App
    from shared.domain.locations import AllowList
    from shared.ports import Container, MediaResponse, RescueMessage
    from tests.simulation.trouble import Trouble
    from tests.simulation.truth import TrueChunk

BLOCK_BYTES = 600
CONTAINERS = (
    ContainerUrl.parse("https://customer.blob.core.windows.net/recordings"),
    ContainerUrl.parse("https://customer.blob.core.windows.net/others/team"),
)
# Nine chunks of which ACS gives nothing for a day cost some 70 000.
MOST_EFFECTS = 120_000
# What a call takes.
_STEPS = tuple(timedelta(milliseconds=count) for count in range(1, 40))
# What changes the world: between any two of these a process may die.
CHANGES = frozenset(
    {"save", "put_marker", "delete_marker", "put_note", "send", "drain_poison", "alert", "start_recording"}
    | {"stage", "commit", "put", "copy_from", "delete", "note_sha256"}
)
WRITES = frozenset({"stage", "commit", "put", "copy_from", "delete", "note_sha256", "probe"})


class Crash(BaseException):
    """The process is gone. Not an Exception: nothing in the app may catch it."""


class Violation(AssertionError):
    """An invariant is broken."""


class SimLedger(FakeLedger):
    """Keeps recordings as they are. Each tenth goes through its document, and late in a long world, which only repeats
    itself, each hundredth: it costs most of a run otherwise.
    """

    def __init__(self) -> None:
        super().__init__()
        self.kept: dict[str, tuple[Recording, str]] = {}
        self._saves = 0

    def load(self, key: str) -> tuple[Recording, str] | None:
        return self.kept.get(key)

    def save(self, recording: Recording, *, etag: str | None) -> str:
        standing = self.kept.get(recording.key)
        if (standing[1] if standing else None) != etag:
            raise PreconditionFailed
        for chunk in recording.chunks:
            if chunk.last_error and chunk.last_error.code == Unexpected.code:
                raise Violation(f"a try of chunk {chunk.index} met a bug: {chunk.last_error.message}")
        self._saves += 1
        if self._saves % (10 if self._saves < 200 else 100) == 0:
            recording = decode(Recording, encode(recording))
        self.kept[recording.key] = (recording, str(self._saves))
        return str(self._saves)

    def recording(self, key: str) -> Recording:
        return self.kept[key][0]


class WitnessContainer(FakeContainer):
    """Remembers when each blob was written, and by whom; nothing but a manifest may be written twice."""

    def __init__(
        self,
        *,
        blame: Blame,
        clock: Callable[[], datetime],
        on_manifest: Callable[[WitnessContainer, bytes], None] = lambda _container, _data: None,
    ) -> None:
        super().__init__(blame=blame)
        self._clock = clock
        self._on_manifest = on_manifest
        self.written: dict[str, tuple[datetime, str]] = {}

    def _write(self, name: str, blob: Blob) -> None:
        is_manifest = name.rpartition("/")[2].startswith("manifest.")
        if is_manifest:
            self._on_manifest(self, blob.data)
        elif name in self.blobs:
            raise Violation(f"{name} is overwritten")
        super()._write(name, blob)
        self.written[name] = (self._clock(), "app")

    def export(self, name: str, data: bytes) -> bool:
        """ACS puts a file there, unless there is one; whether it could."""
        if name in self.blobs and self.blobs[name].data:
            return False
        self.blobs.pop(name, None)
        super()._write(name, Blob(data, "", "application/octet-stream"))
        self.written[name] = (self._clock(), "acs")
        return True


class SimContainers(FakeContainers):
    """Containers behind the gate."""

    def __init__(self, allowed: AllowList, sim: SimWorld) -> None:
        super().__init__(allowed)
        self._sim = sim
        self.own = WitnessContainer(blame=Blame.APP, clock=sim.now)
        self._fallback: Container = sim.gated("fallback", self.own)
        for place in allowed.places:
            key = (place.account_url, place.container)
            told = WitnessContainer(blame=Blame.DESTINATION, clock=sim.now, on_manifest=sim.told)
            self.places.setdefault(key, told)
        self._gated: dict[tuple[str, str], Container] = {
            key: sim.gated("destination", container) for key, container in self.places.items()
        }

    def destination(self, container: ContainerUrl) -> Container:
        super().destination(container)
        return self._gated[container.account_url, container.container]

    def fallback(self) -> Container:
        return self._fallback


class SimMedia(FakeMedia):
    """ACS's media host: not there before its time, gone after it, and under trouble a liar."""

    def __init__(self, sim: SimWorld) -> None:
        super().__init__()
        self._sim = sim
        self.chunks: dict[str, tuple[TrueChunk, datetime]] = {}
        self.metadata: dict[str, TrueChunk] = {}
        self.deletions: dict[str, TrueChunk] = {}
        self.gone: set[str] = set()
        self._opened: dict[str, MediaFile] = {}

    def add(self, chunk: TrueChunk, *, gone_at: datetime) -> None:
        self.chunks[chunk.location] = (chunk, gone_at)
        self.metadata[chunk.metadata_location] = chunk
        if chunk.delete_location:
            self.deletions[chunk.delete_location] = chunk

    def _there(self, chunk: TrueChunk) -> None:
        _, gone_at = self.chunks[chunk.location]
        if self._sim.now() >= gone_at or chunk.document_id in self.gone:
            raise MediaNotFound("404")

    @contextmanager
    def open(self, location: str, *, start: int, length: int) -> Iterator[MediaResponse]:
        found = self.chunks.get(location)
        if found is None:
            raise MediaNotFound("404")
        chunk, now = found[0], self._sim.now()
        self._there(chunk)
        file = chunk.version(now)
        if now < chunk.ready_at:
            if chunk.early == "missing":
                raise MediaNotFound("404")
            file = MediaFile(b"", file.content_type, file.etag)
        elif chunk.changes_quietly:
            file = self._quiet(chunk, start)
        yield (self._sim.lie() or honest)(file, start, length)

    def _quiet(self, chunk: TrueChunk, start: int) -> MediaFile:
        """Changes between two tries, never within one, where nobody could tell: so not while others are at it."""
        if start == 0 and not self._sim.preempt_rate:
            self._opened[chunk.document_id] = chunk.version(self._sim.now())
        return self._opened.get(chunk.document_id, chunk.versions[0][1])

    def read_all(self, location: str, *, limit: int) -> bytes:  # noqa: ARG002 - the port's; all are small here
        chunk = self.metadata.get(location)
        if chunk is None:
            raise MediaNotFound("404")
        self._there(chunk)
        return chunk.metadata if self._sim.lie() is None else b"<html>Service unavailable</html>"

    def delete(self, location: str) -> None:
        chunk = self.deletions.get(location)
        if chunk is None:
            raise Violation(f"{location} is not to be deleted")
        self._sim.on_delete(chunk)
        self.gone.add(chunk.document_id)


class SimWorld(World):
    """All fakes behind the gate, and several processes of the app over them."""

    def __init__(self, random: Random, *, begins: datetime, troubles: list[Trouble], processes: int) -> None:
        given = settings(
            places=CONTAINERS,
            block_bytes=BLOCK_BYTES,
            delivery_window=timedelta(days=2),
            delete_at_acs=random.random() < 0.25,
            silent_after=timedelta(hours=random.choice((1, 4))),
        )
        super().__init__(given, now=begins)
        self.rng = random
        self.random = random
        self.troubles = troubles
        self._sort_troubles()
        self.refusals = {trouble: refusal_of(random) for trouble in troubles if trouble.kind == "refusal"}
        self.preempt_rate = random.choice((0, 0, 0.02, 0.1))
        self.effects = 0
        self.writes = 0  # counted before and after each change of the world
        self.crash_points = sorted(random.sample(range(1, 120), random.choice((0, 0, 1, 3))))
        self.crashed_at: list[datetime] = []
        self.trace: list[str] = []
        self.busy: list[int] = []  # processes with a function under way
        self.between: Callable[[], None] = lambda: None
        self.on_delete: Callable[[TrueChunk], None] = lambda _chunk: None
        self.on_manifest: Callable[[WitnessContainer, bytes], None] = lambda _container, _data: None
        self.sim_ledger = self.ledger = SimLedger()
        self.sim_media = SimMedia(self)
        self.sim_containers = SimContainers(given.allowed, self)
        self.containers = self.sim_containers
        self.media = self.sim_media
        self.queue._keep_rejected = self.ledger.keep_rejected
        self.ports = replace(
            self.ports,
            acs=self.gated("acs", self.acs),
            media=self.gated("media", self.sim_media),
            containers=self.sim_containers,
            ledger=self.gated("ledger", self.ledger),
            queue=self.gated("queue", self.queue),
            notifier=self.gated("notifier", self.notifier),
            random=random,
        )
        self.processes: list[App] = [self.app() for _ in range(processes)]

    def _sort_troubles(self) -> None:
        """By service, and till when there are any: asked several times at each effect."""
        self._troubles: dict[str, list[Trouble]] = {}
        for one in self.troubles:
            self._troubles.setdefault(one.service, []).append(one)
        self._troubled_until = {service: max(t.end for t in its) for service, its in self._troubles.items()}

    def mend(self) -> None:
        """Somebody mends now what nobody else would have."""
        for number, one in enumerate(self.troubles):
            if one.end > self.now():
                self.troubles[number] = mended = replace(one, end=self.now())
                self.refusals[mended] = self.refusals[one]
        self._sort_troubles()

    def now(self) -> datetime:
        return self.clock.moment

    def told(self, container: WitnessContainer, data: bytes) -> None:
        self.on_manifest(container, data)

    def say(self, text: str) -> None:
        self.trace.append(f"{self.now():%d %H:%M:%S} {'  ' * len(self.busy)}{text}")

    def on(self, service: str, *kinds: str) -> Sequence[Trouble]:
        """What troubles the service now."""
        now = self.clock.moment
        if service not in self._troubles or now >= self._troubled_until[service]:
            return ()
        return [one for one in self._troubles[service] if one.kind in kinds and one.is_on(now)]

    def lie(self) -> Callable[[MediaFile, int, int], MediaResponse] | None:
        """A lie, if the media host tells one now."""
        for trouble in self.on("media", "lie", "range"):
            if self.rng.random() < trouble.rate:
                return lie_of(self.rng, trouble.kind)
        return None

    def gated(self, service: str, port: Any) -> Any:
        """`port`, each call of it through the gate."""

        def around(name: str, call: Callable[[], Any], arguments: tuple[Any, ...]) -> Any:
            if name == "send":
                self._check_order(arguments[0])
            return self._pass(service, name, call)

        return watched(port, around)

    def _check_order(self, message: RescueMessage) -> None:
        """Ledger first, then queue: a message's plan stands already."""
        found = self.ledger.load(message.recording_key)
        chunk = found[0].chunk(message.chunk_key) if found else None
        if chunk is None or chunk.ticket < message.ticket:
            raise Violation("a message was sent before its try stood in the ledger")

    def _pass(self, service: str, name: str, call: Callable[[], Any]) -> Any:
        self.effects += 1
        if self.effects > MOST_EFFECTS:
            raise Violation("an endless loop: too many effects")
        self.clock.moment += _STEPS[self.rng.randrange(39)]
        for trouble in self.on(service, "slow"):
            self.clock.advance(timedelta(seconds=60 * trouble.rate * self.rng.random()))
        if name in CHANGES:
            self.writes += 1
            self._crash(f"before {service}.{name}")
        if self.rng.random() < self.preempt_rate and len(self.busy) < len(self.processes):
            self.between()
        self._refuse(service, name)
        result = call()
        if name in CHANGES:
            self.writes += 1
            self._crash(f"after {service}.{name}")
        for trouble in self.on(service, "lost"):
            if self.rng.random() < trouble.rate and name != "open":
                error = after_lost_answer(self.rng, service, name)
                self.say(f"lost answer of {service}.{name}: {error.code}")
                raise error
        return result

    def _refuse(self, service: str, name: str) -> None:
        for trouble in self.on(service, "refusal"):
            error = self.refusals[trouble]
            if name in WRITES or error.code in ("container_missing", "storage_network_denied"):
                raise type(error)(str(error), blame=error.blame)
        for trouble in self.on(service, "error"):
            if self.rng.random() < trouble.rate:
                error_ = error_of(self.rng, service, name)
                self.say(f"{service}.{name}: {error_.code}")
                raise error_

    def _crash(self, where: str) -> None:
        if self.busy and self.crash_points and self.writes == self.crash_points[0]:
            self.crash_points.pop(0)
            self.say(f"crash at write {self.writes}, {where}")
            self.crashed_at.append(self.now())
            raise Crash
        for trouble in self.on("worker", "crash"):
            if self.busy and self.rng.random() < trouble.rate:
                self.say(f"crash {where}")
                self.crashed_at.append(self.now())
                raise Crash

    def run(self, what: str, function: Callable[[App], None], *, expected: type[RecorderError] = StorageError) -> bool:
        """Runs one function in one of the processes; whether it returned. A crash costs that process its memory."""
        number = self.rng.choice([one for one in range(len(self.processes)) if one not in self.busy])
        self.say(f"{what} [{number}]")
        self.busy.append(number)
        try:
            function(self.processes[number])
        except Crash:
            self.processes[number] = self.app()
            raise
        except (StorageError, expected) as error:
            self.say(f"raised {error.code}: {error}")
            return False
        finally:
            self.busy.remove(number)
        return True
