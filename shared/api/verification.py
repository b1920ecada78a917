"""`POST /recordings/{id}/verify`: whether every file is still there, and still the same.

Presence, size and ETag of media are looked at while the caller waits, one request a file; of metadata and manifest only
whether they are there. Digests are compared in the
background (step `check`): their results are in the recording's timeline and in `chunks[].check`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shared.api.views import find
from shared.domain import facts as f
from shared.domain import places
from shared.domain.checking import result_of
from shared.domain.recording import IN_FALLBACK_STATES
from shared.domain.steps import recording_steps
from shared.logs import log

if TYPE_CHECKING:
    from shared.domain.recording import Chunk, Recording
    from shared.ports import Clock, Version
    from shared.store import RecordingStore
    from shared.worker.check import Check


class Verification:
    """Verifies recordings."""

    def __init__(self, *, store: RecordingStore, check: Check, clock: Clock, fallback_container: str) -> None:
        self._store = store
        self._check = check
        self._clock = clock
        self._fallback = fallback_container

    def verify(self, identity: str, *, by: str = "api") -> dict[str, Any]:
        """What was found, file by file. RecordingUnknown, StorageError.

        A recording without a file that is safe or damaged has nothing to verify: nothing is written.
        """
        version = find(self._store, identity)
        return self.verify_version(version, by=by)

    def verify_version(self, version: Version, *, by: str) -> dict[str, Any]:
        """The same for a recording that was loaded already."""
        before = version.recording
        asked = self._check.look(before)
        if asked:
            version = self._store.record(version, asked, by=by)
            if any(due.at <= self._clock.now() for due in recording_steps(version.recording, self._store.rules)):
                self._store.send_look(version.recording)
        after = version.recording
        gone = {one.chunk_key: not one.is_there for one in asked.metadata} if asked else {}
        files = [self._described(before, after, look, gone) for look in asked.looks] if asked else []
        log(
            "recording.verified",
            recording=after.key,
            by=by,
            state=after.state,
            results=sorted({one["result"] for one in files}),
        )
        found = {"recordingId": after.recording_id, "key": after.key, "state": after.state.value, "files": files}
        if asked and asked.has_manifest is not None:
            found["manifest"] = "intact" if asked.has_manifest else "missing"
        return {name: value for name, value in found.items() if value is not None}

    def _described(
        self, before: Recording, after: Recording, look: f.FileChecked, gone: dict[str, bool]
    ) -> dict[str, Any]:
        chunk, now = before.chunk(look.chunk_key), after.chunk(look.chunk_key)
        assert chunk is not None  # noqa: S101 - the looks were taken at this very version
        is_pending = now is not None and (now.is_check_due or now.digest_state == "pending")
        described: dict[str, Any] = {
            "index": chunk.index,
            "blob": self._url(before, chunk, look.name),
            "result": result_of(chunk, look).value,
            "expected": _facts(chunk.size, chunk.etag, chunk.sha256),
            "found": _facts(look.size, look.etag, None),
            "digest": "pending" if is_pending else "none",
        }
        if look.chunk_key in gone:
            described["metadata"] = "missing" if gone[look.chunk_key] else "intact"
        if look.failure is not None:
            described["error"] = {"code": look.failure.code, "message": look.failure.message}
        return described

    def _url(self, recording: Recording, chunk: Chunk, name: str) -> str:
        if chunk.state in IN_FALLBACK_STATES:
            return f"{self._fallback}/{name}"
        return places.container_of(recording).blob_url(name)


def _facts(size: int | None, etag: str | None, sha256: str | None) -> dict[str, Any]:
    facts = {"size": size, "etag": etag, "sha256": sha256}
    return {name: value for name, value in facts.items() if value is not None}
