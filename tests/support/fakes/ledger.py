"""The ledger as dictionaries; documents go through the real JSON, so that what is kept is what would be."""

from __future__ import annotations

import itertools
from bisect import bisect_left, bisect_right
from datetime import UTC, datetime, timedelta

from shared.domain.codec import decode, encode
from shared.domain.errors import BlobExists, PreconditionFailed, StorageCorrupted
from shared.domain.recording import Recording
from shared.ports import IndexEntry, OpenEntry, RejectedEntry, Version

_FIRST = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


class FakeLedger:
    """Port `Ledger`. `page`: how many names one page of a listing holds."""

    page = 5000

    def __init__(self) -> None:
        self._versions = itertools.count(1)
        self.open: dict[str, tuple[bytes, str, OpenEntry]] = {}
        self.closed: dict[str, tuple[bytes, str]] = {}
        self.index: dict[str, dict[str, str]] = {}
        self._sorted: list[str] | None = None
        self.notes: dict[str, bytes] = {}
        self.rejected: dict[str, bytes] = {}
        self.time = _FIRST
        self.rejected_at: dict[str, datetime] = {}
        self.quarantined: dict[str, bytes] = {}

    @property
    def documents(self) -> dict[str, tuple[bytes, str]]:
        """All documents, open and closed, by key."""
        return self.closed | {key: (data, etag) for key, (data, etag, _) in self.open.items()}

    def load(self, key: str) -> Version | None:
        found = self.open.get(key)
        if found:
            return Version(_decoded(key, found[0]), found[1])
        closed = self.closed.get(key)
        return Version(_decoded(key, closed[0]), closed[1], is_open=False) if closed else None

    def version(self, key: str) -> Version:
        """`load` of a document that is there."""
        found = self.load(key)
        assert found is not None, key
        return found

    def create(self, recording: Recording, *, entry: OpenEntry, closed: str | None = None) -> str:
        if recording.key in self.open or self._closed_etag(recording.key) != closed:
            raise PreconditionFailed
        return self._put(recording, entry)

    def _closed_etag(self, key: str) -> str | None:
        return self.closed[key][1] if key in self.closed else None

    def save(self, recording: Recording, *, etag: str, entry: OpenEntry) -> str:
        if recording.key not in self.open or self.open[recording.key][1] != etag:
            raise PreconditionFailed
        return self._put(recording, entry)

    def _put(self, recording: Recording, entry: OpenEntry) -> str:
        new = f'"{next(self._versions)}"'
        self.open[recording.key] = (encode(recording), new, entry)
        return new

    def archive(self, recording: Recording, *, etag: str | None, closed: str | None = None) -> str:
        found = self.closed.get(recording.key)
        if etag is None and self._closed_etag(recording.key) != closed:
            raise PreconditionFailed
        if etag is None or found is None or decode(Recording, found[0]).revision < recording.revision:
            found = self.closed[recording.key] = (encode(recording), f'"{next(self._versions)}"')
        if etag is not None:
            self.remove(recording.key, etag=etag)
        elif recording.key in self.open:
            raise PreconditionFailed
        return found[1]

    def remove(self, key: str, *, etag: str) -> None:
        if key in self.open:
            if self.open[key][1] != etag:
                raise PreconditionFailed
            del self.open[key]

    def open_entries(self, *, cursor: str | None = None) -> tuple[list[OpenEntry], str | None]:
        keys = sorted(self.open)
        first = bisect_right(keys, cursor) if cursor else 0
        page = keys[first : first + self.page]
        more = page[-1] if page and first + self.page < len(keys) else None
        return [self.open[key][2] for key in page], more

    def quarantine(self, key: str) -> None:
        for kept in (self.open, self.closed):
            if key in kept:
                data = kept[key][0]
                try:
                    decode(Recording, data)
                except ValueError:
                    self.quarantined[key] = data
                    del kept[key]

    def put_entry(self, name: str, metadata: dict[str, str]) -> None:
        self.index[name] = dict(metadata)
        self._sorted = None

    def delete_entry(self, name: str) -> None:
        self.index.pop(name, None)
        self._sorted = None

    def entries(
        self, prefix: str, *, cursor: str | None = None, limit: int | None = None
    ) -> tuple[list[IndexEntry], str | None]:
        names = self._names()
        first = bisect_right(names, cursor) if cursor else bisect_left(names, prefix)
        end = bisect_left(names, prefix + chr(0x10FFFF))
        page = names[first : min(end, first + min(limit or self.page, self.page))]
        return [IndexEntry(name, self.index[name]) for name in page], page[-1] if first + len(page) < end else None

    def folders(self, prefix: str) -> list[str]:
        names, found = self._names(), []
        at = bisect_left(names, prefix)
        while at < len(names) and names[at].startswith(prefix):
            folder, slash, _ = names[at].removeprefix(prefix).partition("/")
            if slash:
                found.append(folder)
            at = bisect_left(names, f"{prefix}{folder}0") if slash else at + 1  # "0" comes after the slash
        return found

    def _names(self) -> list[str]:
        """The index's names in order; sorted again only after a change."""
        if self._sorted is None:
            self._sorted = sorted(self.index)
        return self._sorted

    def put_note(self, name: str, data: bytes, *, is_new_only: bool = False) -> None:
        if is_new_only and name in self.notes:
            raise BlobExists
        self.notes[name] = data

    def get_note(self, name: str) -> bytes | None:
        return self.notes.get(name)

    def probe(self) -> datetime:
        return self.time

    def keep_rejected(self, name: str, data: bytes) -> None:
        self.rejected[name] = data
        self.rejected_at[name] = _FIRST + timedelta(seconds=len(self.rejected_at))

    def get_rejected(self, name: str) -> bytes | None:
        return self.rejected.get(name)

    def rejected_folders(self) -> list[str]:
        return sorted({name.partition("/")[0] for name in self.rejected})

    def rejected_in(self, folder: str) -> list[RejectedEntry]:
        return [RejectedEntry(name, self.rejected_at[name]) for name in self.rejected if name.startswith(f"{folder}/")]

    def recording(self, key: str) -> Recording:
        """The recording as it is; KeyError."""
        version = self.load(key)
        if version is None:
            raise KeyError(key)
        return version.recording


def _decoded(key: str, data: bytes) -> Recording:
    try:
        return decode(Recording, data)
    except ValueError as error:
        raise StorageCorrupted(f"the ledger document {key} cannot be read") from error
