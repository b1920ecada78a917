"""The services of a world: the fakes that the contract suite holds, with what a simulation adds to them.

Small pages, media that lie and media that leave ACS, messages that are doubled or vanish, blocks that the service drops
after a week; and checks that every write is one that may follow the last.
"""

from __future__ import annotations

import json
from collections import deque
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, is_dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from shared.domain.codec import decode, encode, format_time, parse_time
from shared.domain.errors import MediaUnavailable, PreconditionFailed
from shared.domain.recording import IN_PLACE_STATES, ChunkState, Recording
from shared.ports import Lane, MediaResponse, OpenEntry, Version
from tests.simulation.scheduler import ViolationError
from tests.simulation.troubles import Kind
from tests.support.fakes import Delivery, FakeContainer, FakeContainers, FakeLedger, FakeMedia, FakeQueue, lies

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shared.domain.locations import AllowList
    from shared.domain.recording import Chunk
    from shared.ports import WorkItem
    from tests.simulation.world import World
    from tests.support.fakes import MediaFile

# Answers that contradict themselves or say that they are not whole. A wrong byte under the right length, and a shorter
# length that holds together, look like the truth, and are not drawn.
LIES = (
    lies.breaking_off(300),
    lies.cut_short(100),
    lies.quietly_short(100),
    lies.whole,
    lies.whole_quietly_short,
    lies.whole_without_length,
    lies.whole_without_end,
    lies.whole_broken_off,
    lies.empty,
    lies.empty_without_length,
    lies.page,
    lies.page_as_media,
    lies.wrong_range,
    lies.unreadable_range,
    lies.changed_etag,
    lies.too_long,
)
BLOCK_LIFE = timedelta(days=7)
_FIELDS = tuple(one.name for one in fields(Recording))


class _Json:
    """Recordings as they are read again: every part goes through its JSON, once."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[Any, Any]] = {}
        self._count = 0

    def through(self, recording: Recording) -> Recording:
        """What a reader gets of the document that `recording` is written as."""
        self._count += 1
        read = Recording(**{name: self._value(getattr(recording, name)) for name in _FIELDS})
        assert self._count % 20 or read == decode(Recording, encode(recording)), "its parts are not the whole"
        return read

    def _value(self, value: Any) -> Any:
        if isinstance(value, tuple):
            return tuple([self._value(item) for item in value])
        if isinstance(value, datetime):
            return parse_time(format_time(value))
        return self._part(value) if is_dataclass(value) else value

    def _part(self, value: Any) -> Any:
        known = self._known.get(id(value))
        if known is not None and known[0] is value:
            return known[1]
        read = decode(type(value), encode(value))
        self._known[id(value)] = (value, read)
        self._known[id(read)] = (read, read)
        return read


class SimLedger(FakeLedger):
    """Documents as they are read again, by key; each went through its JSON."""

    open: dict[str, tuple[Any, str, OpenEntry]]
    closed: dict[str, tuple[Any, str]]

    def __init__(self, world: World) -> None:
        super().__init__()
        self._world = world
        self._json = _Json()

    def load(self, key: str) -> Version | None:
        if key in self.open:
            return Version(self.open[key][0], self.open[key][1])
        return Version(*self.closed[key], is_open=False) if key in self.closed else None

    def _put(self, recording: Recording, entry: OpenEntry) -> str:
        self._check(recording, entry)
        new = f'"{next(self._versions)}"'
        self.open[recording.key] = (self._json.through(recording), new, entry)
        return new

    def archive(self, recording: Recording, *, etag: str | None, closed: str | None = None) -> str:
        """In two requests, as the adapter does it: a process can die between them."""
        found = self.closed.get(recording.key)
        if etag is None and (found[1] if found else None) != closed:
            raise PreconditionFailed
        if etag is not None or recording.key not in self.open:  # else it is refused below, and the open one counts
            self._check(recording, None)
        if etag is None or found is None or found[0].revision < recording.revision:
            found = self.closed[recording.key] = (self._json.through(recording), f'"{next(self._versions)}"')
        self._world.between("ledger", "archive")
        if etag is not None:
            self.remove(recording.key, etag=etag)
        elif recording.key in self.open:
            raise PreconditionFailed
        return found[1]

    def recordings(self) -> list[Recording]:
        """All of them as they are."""
        documents: dict[str, Any] = dict(self.documents)
        return [document[0] for document in documents.values()]

    def _check(self, after: Recording, entry: OpenEntry | None) -> None:
        try:
            self._may_follow(after, entry)
        except AssertionError as error:
            raise ViolationError(str(error)) from error

    def _may_follow(self, after: Recording, entry: OpenEntry | None) -> None:
        """Bytes in place stay so, the timeline only grows, an alert is owed until it was published."""
        assert entry is None or entry.due is not None, f"nothing is due: {after}"
        version = self.load(after.key)
        if version is None or version.recording.revision >= after.revision:
            return
        before = version.recording
        assert {(one.kind, one.chunk, one.code, one.by) for one in before.timeline} <= {
            (one.kind, one.chunk, one.code, one.by) for one in after.timeline
        }, "the timeline forgot something"
        for chunk in before.chunks:
            if chunk.state in IN_PLACE_STATES:
                now = after.chunk(chunk.key)
                assert now is not None, f"{chunk.key} is gone"
                if now.state is ChunkState.DAMAGED and self._may_be_damaged(chunk):
                    continue
                assert (now.state, now.blob, now.size) == (chunk.state, chunk.blob, chunk.size), f"{chunk} became {now}"
        owed = {alert.seq for alert in after.outbox}
        for alert in before.outbox:
            is_known = alert.seq in owed or (after.key, alert.seq) in self._world.published
            is_noted = any(one.kind == "alert_not_published" for one in after.timeline)
            assert is_known or is_noted, f"{alert} is owed no more, and was not published"

    def _may_be_damaged(self, chunk: Chunk) -> bool:
        """Whether a person had a hand in its file, or its container was gone."""
        world = self._world
        return (world.truth is not None and chunk.blob in world.truth.spoiled) or world.troubles.has(Kind.REMOVED)


class SimQueue(FakeQueue):
    """Messages that are doubled or vanish; the hosts hear when one becomes visible."""

    def __init__(self, world: World) -> None:
        super().__init__(world.true_clock, keep_rejected=world.ledger.keep_rejected)
        self._world = world

    def send(self, item: WorkItem, *, delay: timedelta, lane: Lane = Lane.NORMAL) -> None:
        world = self._world
        if world.strikes("queue", Kind.VANISHED):
            return
        super().send(item, delay=delay, lane=lane)
        world.hosts.expect(self.waiting[-1])
        if world.strikes("queue", Kind.DOUBLED):
            super().send(item, delay=delay, lane=lane)
            world.hosts.expect(self.waiting[-1])

    def put(self, body: bytes, lane: Lane) -> None:
        """A message that another program put there."""
        self.waiting.append(Delivery(next(self._ids), body, self._clock.now(), lane=lane))
        self._world.hosts.expect(self.waiting[-1])


@dataclass
class SimMedia(FakeMedia):
    """The media host. `world` draws its lies; a location in `stubborn` gets the same answer each time."""

    world: Any = None
    stubborn: dict[str, Any] = field(default_factory=dict)

    @contextmanager
    def open(self, location: str, *, start: int, length: int) -> Iterator[MediaResponse]:
        file = self._file(location)
        trouble = self.world.strikes("media", Kind.LIES)
        answer = self.stubborn.get(location) or (self.world.rng.choice(LIES) if trouble else None)
        if answer:
            self.lies[location] = deque((answer,))
        with super().open(location, start=start, length=length) as response:
            yield MediaResponse(
                response.status,
                response.content_type,
                response.content_length,
                response.content_range,
                response.etag,
                self._paced(response.pieces, file),
                response.is_delimited,
            )

    def _paced(self, pieces: Iterator[bytes], file: MediaFile) -> Iterator[bytes]:
        """Others go on between two pieces; what leaves ACS meanwhile breaks off."""
        for piece in pieces:
            self.world.between("media", "piece")
            if file not in self.files.values():
                raise MediaUnavailable("connection reset")
            yield piece

    def read_all(self, location: str, *, limit: int) -> bytes:
        data = super().read_all(location, limit=limit)
        return b"<html>no</html>" if self.world.strikes("media", Kind.LIES) else data

    def delete(self, location: str) -> None:
        """ACS deletes the whole document."""
        document = location.partition("/objects/")[2].partition("/")[0]
        self.world.check_deletion(document)
        self.deleted.append(location)
        for name in [name for name in self.files if f"/objects/{document}/" in name]:
            del self.files[name]


class SimContainer(FakeContainer):
    """A container that drops staged blocks a week after the last one came."""

    def __init__(self, world: World, **given: Any) -> None:
        super().__init__(**given)
        self._world = world
        self._staged_at: dict[str, datetime] = {}
        self.find_limit = world.page

    def _expire(self, name: str) -> None:
        at = self._staged_at.get(name)
        if at is not None and self._world.scheduler.now - at > BLOCK_LIFE:
            self.uncommitted.pop(name, None)

    def stage(self, name: str, block_id: str, data: bytes, *, crc64: int | None = None) -> None:
        self._expire(name)
        super().stage(name, block_id, data, crc64=crc64)
        self._staged_at[name] = self._world.scheduler.now

    def staged(self, name: str) -> list[Any]:
        self._expire(name)
        return super().staged(name)

    def pieces(self, name: str, *, etag: str | None = None) -> Iterator[bytes]:
        for piece in super().pieces(name, etag=etag):
            self._world.between("destination", "piece")
            yield piece


class SimContainers(FakeContainers):
    """Containers of a world."""

    def __init__(self, world: World, allowed: AllowList) -> None:
        super().__init__(allowed)
        self.own = SimContainer(world, blame=self.own.blame)
        for place in allowed.places:
            self.places[place.account_url, place.container] = SimContainer(world)


def metadata_of(document: str) -> bytes:
    """The acsmetadata file of a chunk."""
    return json.dumps({"chunkDocumentId": document}).encode()
