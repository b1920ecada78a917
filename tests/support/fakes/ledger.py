"""The ledger as a dictionary; documents go through the real JSON, so that what is kept is what would be."""

from __future__ import annotations

import itertools

from shared.domain.codec import decode, encode
from shared.domain.errors import BlobExists, PreconditionFailed, StorageCorrupted
from shared.domain.recording import Recording


class FakeLedger:
    """Port `Ledger`."""

    def __init__(self) -> None:
        self._versions = itertools.count(1)
        self.documents: dict[str, tuple[bytes, str]] = {}
        self.open: set[str] = set()
        self.notes: dict[str, bytes] = {}
        self.rejected: dict[str, bytes] = {}

    def load(self, key: str) -> tuple[Recording, str] | None:
        found = self.documents.get(key)
        try:
            return (decode(Recording, found[0]), found[1]) if found else None
        except ValueError as error:
            raise StorageCorrupted(f"the ledger document {key} cannot be read") from error

    def save(self, recording: Recording, *, etag: str | None) -> str:
        found = self.documents.get(recording.key)
        if (found[1] if found else None) != etag:
            raise PreconditionFailed
        new = f'"{next(self._versions)}"'
        self.documents[recording.key] = (encode(recording), new)
        return new

    def put_marker(self, name: str) -> None:
        self.open.add(name)

    def delete_marker(self, name: str) -> None:
        self.open.discard(name)

    def markers(self, *, limit: int, cursor: str | None = None) -> tuple[list[str], str | None]:
        names = sorted(name for name in self.open if cursor is None or name > cursor)
        page = names[:limit]
        return page, page[-1] if len(names) > limit else None

    def put_note(self, name: str, data: bytes, *, is_new_only: bool = False) -> None:
        if is_new_only and name in self.notes:
            raise BlobExists
        self.notes[name] = data

    def get_note(self, name: str) -> bytes | None:
        return self.notes.get(name)

    def keep_rejected(self, name: str, data: bytes) -> None:
        self.rejected[name] = data

    def recording(self, key: str) -> Recording:
        """The recording as it stands; KeyError."""
        return decode(Recording, self.documents[key][0])
