"""What the use cases need of the world, as small protocols. The comment is the contract; `tests/contract` checks it
on the fakes and on the real adapters alike. Every method may raise the
`shared.domain.errors` it names and no other error.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from contextlib import AbstractContextManager
    from datetime import datetime, timedelta

    from shared.domain.facets import Facets
    from shared.domain.locations import ContainerUrl
    from shared.domain.recording import PendingAlert, Recording


class Clock(Protocol):
    """The present, aware, UTC; and a short pause (seconds) within a try. Long waits are queue delays."""

    def now(self) -> datetime:
        """The present moment."""
        ...

    def pause(self, seconds: float) -> None:
        """Returns after `seconds`."""
        ...


class Random(Protocol):
    """Uniform in [0, 1)."""

    def random(self) -> float:
        """The next number."""
        ...


@dataclass(frozen=True)
class ChannelAffinity:
    """Which participant (raw id) speaks on which channel (0 to 4) of an unmixed recording."""

    participant: str
    channel: int


@dataclass(frozen=True)
class StartRequest:
    """A start that can be carried out. `locator` is serverCallId, groupCallId, roomId or callConnectionId.

    Enumerations in ACS's spelling.
    """

    locator: str
    locator_id: str
    container: ContainerUrl
    content: str
    channel: str
    format: str
    pause_on_start: bool | None = None
    callback_url: str | None = None
    ordering: tuple[str, ...] = ()
    affinity: tuple[ChannelAffinity, ...] = field(default=())


@dataclass(frozen=True)
class StartedRecording:
    """What ACS answered to a start. `state`: active or inactive; `kind`: who records."""

    recording_id: str
    state: str
    kind: str | None


class Acs(Protocol):
    """The recording REST API. Errors: AcsError and below."""

    def start_recording(
        self, request: StartRequest, *, container: ContainerUrl, repeatability_id: str
    ) -> StartedRecording:
        """Starts it; a second call with the same id gives the same recording. Errors as in `errors`."""
        ...

    def recording_state(self, recording_id: str) -> str:
        """`active` or `inactive`; RecordingNotFound."""
        ...

    def stop_recording(self, recording_id: str) -> None:
        """Ends it. RecordingNotFound where it has ended, or never was."""
        ...

    def pause_recording(self, recording_id: str) -> None:
        """Pauses it. RecordingNotFound; ActionNotAllowed where it is paused."""
        ...

    def resume_recording(self, recording_id: str) -> None:
        """Goes on. RecordingNotFound; ActionNotAllowed where it is not paused."""
        ...

    def server_call_id(self, call_connection_id: str) -> str | None:
        """The server call id of a call connection, while the call lasts; None where ACS does not say."""
        ...


@dataclass(frozen=True)
class MediaResponse:
    """The head of an answer. `status` 200 or 206; `content_range` as sent; `pieces` yields bytes until the end.

    `pieces` raises MediaUnavailable when the connection breaks off, MediaTruncated when fewer bytes came than were
    announced. `is_delimited`: the body says where it ends (Content-Length, or chunks and a last one), so that a
    connection that breaks off is noticed.
    """

    status: int
    content_type: str
    content_length: int | None
    content_range: str | None
    etag: str | None
    pieces: Iterator[bytes]
    is_delimited: bool = True


class Media(Protocol):
    """The ACS media host. Errors: MediaError and below. Redirects lead to media hosts only (MediaRedirected)."""

    def open(self, location: str, *, start: int, length: int) -> AbstractContextManager[MediaResponse]:
        """Asks for `length` bytes from `start`; what comes back is checked by `ranges`, not here."""
        ...

    def total(self, location: str) -> int | None:
        """How many bytes ACS has there, by a request for one byte; None where its answer does not say."""
        ...

    def read_all(self, location: str, *, limit: int) -> bytes:
        """A small file (metadata) whole; MediaTooLarge above `limit` bytes."""
        ...

    def delete(self, location: str) -> None:
        """Deletes at ACS; one that is gone already is no error."""
        ...


@dataclass(frozen=True)
class BlobFacts:
    """A committed blob. `sha256` is the one noted in its metadata by its writer (hex), if any."""

    name: str
    size: int
    etag: str
    sha256: str | None = None


class Blobs(list[BlobFacts]):
    """Committed blobs by name, at most some thousands. `cursor`: where there are more; None where these are all."""

    def __init__(self, blobs: Iterable[BlobFacts] = (), *, cursor: str | None = None) -> None:
        super().__init__(blobs)
        self.cursor = cursor


@dataclass(frozen=True)
class Block:
    """A staged or committed block: its id before base64, and its size in bytes."""

    id: str
    size: int


class Container(Protocol):
    """One container for recordings: the customer's, or the fallback. Names are full names within it.

    Errors: StorageError and below; BlobMissing, BlobExists, BlocksMissing where said. With an `etag` a call works on
    that version of the blob only: PreconditionFailed where it is another. Reading an archived blob: BlobArchived.
    """

    def stat(self, name: str) -> BlobFacts | None:
        """The committed blob, or None; ContainerMissing where there is no container."""
        ...

    def find(self, prefix: str, *, cursor: str | None = None) -> Blobs:
        """Committed blobs whose name starts with `prefix`, by name: all of them, or those up to where `cursor` of the
        answer goes on. What is not among them is not there only if that is None.
        """
        ...

    def read(self, name: str, *, start: int = 0, length: int | None = None, etag: str | None = None) -> bytes:
        """Bytes of a committed blob (for heads and small files), none behind its end; BlobMissing."""
        ...

    def pieces(self, name: str, *, etag: str | None = None) -> Iterator[bytes]:
        """A committed blob from its start, in pieces of a few MiB; BlobMissing."""
        ...

    def staged(self, name: str) -> list[Block]:
        """The uncommitted blocks; empty where there are none."""
        ...

    def stage(self, name: str, block_id: str, data: bytes) -> None:
        """Stages one block; it travels with a checksum where the settings say so (StorageCorrupted)."""
        ...

    def commit(self, name: str, blocks: Sequence[Block], *, sha256: str | None, content_type: str) -> BlobFacts:
        """Makes the blob of the blocks, only where there is none (BlobExists); BlocksMissing."""
        ...

    def committed(self, name: str) -> list[Block]:
        """The blocks the blob is made of, in order; none where some are only staged, else BlobMissing."""
        ...

    def note_sha256(self, name: str, sha256: str) -> None:
        """Notes the checksum in the blob's metadata."""
        ...

    def put(
        self, name: str, data: bytes, *, content_type: str, overwrite: bool, sha256: str | None = None
    ) -> BlobFacts:
        """Writes a small blob (at most 100 MiB) in one step, with a checksum as in `stage`.

        BlobExists where it stands and `overwrite` is False. `sha256` is noted in its metadata.
        """
        ...

    def stage_from(
        self, name: str, block_id: str, source: Container, source_name: str, *, start: int, length: int, etag: str
    ) -> None:
        """Stages a block of the source's bytes, read by this container's own server.

        StorageInvalid where the server cannot read the source, or cannot copy blocks at all: then the bytes go
        through this process. PreconditionFailed where the source's ETag is not `etag`.
        """
        ...

    def delete(self, name: str, *, etag: str | None = None) -> None:
        """Removes a blob; one that is gone already is no error."""
        ...

    def probe(self) -> None:
        """Shows that we may write, and leaves nothing that anybody sees; raises what writing would."""
        ...


class Containers(Protocol):
    """Where recordings go."""

    def destination(self, container: ContainerUrl) -> Container:
        """The customer's container; ContainerNotAllowed where it is not on the allow-list."""
        ...

    def fallback(self) -> Container:
        """The app's own container, made if missing."""
        ...


@dataclass(frozen=True)
class Version:
    """A recording as it was read or written, and the ETag it had then. `is_open`: it lies under `open/`."""

    recording: Recording
    etag: str
    is_open: bool = True


@dataclass(frozen=True)
class OpenEntry:
    """What a listing tells of an open document. `due`: when something is to be done; `risk`: the earliest end of
    ACS's window for a chunk that still needs it; `facets`: what lists filter by. None where there is no such moment,
    or it cannot be read. `owed`: alerts and events that the topic has not got yet.
    """

    key: str
    due: datetime | None
    risk: datetime | None
    state: str
    facets: Facets | None = None
    owed: int = 0


@dataclass(frozen=True)
class IndexEntry:
    """A blob of an index: derived, without content; its name and metadata are all there is."""

    name: str
    metadata: dict[str, str]


@dataclass(frozen=True)
class RejectedEntry:
    """An event that could not be used, by its name, `folder/…`. `at`: when it was last written."""

    name: str
    at: datetime


class Ledger(Protocol):
    """One document a recording, guarded by ETag: under `open/` while anything is owed, else under `closed/`.

    Errors: StorageError.
    """

    def load(self, key: str) -> Version | None:
        """The open document, else the closed one, else None; StorageCorrupted where it cannot be read."""
        ...

    def create(self, recording: Recording, *, entry: OpenEntry, closed: str | None = None) -> str:
        """Writes the open document where there is none; its ETag. PreconditionFailed.

        `closed`: ETag of the closed copy that it was made of. PreconditionFailed where there is another one by now.
        """
        ...

    def save(self, recording: Recording, *, etag: str, entry: OpenEntry) -> str:
        """Writes over the open document if it still has that ETag; the new one. PreconditionFailed."""
        ...

    def archive(self, recording: Recording, *, etag: str | None) -> str:
        """Writes the closed copy, over one of a lower revision only, then removes the open document of that ETag.

        `etag` None: there is no open document, and one of this revision or a higher one is refused. The closed copy's
        ETag. PreconditionFailed.
        """
        ...

    def open_entries(self, *, cursor: str | None = None) -> tuple[list[OpenEntry], str | None]:
        """A page of at most 5,000 open documents by key, and the cursor of the next page."""
        ...

    def remove(self, key: str, *, etag: str) -> None:
        """Removes the open document of that ETag: what it was about never came to be. PreconditionFailed."""
        ...

    def quarantine(self, key: str) -> None:
        """Moves a document that cannot be read to `quarantine/`, as it is."""
        ...

    def put_entry(self, name: str, metadata: dict[str, str]) -> None:
        """Writes an index blob; one that exists is replaced. Values are ASCII."""
        ...

    def delete_entry(self, name: str) -> None:
        """One that is gone already is no error."""
        ...

    def entries(
        self, prefix: str, *, cursor: str | None = None, limit: int | None = None
    ) -> tuple[list[IndexEntry], str | None]:
        """A page of index blobs whose name starts with `prefix`, by name, and the cursor of the next page.

        At most 5,000, or `limit`.
        """
        ...

    def folders(self, prefix: str) -> list[str]:
        """The names between `prefix` (which ends with a slash) and the next slash, of all index blobs, sorted.

        One request for 5,000 of them, however many blobs they hold.
        """
        ...

    def put_note(self, name: str, data: bytes, *, is_new_only: bool = False) -> None:
        """A small document beside the recordings (idempotency); BlobExists if `is_new_only`."""
        ...

    def get_note(self, name: str) -> bytes | None:
        """Such a document, or None."""
        ...

    def probe(self) -> datetime:
        """Writes a note and reads it back; the storage's own time (its Date header, whole seconds)."""
        ...

    def keep_rejected(self, name: str, data: bytes) -> None:
        """Keeps an event that could not be used, in its own container; one of that name is replaced."""
        ...

    def get_rejected(self, name: str) -> bytes | None:
        """Such an event, or None."""
        ...

    def rejected_folders(self) -> list[str]:
        """The first parts of their names: days (`yyyymmdd`), and `poison`."""
        ...

    def rejected_in(self, folder: str) -> list[RejectedEntry]:
        """Those of a folder, in any order."""
        ...


# The parts of a recording that a message can be about, beside its chunks.
RECORDING_PART = "recording"
OUTBOX_PART = "outbox"
AUDIT_PART = "audit"


class Lane(StrEnum):
    """The queue a message goes by: what nothing waits for must not be in front of a rescue."""

    NORMAL = "normal"
    URGENT = "urgent"
    BACKGROUND = "background"


@dataclass(frozen=True)
class WorkItem:
    """Something may be due. `part`: a chunk's key, `recording`, `outbox` or `audit`; `generation`: the plan's.

    `trace`: the W3C `traceparent` of what led to it; `due_at`: not before then. Both say nothing about what to do.
    """

    recording_key: str
    part: str
    generation: int = 0
    trace: str | None = field(default=None, compare=False)
    due_at: datetime | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Backlog:
    """What waits in a queue. `length`: messages, those for later among them; `oldest_due`: since when the oldest of
    the visible ones is due; `is_full`: so many are visible that more would only wait behind them.
    """

    length: int = 0
    oldest_due: datetime | None = None
    is_full: bool = False


@dataclass(frozen=True)
class QueueDepth:
    """About how many messages a queue (None: there is none) and its poison queue hold, those of later included."""

    name: str
    waiting: int | None
    poisoned: int


class WorkQueue(Protocol):
    """The attempts to come. Errors: StorageError."""

    def send(self, item: WorkItem, *, delay: timedelta, lane: Lane = Lane.NORMAL) -> None:
        """At least once, not before `delay` (0 to 7 days)."""
        ...

    def backlog(self, lane: Lane) -> Backlog:
        """What waits; nothing where there is no such queue."""
        ...

    def depths(self) -> list[QueueDepth]:
        """One for each lane."""
        ...

    def drain_poison(self, *, limit: int) -> list[WorkItem]:
        """Takes up to `limit` messages out of the poison queues; unreadable ones are kept in the ledger's rejects."""
        ...


class Notifier(Protocol):
    """Carries what an outbox holds to an Event Grid topic. AlertNotSent where it could not."""

    def publish(self, *, recording: Recording, alerts: Sequence[PendingAlert]) -> None:
        """Publishes them; each event's id is the same whenever the same entry is published again."""
        ...
