"""The documents of recordings, their indexes, and what lies beside them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from datetime import datetime

    from shared.domain.facets import Facets
    from shared.domain.recording import Recording


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

        `closed`: ETag of the closed copy that it was made of, None where there was none. PreconditionFailed where that
        is no longer so.
        """
        ...

    def save(self, recording: Recording, *, etag: str, entry: OpenEntry) -> str:
        """Writes over the open document if it still has that ETag; the new one. PreconditionFailed."""
        ...

    def archive(self, recording: Recording, *, etag: str | None, closed: str | None = None) -> str:
        """Writes the closed copy, over one of a lower revision only, then removes the open document of that ETag.

        `etag` None: there is no open document (looked at after the write), and the closed copy is the one of the ETag
        `closed`, or there is none. The closed copy's new ETag. PreconditionFailed.
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
