"""What an event sets going: each chunk into the ledger, one message a chunk into the queue, nothing else.

No byte is moved and the customer's container is not asked here: Event Grid waits 30 s, and a container behind a
closed network answers nothing for longer than that. Verification and rescue are the queue's work.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from shared.domain import naming
from shared.domain.errors import EventRejected
from shared.domain.locations import ContainerUrl, Place
from shared.domain.recording import AT_RISK_STATES, Chunk, ChunkState, Manifest, Recording
from shared.domain.redaction import clean
from shared.intake.event import (
    MAX_CHUNKS,
    MAX_EVENT_CHARACTERS,
    RECORDING_FILE_STATUS_UPDATED,
    parse_envelopes,
    parse_recording_file_status,
    redacted,
)
from shared.logs import log
from shared.start import call_index as calls
from shared.store import planned

if TYPE_CHECKING:
    from shared.domain.locations import AllowList, BlobLocation
    from shared.intake.event import ChunkClaim, Envelope, RecordingFileStatus
    from shared.ports import Clock
    from shared.store import Books

_KEPT_EVENTS = 3
# The folder of a recording as ACS lays it out, at whatever place in the container.
_LAYOUT = re.compile(r"(?:.+/)?\d{8}/[^/]+/[^/]+")
# With the longest file name of ours below it, it is still a blob name in the destination and in the fallback.
_LONGEST_FOLDER = 800


class Watch:
    """Handles events. One for the process; safe for many threads."""

    def __init__(
        self, *, books: Books, clock: Clock, allowed: AllowList, default_container: ContainerUrl, window: timedelta
    ) -> None:
        self._books = books
        self._clock = clock
        self._allowed = allowed
        self._default = default_container
        self._window = window

    def handle(self, raw: str) -> None:
        """Takes what the Event Grid trigger delivered. Raises StorageError only: then Event Grid delivers again."""
        try:
            envelopes = parse_envelopes(raw)
        except EventRejected as error:
            self._reject(raw, error)
            return
        for envelope in envelopes:
            if isinstance(envelope, EventRejected):
                self._reject(raw, envelope)
                continue
            if envelope.type != RECORDING_FILE_STATUS_UPDATED:
                log("event.ignored", type=envelope.type, id=envelope.id)
                continue
            try:
                self._record(envelope, parse_recording_file_status(envelope), raw)
            except EventRejected as error:
                self._reject(raw, error)

    def _reject(self, raw: str, error: EventRejected) -> None:
        """Keeps what came, without secrets, with the reason beside it."""
        now = self._clock.now()
        digest = hashlib.sha256(raw.encode("utf-8", "surrogatepass")).hexdigest()[:16]
        event = redacted(raw[:MAX_EVENT_CHARACTERS], limit=MAX_EVENT_CHARACTERS)
        kept = {"reason": error.reason, "message": clean(str(error)), "receivedAt": now.isoformat(), "event": event}
        self._books.ledger.keep_rejected(f"{now:%Y%m%d}/{error.reason}-{digest}.json", json.dumps(kept).encode())
        log("event.rejected", level=logging.ERROR, reason=error.reason, message=str(error), kept=digest)

    def _record(self, envelope: Envelope, status: RecordingFileStatus, raw: str) -> None:
        key = self._key(status)
        if status.faults:
            self._reject(raw, EventRejected("faults", "; ".join(status.faults)))
        changed = self._books.change_or_create(key, lambda before: self._merged(before, key, status, raw))
        recording = changed or self._books.load(key)
        if recording is None:  # it was there a moment ago: only somebody's hand removes ledger documents
            return
        log(
            "event.recorded" if changed else "event.repeated",
            recording=key,
            id=envelope.id,
            chunks=len(status.chunks),
            state=recording.state,
            deadline=recording.deadline,
        )
        for chunk in recording.chunks:
            # A first try that was planned and maybe not queued (the process died in between, and Event Grid
            # delivers again). Where it was queued, the second message with the same ticket finds it done.
            waits = chunk.state in (ChunkState.EXPECTED, ChunkState.PENDING) and chunk.ticket == 1 and chunk.tries == 0
            looks_again = changed is not None and chunk.state is ChunkState.LOST and chunk.next_try_at is not None
            if waits or looks_again:
                self._books.send(recording, chunk)
        for place in self._foreign(status):
            self._books.alert(recording, f"location_{place}", chunks=len(status.chunks))

    def _key(self, status: RecordingFileStatus) -> str:
        """The ledger key: by recording id; without one, by the call that was started here, else by call and start."""
        if status.recording_id:
            return naming.recording_key(status.recording_id)
        if status.server_call_id:
            known = calls.begun_at(self._books.ledger, status.server_call_id, status.recording_start)
            if known:
                return known
        start = status.recording_start.isoformat() if status.recording_start else status.chunks[0].document_id
        return naming.recording_key(f"{status.call_id or status.server_call_id}@{start}")

    # --- what an event makes of a recording (pure)

    def _merged(self, before: Recording | None, key: str, status: RecordingFileStatus, raw: str) -> Recording | None:
        now = self._clock.now()
        status = _with_kind(status, before)
        recording = before or Recording(
            key=key, container_url=str(self._container(status)), created_at=now, deadline=now + self._window
        )
        if before is None or before.event_time is None:
            recording = self._told(recording, status, now)
        elif any(chunk.state in AT_RISK_STATES for chunk in recording.chunks):
            # Several events disagree: giving up too early loses what giving up too late does not.
            recording = replace(recording, deadline=max(recording.deadline, self._deadline(recording, status, now)))
        chunks = {chunk.key: chunk for chunk in recording.chunks}
        for claim in status.chunks:
            chunk = self._chunk(recording, status, claim, now)
            known = chunks.get(chunk.key)
            chunks[chunk.key] = self._updated(known, chunk, now, recording.closed_at) if known else chunk
        if before is not None and tuple(chunks.values()) == before.chunks and recording.deadline == before.deadline:
            return None
        if len(chunks) > MAX_CHUNKS:
            raise EventRejected("too_many_chunks", f"{len(chunks)} chunks in one recording")
        ordered = tuple(sorted(chunks.values(), key=lambda chunk: (chunk.index, chunk.key)))
        kept = recording.events
        if len(kept) < _KEPT_EVENTS:
            kept = (*kept, redacted(raw))
        # Finished stays finished: an event that only repeats or adds to it does not open a recording again.
        is_new = before is None or any(_is_open_again(before.chunk(chunk.key), chunk) for chunk in ordered)
        closed_at = None if is_new else recording.closed_at
        # The manifest tells of all chunks: with one more it is written anew.
        stands = Manifest(blob=recording.manifest.blob) if is_new else recording.manifest
        recording = replace(recording, chunks=ordered, events=kept, check_at=None, closed_at=closed_at, manifest=stands)
        for note in (*self._notes(status), *_late_exports(before, ordered)):
            recording = recording.with_note(note)
        return recording

    def _told(self, recording: Recording, status: RecordingFileStatus, now: datetime) -> Recording:
        """What the first event says of the recording itself."""
        event_time = status.event_time or now
        start = status.recording_start or recording.recording_start
        call_id = status.call_id or recording.call_id or status.server_call_id or recording.key
        start = start or event_time
        container = ContainerUrl.parse(recording.container_url)
        folder = self._sibling_folder(status, container) or naming.recording_folder(
            prefix=container.prefix,
            start=start.astimezone(UTC),
            call_id=call_id,
            recording_id=status.recording_id or recording.recording_id,
            key=recording.key,
        )
        return replace(
            recording,
            recording_id=status.recording_id or recording.recording_id,
            call_id=call_id,
            server_call_id=status.server_call_id or recording.server_call_id,
            recording_start=start,
            duration=status.duration,
            content_type=status.content_type,
            channel_type=status.channel_type,
            format_type=status.format_type,
            session_end_reason=status.session_end_reason,
            event_time=event_time,
            deadline=self._deadline(recording, status, now),
            folder=folder,
        )

    def _deadline(self, recording: Recording, status: RecordingFileStatus, now: datetime) -> datetime:
        """When ACS may drop the media. The clock's start is not documented: the earlier of both, never later than now.

        What was started here ended after that, whatever an event says: a date of long ago gives nothing up.
        """
        event_time = status.event_time or now
        start = status.recording_start
        end = start + (status.duration or timedelta(0)) if start else event_time
        since = min(end, event_time, now)
        return (max(since, recording.created_at) if recording.started_here else since) + self._window

    def _container(self, status: RecordingFileStatus) -> ContainerUrl:
        """For a recording not started here: where its exported chunks lie, else the default."""
        for claim in status.chunks:
            found = self._allowed.locate(claim.content_location or "")
            if found:
                return self._default if _lies_in(self._default, found) else found.place
        return self._default

    def _sibling_folder(self, status: RecordingFileStatus, container: ContainerUrl) -> str | None:
        """The folder ACS made for chunks of this recording that it did export: the others belong beside them.

        Only one within the recording's own place and laid out as ACS does it: an event names no other folder to us.
        """
        for claim in status.chunks:
            found = self._allowed.locate(claim.content_location or "")
            folder = found.name.rpartition("/")[0] if found and _lies_in(container, found) else ""
            if _LAYOUT.fullmatch(folder) and len(folder) <= _LONGEST_FOLDER:
                return folder
        return None

    def _chunk(self, recording: Recording, status: RecordingFileStatus, claim: ChunkClaim, now: datetime) -> Chunk:
        """The chunk as a first event about it makes it: decided by where its location points.

        Its format is that of its own event: another event about the recording cannot take it for something else.
        """
        place = self._allowed.classify(claim.content_location)
        claimed = self._claimed(recording, claim.content_location)
        media = claim.content_location if place is Place.MEDIA else self._derived(claim.delete_location)
        media_name = naming.media_file(
            index=claim.index,
            content_type=status.content_type,
            format_type=status.format_type,
            document_id=claim.document_id,
        )
        metadata_name = naming.metadata_file(index=claim.index, document_id=claim.document_id)
        has_metadata = claim.metadata_location is not None
        return Chunk(
            key=naming.chunk_key(claim.document_id, claim.index),
            document_id=claim.document_id,
            index=claim.index,
            state=ChunkState.PENDING if place is Place.MEDIA else ChunkState.EXPECTED,
            end_reason=claim.end_reason,
            media_location=media,
            metadata_location=claim.metadata_location if self._is_media(claim.metadata_location) else None,
            delete_location=claim.delete_location if self._is_media(claim.delete_location) else None,
            claimed_blob=claimed,
            claimed_metadata_blob=self._claimed(recording, claim.metadata_location),
            blob=f"{recording.folder}/{media_name}",
            metadata_blob=f"{recording.folder}/{metadata_name}",
            metadata_state="pending" if has_metadata else "absent",
            next_try_at=now,
            first_seen_at=now,
        )

    def _claimed(self, recording: Recording, location: str | None) -> str | None:
        """The blob name that `location` claims in the recording's own container, if it does."""
        found = self._allowed.locate(location or "")
        container = ContainerUrl.parse(recording.container_url)
        return found.name if found and _lies_in(container, found) else None

    def _is_media(self, location: str | None) -> bool:
        return self._allowed.classify(location) is Place.MEDIA

    def _derived(self, delete_location: str | None) -> str | None:
        """Where the media most likely is, when the event gives a blob URL only: a guess, used when nothing is left."""
        if delete_location is None or not self._is_media(delete_location):
            return None
        return delete_location.partition("?")[0].rstrip("/") + "/content/video"

    @staticmethod
    def _updated(known: Chunk, told: Chunk, now: datetime, closed_at: datetime | None) -> Chunk:
        """A later event adds locations that were not known; it never takes one away or moves a state.

        For a lost chunk a new claim is a reason to look once more; for metadata of which nothing was known, as long
        as the recording is open.
        """
        is_first_told_of = known.metadata_location is None and known.claimed_metadata_blob is None
        if known.metadata_state == "absent" and is_first_told_of and closed_at is None:
            known = replace(known, metadata_state=told.metadata_state)
        if known.state is ChunkState.LOST and known.claimed_blob is None and told.claimed_blob:
            known = planned(known, at=now)
        return replace(
            known,
            media_location=known.media_location or told.media_location,
            metadata_location=known.metadata_location or told.metadata_location,
            delete_location=known.delete_location or told.delete_location,
            claimed_blob=known.claimed_blob or told.claimed_blob,
            claimed_metadata_blob=known.claimed_metadata_blob or told.claimed_metadata_blob,
        )

    def _foreign(self, status: RecordingFileStatus) -> list[str]:
        places = {self._allowed.classify(claim.content_location) for claim in status.chunks}
        return sorted(place.value for place in places & {Place.FOREIGN, Place.OTHER_BLOB})

    def _notes(self, status: RecordingFileStatus) -> list[str]:
        """Disagreements worth keeping for whoever looks into this recording."""
        notes = [f"event: {fault}" for fault in status.faults]
        says = (status.storage_type or "").lower()
        for claim in status.chunks:
            place = self._allowed.classify(claim.content_location)
            if place is Place.MEDIA and "blob" in says:
                notes.append(f"storageType {status.storage_type} but chunk {claim.index} is at ACS")
            if place is Place.DESTINATION and ("acs" in says or "communication" in says):
                notes.append(f"storageType {status.storage_type} but chunk {claim.index} is in the container")
            if place in (Place.FOREIGN, Place.OTHER_BLOB):
                notes.append(f"chunk {claim.index} claims a location this app does not go to ({place.value})")
        return notes[:20]


def _with_kind(status: RecordingFileStatus, before: Recording | None) -> RecordingFileStatus:
    """What the event does not say of the recording's kind is as it was started, or else as most are."""
    content = status.content_type or (before.content_type if before else "audio")
    channel = status.channel_type or (before.channel_type if before else "mixed")
    form = "mp4" if content == "audiovideo" else "wav" if channel == "unmixed" else "mp3"
    if before and (content, channel) == (before.content_type, before.channel_type):
        form = before.format_type
    return replace(status, content_type=content, channel_type=channel, format_type=status.format_type or form)


def _is_open_again(before: Chunk | None, now: Chunk) -> bool:
    """Whether an event gave something to do: a chunk that is new, or a lost one to look for again."""
    return before is None or before.ticket != now.ticket


def _lies_in(container: ContainerUrl, found: BlobLocation) -> bool:
    """Whether the blob lies in `container`, below its prefix."""
    return container.contains(replace(found.place, prefix=found.name))


def _late_exports(before: Recording | None, chunks: tuple[Chunk, ...]) -> list[str]:
    """Chunks that ACS exported under another name after they were rescued: told, and both kept."""
    found = []
    for chunk in chunks:
        known = before.chunk(chunk.key) if before else None
        is_late = (
            known and known.is_safe and known.claimed_blob is None and chunk.claimed_blob not in (None, known.blob)
        )
        if is_late:
            found.append(f"ACS exported chunk {chunk.index} after all, to {chunk.claimed_blob}")
    return found
