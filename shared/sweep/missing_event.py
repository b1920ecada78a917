"""A recording that was started here and of which no event came: still running, already exported, or trouble."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

from shared.domain import naming
from shared.domain.errors import BlobExists, RecorderError, RecordingNotFound, StorageError
from shared.domain.recording import Chunk, ChunkState
from shared.domain.redaction import clean
from shared.logs import describe, log
from shared.sweep.exports import Exports, Unseen, chunk_files, folder_of, form_of, is_anothers
from shared.transfer import ranges
from shared.worker.finder import container_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from shared.domain.recording import Recording
    from shared.ports import Acs, BlobFacts, Clock, Container, Containers
    from shared.store import Books
    from shared.sweep.exports import Metadata

# A chunk's metadata tells its start; it is this recording's if that is as near as this to our start.
_SAME_START = timedelta(seconds=30)
# The event comes one to a few minutes after the end; a retry of Event Grid's on top.
_EVENT_DELAY = timedelta(minutes=15)
_ENDED = "ACS says that it has ended; no event yet"
_EVENT_GRID_LIFE = timedelta(hours=24)
# What fails for a moment, or takes more than one sweep to read, is no reason for an alarm: not for so long.
_PATIENCE = timedelta(hours=1)
_TIME_ALONE = timedelta(minutes=1)
# So many calls at most are looked at more closely: among more nothing would tell which is the recording's.
_MOST_CALLS = 5
_LONGEST_NAME = 200


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
        delivery_window: timedelta,
    ) -> None:
        self._books = books
        self._acs = acs
        self._containers = containers
        self._clock = clock
        self._window = window
        self._silent_after = silent_after
        # As long as the container cannot be seen, nobody knows that there is nothing: it is asked as long as for a
        # delivery.
        self._longest_unseen = max(delivery_window, _EVENT_GRID_LIFE)
        self._exports = Exports(clock=clock)

    def ask_now(self, recording: Recording) -> bool:
        """`look` without waiting for its time, and of a recording that was given up once more.

        False where that is not to be: a chunk is known, or the end is, and what follows it is awaited for minutes yet.
        """
        now = self._clock.now()

        def decide(current: Recording) -> Recording | None:
            check_at = current.check_at or now
            if current.chunks or (_ENDED in current.notes and now < check_at <= now + _EVENT_DELAY):
                return None
            alerts = tuple(name for name in current.alerts if name not in ("silent", "never_heard"))
            return replace(current, check_at=now, closed_at=None, alerts=alerts)

        after = self._books.change(recording.key, decide)
        if after:
            self.look(after)
        return after is not None

    def exports(self) -> Exports:
        """What one sweep sees of the containers, for all the recordings that it looks at."""
        self._exports = self._exports.following()
        return self._exports

    def look(self, recording: Recording, *, exports: Exports | None = None, until: datetime | None = None) -> None:
        """If it is time: asks ACS, looks in the container, says aloud what a person should know.

        Where the container fails, or `until` leaves some of it unseen, the recording stays due: it is looked at again
        soon, and what is not known to be missing is not called so.
        """
        now = self._clock.now()
        if recording.check_at is None or now < recording.check_at:
            return
        state = self._state(recording)
        if state == "active":
            # It runs: its media cannot be older than now.
            self._again(recording, deadline=now + self._window)
            return
        if state is None and now < recording.deadline:
            self._again(recording, deadline=recording.deadline)
            return
        # Who says nothing for so long need not be waited for: what was exported is in the container all the same.
        state = state or "unknown"
        if _ENDED not in recording.notes:
            # It may have ended a moment ago: events take minutes. The next look, soon, is the one that counts.
            self._books.change(
                recording.key,
                lambda r: None if r.chunks else replace(r.with_note(_ENDED), check_at=now + _EVENT_DELAY),
            )
            return
        self._search(recording, exports or self._exports.following(), state=state, until=until or now + _TIME_ALONE)

    def _search(self, recording: Recording, exports: Exports, *, state: str, until: datetime) -> None:
        """Looks for what ACS exported of a recording that has ended, without an event since."""
        now = self._clock.now()
        found: dict[str, list[Chunk]] | None
        try:
            found = self._exported(recording, exports, until)
        except Unseen:
            if now < (recording.check_at or now) + _PATIENCE:
                return
            found = None
        if found and len(found) == 1 and self._adopt(recording, *next(iter(found.items()))):
            return
        self._books.alert(recording, "silent", started_at=recording.created_at, acs=state)
        recording = self._noted(recording, found or {})
        if now > recording.deadline + (_EVENT_GRID_LIFE if found is not None else self._longest_unseen):
            self._close(recording, state=state, is_seen=found is not None)
            return
        self._again(recording, deadline=recording.deadline)

    def _noted(self, recording: Recording, found: dict[str, list[Chunk]]) -> Recording:
        """With what fits and was not taken: a person may know which is the recording's."""
        if not found:
            return recording
        names = ", ".join(clean(folder)[:_LONGEST_NAME] for folder in sorted(found)[:_MOST_CALLS])
        note = f"{len(found)} exports began when it did, and nothing tells which is its own: {names}"
        if len(found) == 1:
            note = f"the export that began when it did was taken for another recording's: {names}"
        return self._books.change(recording.key, lambda r: None if r.chunks else r.with_note(note)) or recording

    def _close(self, recording: Recording, *, state: str, is_seen: bool) -> None:
        now = self._clock.now()
        closed = self._books.change(recording.key, lambda r: None if r.chunks else replace(r, closed_at=now))
        if closed:
            self._books.alert(closed, "never_heard", started_at=recording.created_at, acs=state, container_seen=is_seen)

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

    def _exported(self, recording: Recording, exports: Exports, until: datetime) -> dict[str, list[Chunk]]:
        """The folders in the container whose chunks may be the recording's; its own if that is one. Unseen.

        Nothing there names the recording: the start knows no call id, which the metadata has, the metadata has no
        recording id, and the folder's first characters are the same for all. So what tells is when it began and what
        was asked for: the format, and whether channels are mixed. Of several of its kind that began within seconds the
        nearest would be a guess, for nobody knows how late ACS is, or our note of a start; and a wrong one shows a
        person somebody else's call.
        """
        place = container_of(recording)
        found: dict[str, list[Chunk]] = {}
        try:
            container = self._containers.destination(place)
            near = exports.near(container, place, recording.created_at, within=_SAME_START, until=until)
            near = [one for one in near if _is_of_kind(recording, form=one.form, channel=one.channel)]
            calls = sorted({export.call for export in near})
            if len(calls) > _MOST_CALLS:
                return {export.folder: [] for export in near}
            look = partial(exports.metadata, container, place, until=until)
            for call in calls:
                prefixes = [f"{day}{call}/" for day in _days(recording)]
                files = [facts for prefix in prefixes for facts in exports.files(container, prefix, until=until)]
                found |= self._of_call(container, recording, files, look)
        except StorageError as error:
            log("silence.failed", level=logging.WARNING, recording=recording.key, error=describe(error))
            raise Unseen from error
        return found

    def _of_call(
        self, container: Container, recording: Recording, files: list[BlobFacts], look: Callable[[BlobFacts], Metadata]
    ) -> dict[str, list[Chunk]]:
        """The folders of one call that hold chunks which began when this recording did."""
        places: dict[str, list[BlobFacts]] = {}
        for facts in files:
            places.setdefault(folder_of(facts), []).append(facts)
        # Of this recording no chunk is known: what was rescued, and where a manifest stands, is another's.
        others = [folder for folder, inside in places.items() if any(map(is_anothers, inside))]
        known = {facts.name.rpartition("/")[2] for folder in others for facts in places.pop(folder)}
        found = {
            folder: self._of_folder(container, recording, inside, known, look) for folder, inside in places.items()
        }
        return {folder: chunks for folder, chunks in found.items() if chunks}

    def _of_folder(
        self,
        container: Container,
        recording: Recording,
        files: list[BlobFacts],
        known: set[str],
        look: Callable[[BlobFacts], Metadata],
    ) -> list[Chunk]:
        chunks: list[Chunk] = []
        for index, about, media in chunk_files(files):
            if index and not chunks:
                return []
            metadata = look(about)
            document = metadata.document_id or about.name.rpartition("/")[2]
            # ACS may have exported late what was rescued to another folder: that is known there by its document.
            if naming.metadata_file(index=index, document_id=document) in known:
                continue
            if index == 0 and not _is_its_first(recording, metadata, media):
                continue
            if _is_rescued(container, media.name):
                return []
            chunks.append(
                Chunk(
                    key=naming.chunk_key(document, index),
                    document_id=document,
                    index=index,
                    state=ChunkState.EXPORTED,
                    blob=media.name,
                    metadata_blob=about.name,
                    metadata_state="saved",
                    size=media.size,
                    first_seen_at=self._clock.now(),
                    finished_at=self._clock.now(),
                )
            )
        return chunks

    def _adopt(self, recording: Recording, folder: str, chunks: list[Chunk]) -> bool:
        """Takes the chunks for the recording's; False where another recording has taken them.

        Of two that began together one may have no export at all. Each would find that of the other, and the loss would
        look like a recording that is complete.
        """
        note = naming.adoption(container_of(recording).blob_url(folder))
        ledger = self._books.ledger
        try:
            ledger.put_note(note, recording.key.encode(), is_new_only=True)
        except BlobExists:
            if ledger.get_note(note) != recording.key.encode():
                return False

        def decide(current: Recording) -> Recording | None:
            if current.chunks:
                return None
            found = replace(current, chunks=tuple(chunks), folder=folder, check_at=None)
            return found.with_note("no event came; the export was found in the container by its start time")

        after = self._books.change(recording.key, decide)
        if after:
            self._books.alert(after, "event_missing", level=logging.WARNING, chunks=len(chunks))
        return True


def _is_of_kind(recording: Recording, *, form: str | None, channel: str | None) -> bool:
    """Whether it may be what was asked for at the start; what is not said may be anything."""
    return form in (None, recording.format_type) and channel in (None, recording.channel_type)


def _is_its_first(recording: Recording, metadata: Metadata, media: BlobFacts) -> bool:
    began = metadata.began
    is_then = began is not None and abs(began - recording.created_at) <= _SAME_START
    return is_then and _is_of_kind(recording, form=form_of(media), channel=metadata.channel)


def _days(recording: Recording) -> list[str]:
    """Where ACS may have put its export, without the call."""
    start = recording.created_at.astimezone(UTC)
    return naming.day_prefixes(prefix=container_of(recording).prefix, start=start)


def _is_rescued(container: Container, name: str) -> bool:
    """Whether the file is made of our blocks: a rescue whose worker died before it noted the checksum."""
    blocks = container.committed(name)
    return bool(blocks) and all(ranges.is_our_block(block) for block in blocks)
