"""When a chunk's bytes are safe: its metadata beside it, and when all are in place the manifest, and by setting the
deletion at ACS. Each step is tried again on its own and none of them puts the bytes at risk.
"""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from shared.domain.backoff import History, NextTry, delivery_delay, next_try
from shared.domain.errors import (
    BlobExists,
    DestinationConflict,
    ExportNotFound,
    MediaDistrusted,
    MediaIsAPage,
    RecorderError,
    StorageError,
)
from shared.domain.recording import IN_PLACE_STATES, ChunkState, Manifest, RecordingState
from shared.logs import log
from shared.store import planned
from shared.worker.finder import container_of, fallback_name
from shared.worker.manifest import put_manifest

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import timedelta

    from shared.domain.backoff import RetryPolicy
    from shared.domain.recording import Chunk, Recording
    from shared.ports import Clock, Containers, Media, Random
    from shared.store import Books

_METADATA_LIMIT = 16 * 1024 * 1024


class Aftercare:
    """What follows the bytes."""

    def __init__(
        self,
        *,
        books: Books,
        containers: Containers,
        media: Media,
        clock: Clock,
        random: Random,
        policy: RetryPolicy,
        delivery_window: timedelta,
        deletes_at_acs: bool,
    ) -> None:
        self._books = books
        self._containers = containers
        self._media = media
        self._clock = clock
        self._random = random
        self._policy = policy
        self._delivery_window = delivery_window
        self._deletes_at_acs = deletes_at_acs

    def chunk_is_safe(self, recording: Recording, chunk: Chunk) -> None:
        """Goes on from a chunk that is safe (or lost). Raises StorageError only when the ledger itself fails."""
        is_waiting = chunk.is_safe and chunk.metadata_state == "pending"
        # What was just written stands: whoever writes after it sees this chunk, and finishes what this one does not.
        current = (self._metadata(recording, chunk) if is_waiting else None) or self._books.load(recording.key)
        if current is None:
            return
        standing = current.chunk(chunk.key)
        if standing and standing.state is ChunkState.IN_FALLBACK:
            self._books.send_or_leave(current, standing)
        elif _is_whole(current):
            self._finish(current, chunk.key)
        elif all(_is_done_with(one) for one in current.chunks):
            self._close_undelivered(current)
        else:
            self.tell_losses(current)

    def tell_lost(self, recording: Recording, chunk: Chunk) -> None:
        """The loudest thing this app ever says, once."""
        code = chunk.last_error.code if chunk.last_error else None
        self._books.alert(recording, f"lost_{chunk.index}", chunk=chunk.index, tries=chunk.tries, code=code)

    def tell_losses(self, recording: Recording) -> None:
        """The same of every lost chunk: again, if whoever lost it died before saying so."""
        for lost in (one for one in recording.chunks if one.state is ChunkState.LOST):
            self.tell_lost(recording, lost)

    # --- metadata

    def with_metadata(self, recording: Recording, chunk: Chunk) -> tuple[Recording, Chunk]:
        """One try for the metadata of a chunk that waits for it; both as they stand then."""
        after = self._metadata(recording, chunk) if chunk.metadata_state == "pending" else None
        moved = after.chunk(chunk.key) if after else None
        return (after, moved) if after and moved else (recording, chunk)

    def _metadata(self, recording: Recording, chunk: Chunk) -> Recording | None:
        """One try. The recording as it stands after it, where that is known without reading it."""
        if chunk.metadata_location is None and chunk.claimed_metadata_blob is None:
            return self._change(recording, chunk, lambda now: replace(now, metadata_state="absent"))
        name = chunk.metadata_blob
        try:
            if chunk.metadata_location is None:
                name = self._exported_metadata(recording, chunk)
            else:
                self._put_metadata(recording, chunk, chunk.metadata_location)
        except RecorderError as error:
            self._metadata_failed(recording, chunk, error)
            return None
        return self._change(recording, chunk, lambda now: replace(now, metadata_state="saved", metadata_blob=name))

    def _exported_metadata(self, recording: Recording, chunk: Chunk) -> str:
        """Where ACS says it exported the metadata to. ExportNotFound: it may come a moment after the media."""
        name = chunk.claimed_metadata_blob or ""
        if self._containers.destination(container_of(recording)).stat(name) is None:
            raise ExportNotFound("the metadata is not in the container")
        return name

    def _put_metadata(self, recording: Recording, chunk: Chunk, location: str) -> None:
        data = self._media.read_all(location, limit=_METADATA_LIMIT)
        _check_metadata(data)
        name = chunk.metadata_blob or ""
        if chunk.state is ChunkState.IN_FALLBACK:
            container, name = self._containers.fallback(), fallback_name(recording, name)
        else:
            container = self._containers.destination(container_of(recording))
        try:
            container.put(name, data, content_type="application/json", overwrite=False)
        except BlobExists:
            return  # an earlier try, or ACS itself

    def _metadata_failed(self, recording: Recording, chunk: Chunk, error: RecorderError) -> None:
        log(
            "metadata.failed",
            level=logging.WARNING,
            recording=recording.key,
            chunk=chunk.index,
            code=error.code,
            message=str(error),
        )
        if chunk.state is ChunkState.IN_FALLBACK:
            return  # each delivery asks again
        plan = self._next_metadata_try(recording, chunk, error)
        if plan is None:
            self._change(recording, chunk, lambda now: replace(now, metadata_state="absent"))
            self._books.alert(recording, f"metadata_lost_{chunk.index}", level=logging.WARNING, code=error.code)
            return

        def again(now: Chunk) -> Chunk:
            after = planned(replace(now, failures=now.failures + 1), at=plan.at)
            return replace(after, tried_after_deadline=now.tried_after_deadline or plan.is_after_deadline)

        self._plan(recording, chunk, again)

    def _next_metadata_try(self, recording: Recording, chunk: Chunk, error: RecorderError) -> NextTry | None:
        now, random = self._clock.now(), self._random.random()
        if chunk.metadata_location is None:
            # What ACS exports to the container stays there, however late it is seen: nothing is won by asking often.
            at = now + delivery_delay(failures=chunk.failures, random=random)
            return NextTry(at) if now < recording.deadline else None
        seen_at = chunk.first_seen_at or recording.created_at
        return next_try(
            self._policy,
            History(chunk.failures, recording.deadline, seen_at, chunk.tried_after_deadline),
            now=now,
            random=random,
            retry_after=error.retry_after,
        )

    # --- manifest, deletion, close

    def _finish(self, recording: Recording, chunk_key: str) -> None:
        if recording.closed_at is not None:
            return
        chunk = recording.chunk(chunk_key)
        self.tell_losses(recording)
        if not self.clear_fallback(recording):
            return  # the sweep comes by
        noted: Manifest | None = recording.manifest
        if recording.manifest.state == "pending" and chunk:
            noted = self._manifest(recording, chunk)
        if noted is None:
            return
        if self._deletes_at_acs and recording.state is RecordingState.COMPLETE:
            self._books.change(recording.key, lambda now: _with_manifest(now, recording, noted))
            if not self._delete(recording):
                return

        def close(now: Recording) -> Recording:
            # An event may have told of another chunk meanwhile: who brings that one closes the recording.
            now = _with_manifest(now, recording, noted)
            is_done = _is_whole(now) and now.manifest.state != "pending"
            return replace(now, closed_at=self._clock.now()) if is_done and now.closed_at is None else now

        closed = self._books.change(recording.key, close)
        if closed and closed.closed_at:
            log(
                "recording.closed",
                recording=recording.key,
                state=closed.state,
                size=sum(one.size or 0 for one in closed.chunks),
                tries=sum(one.tries for one in closed.chunks),
            )

    def clear_fallback(self, recording: Recording) -> bool:
        """Removes what tries left in the fallback and the ledger does not know of; whether it could."""
        if not any(one.tries or one.crashes or one.requeues for one in recording.chunks):
            return True
        try:
            fallback = self._containers.fallback()
            found = [facts.name for facts in fallback.find(fallback_name(recording, ""))]
            if found:
                # Read after the listing: what came since is not in it. Only what stands at its place may fall here: a
                # chunk on its way may have come here a moment ago, and of a lost one this may be all that is left.
                current = self._books.load(recording.key) or recording
                others = [one for one in current.chunks if one.state not in IN_PLACE_STATES]
                kept = {
                    fallback_name(recording, name or "") for one in others for name in (one.blob, one.metadata_blob)
                }
                for name in found:
                    if name not in kept:
                        fallback.delete(name)
        except StorageError as error:
            log("fallback.failed", level=logging.WARNING, recording=recording.key, code=error.code)
            return False
        return True

    def _close_undelivered(self, recording: Recording) -> None:
        """The delivery of a chunk was given up (and said aloud) while this one still had something to wait for."""

        def decide(current: Recording) -> Recording | None:
            if current.closed_at is not None or not all(_is_done_with(one) for one in current.chunks):
                return None
            return current.closed_undelivered(self._clock.now())

        self.tell_losses(recording)
        if not self.clear_fallback(recording):
            return
        closed = self._books.change(recording.key, decide)
        if closed:
            log("recording.closed", level=logging.ERROR, recording=recording.key, state=closed.state)

    def _manifest(self, recording: Recording, chunk: Chunk) -> Manifest | None:
        """Writes the manifest. What is to be noted of it; None where a later try is planned."""
        now = self._clock.now()
        before = recording.manifest
        try:
            container = self._containers.destination(container_of(recording))
            name = put_manifest(container, recording, now=now)
        except (StorageError, DestinationConflict) as error:
            failures = before.failures + 1
            log("manifest.failed", level=logging.WARNING, recording=recording.key, code=error.code, failures=failures)
            if now >= recording.deadline + self._delivery_window:
                return Manifest("given_up", failures, None, before.blob)
            at = now + delivery_delay(failures=failures, random=self._random.random())
            waits = Manifest("pending", failures, at, before.blob)
            self._plan(
                recording,
                chunk,
                lambda one: planned(one, at=at),
                also=lambda now: replace(now, manifest=waits) if now.manifest.state == "pending" else now,
            )
            return None
        return Manifest("written", before.failures, None, name)

    def _delete(self, recording: Recording) -> bool:
        """Deletes at ACS what is verified; True when nothing is left to try."""
        for chunk in recording.chunks:
            if chunk.delete_location is None or chunk.deletion in ("done", "failed"):
                continue
            if not _deletes_only(chunk):
                # ACS drops it by itself when its time is over.
                self._change(recording, chunk, lambda now: replace(now, deletion="failed"))
                log("deletion.refused", level=logging.WARNING, recording=recording.key, chunk=chunk.index)
                continue
            try:
                self._media.delete(chunk.delete_location)
            except RecorderError as error:
                if not self._delete_again(recording, chunk, error):
                    continue
                return False
            self._change(recording, chunk, lambda now: replace(now, deletion="done"))
            log("deletion.done", recording=recording.key, chunk=chunk.index)
        return True

    def _delete_again(self, recording: Recording, chunk: Chunk, error: RecorderError) -> bool:
        """Plans another deletion inside the window; False where that is over: ACS deletes it itself."""
        log("deletion.failed", level=logging.WARNING, recording=recording.key, chunk=chunk.index, code=error.code)
        now = self._clock.now()
        if now >= recording.deadline:
            self._change(recording, chunk, lambda one: replace(one, deletion="failed"))
            return False
        at = now + delivery_delay(failures=chunk.failures, random=self._random.random())
        self._plan(
            recording, chunk, lambda one: planned(replace(one, failures=one.failures + 1, deletion="pending"), at=at)
        )
        return True

    # --- helpers

    def _change(self, recording: Recording, chunk: Chunk, change: Callable[[Chunk], Chunk]) -> Recording | None:
        def decide(current: Recording) -> Recording | None:
            standing = current.chunk(chunk.key)
            return current.with_chunk(change(standing)) if standing else None

        return self._books.change(recording.key, decide)

    def _plan(
        self,
        recording: Recording,
        chunk: Chunk,
        change: Callable[[Chunk], Chunk],
        *,
        also: Callable[[Recording], Recording] = lambda recording: recording,
    ) -> None:
        """The same with a new ticket, and its message; whoever planned meanwhile is left in peace, and what is done."""

        def decide(current: Recording) -> Recording | None:
            standing = current.chunk(chunk.key)
            if standing is None or standing.ticket != chunk.ticket or current.closed_at is not None:
                return None
            return also(current.with_chunk(change(standing)))

        after = self._books.change(recording.key, decide)
        moved = after.chunk(chunk.key) if after else None
        if after and moved:
            self._books.send_or_leave(after, moved)


def _with_manifest(now: Recording, recording: Recording, noted: Manifest) -> Recording:
    """`now` with what became of the manifest of `recording`, as that was; with another chunk since, or a lost one that
    is looked for again, it is to be written anew.
    """
    if now.manifest.state != "pending":
        return now
    is_all = [one.key for one in now.chunks] == [one.key for one in recording.chunks] and _is_whole(now)
    return replace(now, manifest=noted if is_all else replace(now.manifest, blob=noted.blob))


def _is_whole(recording: Recording) -> bool:
    """Whether nothing is left to do for any chunk, but what is done for all of them at once."""
    return all(one.is_finished and not _waits_for_metadata(one) for one in recording.chunks)


def _waits_for_metadata(chunk: Chunk) -> bool:
    return chunk.state in IN_PLACE_STATES and chunk.metadata_state == "pending"


def _is_done_with(chunk: Chunk) -> bool:
    """Whether nothing is to come for the chunk."""
    return chunk.is_given_up or (chunk.is_finished and not _waits_for_metadata(chunk))


def _deletes_only(chunk: Chunk) -> bool:
    """Whether the chunk's `deleteLocation` names the chunk's own object: an event could name any."""
    return chunk.document_id in urlsplit(chunk.delete_location or "").path.split("/")


def _check_metadata(data: bytes) -> None:
    """Metadata must be a JSON object; an error page is not it."""
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise MediaIsAPage("the metadata is not JSON") from error
    if not isinstance(document, dict):
        raise MediaDistrusted("the metadata is not a JSON object")
