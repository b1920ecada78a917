"""A recording that was started here and of which no event came: still running, already exported, or trouble."""

from __future__ import annotations

import json
import logging
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from shared import naming, ranges
from shared.document import parse_time
from shared.errors import RecorderError, RecordingNotFound, StorageError
from shared.events import identity
from shared.lookup import container_of
from shared.recording import Chunk, ChunkState
from shared.telemetry import describe, log

if TYPE_CHECKING:
    from shared.books import Books
    from shared.ports import Acs, BlobFacts, Clock, Container, Containers
    from shared.recording import Recording

# A chunk's metadata tells its start; it is this recording's if that is as near as this to our start.
_SAME_START = timedelta(seconds=30)
_INDEX = re.compile(r"[0-9]{1,9}")
# The event comes one to a few minutes after the end; a retry of Event Grid's on top.
_EVENT_DELAY = timedelta(minutes=15)
_ENDED = "ACS says that it has ended; no event yet"
_EVENT_GRID_LIFE = timedelta(hours=24)


class Silence:
    """Looks after recordings without an event."""

    def __init__(
        self,
        *,
        books: Books,
        acs: Acs,
        containers: Containers,
        clock: Clock,
        window: timedelta,
        silent_after: timedelta,
    ) -> None:
        self._books = books
        self._acs = acs
        self._containers = containers
        self._clock = clock
        self._window = window
        self._silent_after = silent_after

    def look(self, recording: Recording) -> None:
        """If it is time: asks ACS, looks in the container, says aloud what a person should know."""
        now = self._clock.now()
        if recording.check_at is None or now < recording.check_at:
            return
        state = self._state(recording)
        if state == "active":
            # It runs: its media cannot be older than now.
            self._again(recording, deadline=now + self._window)
            return
        if state is None:
            self._again(recording, deadline=recording.deadline)
            return
        if _ENDED not in recording.notes:
            # It may have ended a moment ago: events take minutes. The next look, soon, is the one that counts.
            self._books.change(
                recording.key,
                lambda r: None if r.chunks else replace(r.with_note(_ENDED), check_at=now + _EVENT_DELAY),
            )
            return
        chunks = self._exported(recording)
        if chunks:
            self._adopt(recording, chunks)
            return
        self._books.alert(recording, "silent", started_at=recording.created_at, acs=state)
        if now > recording.deadline + _EVENT_GRID_LIFE:
            closed = self._books.change(recording.key, lambda r: None if r.chunks else replace(r, closed_at=now))
            if closed:
                self._books.alert(closed, "never_heard", started_at=recording.created_at, acs=state)
            return
        self._again(recording, deadline=recording.deadline)

    def _state(self, recording: Recording) -> str | None:
        """What ACS says: active, inactive, unknown; None when it does not answer."""
        if recording.recording_id is None:
            return "unknown"
        try:
            return self._acs.recording_state(recording.recording_id)
        except RecordingNotFound:
            return "unknown"
        except RecorderError as error:
            log("silence.failed", level=logging.WARNING, recording=recording.key, error=describe(error))
            return None

    def _again(self, recording: Recording, *, deadline: datetime) -> None:
        check_at = self._clock.now() + self._silent_after
        self._books.change(
            recording.key, lambda r: None if r.chunks else replace(r, check_at=check_at, deadline=deadline)
        )

    def _exported(self, recording: Recording) -> list[Chunk]:
        """Its chunks, if exactly one folder in the container holds chunks that began when this recording did.

        The start knows no call id, and the folder is named by it; so the metadata files tell.
        """
        try:
            container = self._containers.destination(container_of(recording))
            folders: dict[str, list[Chunk]] = {}
            start = recording.created_at.astimezone(UTC)
            for prefix in naming.day_prefixes(prefix=container_of(recording).prefix, start=start):
                self._collect(container, prefix, recording, folders)
        except StorageError as error:
            log("silence.failed", level=logging.WARNING, recording=recording.key, error=describe(error))
            return []
        return next(iter(folders.values())) if len(folders) == 1 else []

    def _collect(
        self, container: Container, prefix: str, recording: Recording, folders: dict[str, list[Chunk]]
    ) -> None:
        blobs = container.find(prefix)
        places = [facts.name.rpartition("/") for facts in blobs]
        # Of this recording no chunk is known: what was rescued, and where a manifest stands, is another's.
        others = {folder for facts, (folder, _, file) in zip(blobs, places, strict=True) if _is_anothers(facts, file)}
        known = {file for folder, _, file in places if folder in others}
        media_files: dict[tuple[str, str], BlobFacts] = {}
        for facts, (folder, _, file) in zip(blobs, places, strict=True):
            head, _, tail = file.partition("-")
            if facts.size and not tail.startswith("acsmetadata"):
                media_files.setdefault((folder, head), facts)
        for facts, (folder, _, file) in zip(blobs, places, strict=True):
            head, mark, tail = file.partition("-acsmetadata")
            if not mark or not _INDEX.fullmatch(head) or not tail.endswith(".json") or folder in others:
                continue
            metadata = _read_json(container, facts.name)
            document = identity(metadata.get("chunkDocumentId")) or file
            # ACS may have exported late what was rescued to another folder: that is known there by its document.
            if naming.metadata_file(index=int(head), document_id=document) in known:
                continue
            media = media_files.get((folder, head))
            if media is None or (int(head) == 0 and not self._began_with(metadata, recording)):
                continue
            if int(head) and folder not in folders:
                continue
            if _is_rescued(container, media.name):
                folders.pop(folder, None)
                continue
            chunk = Chunk(
                key=naming.chunk_key(document, int(head)),
                document_id=document,
                index=int(head),
                state=ChunkState.EXPORTED,
                blob=media.name,
                metadata_blob=facts.name,
                metadata_state="saved",
                size=media.size,
                first_seen_at=self._clock.now(),
                finished_at=self._clock.now(),
            )
            folders.setdefault(folder, []).append(chunk)

    @staticmethod
    def _began_with(metadata: dict[str, Any], recording: Recording) -> bool:
        try:
            began = parse_time(str(metadata.get("chunkStartTime")))
        except ValueError:
            return False
        return abs(began - recording.created_at) <= _SAME_START

    def _adopt(self, recording: Recording, chunks: list[Chunk]) -> None:
        folder = (chunks[0].blob or "").rpartition("/")[0]

        def decide(current: Recording) -> Recording | None:
            if current.chunks:
                return None
            found = replace(current, chunks=tuple(chunks), folder=folder, check_at=None)
            return found.with_note("no event came; the export was found in the container by its start time")

        after = self._books.change(recording.key, decide)
        if after:
            self._books.alert(after, "event_missing", level=logging.WARNING, chunks=len(chunks))


def _is_anothers(facts: BlobFacts, file: str) -> bool:
    """Whether the file says that its folder is another recording's: with our note of a checksum, or as a manifest."""
    return bool(facts.sha256) or file == "manifest.json"


def _is_rescued(container: Container, name: str) -> bool:
    """Whether the file is made of our blocks: a rescue whose worker died before it noted the checksum."""
    blocks = container.committed(name)
    return bool(blocks) and all(ranges.is_our_block(block) for block in blocks)


def _read_json(container: Container, name: str) -> dict[str, Any]:
    """The document, empty where it is none. StorageError: it is looked at again later, not taken for an empty one."""
    try:
        document = json.loads(container.read(name, length=1_000_000))
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}
