"""Go on now: somebody has mended a role, a network or a container, and a recording need not wait for its next try, or
is taken up again where it was given up.

    no chunk yet         asked for at ACS and looked for in the container (`silence.py`)
    expected, pending    tried now
    rescuing             left to its worker; tried now where that went away
    in_fallback          delivered now, given up or not; after its days that is one more try
    lost                 looked for in the container: somebody may have brought the file there
    in place             what is left to do for it: metadata, deletion at ACS, the manifest

Replays are plans as all others are: a new ticket, so a worker that is at the chunk, or another replay, does no harm.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from shared.api.views import find
from shared.domain.errors import REFUSALS, FallbackMissing, RecorderError, StorageRefused
from shared.domain.recording import IN_PLACE_STATES, Chunk, ChunkState, Manifest, Recording
from shared.logs import log
from shared.store import planned, taken_back

if TYPE_CHECKING:
    from datetime import datetime

    from shared.ports import Clock
    from shared.store import Books
    from shared.sweep.missing_event import Silence

_CAUSES: list[type[RecorderError]] = [*REFUSALS, *StorageRefused.__subclasses__(), FallbackMissing]
# A person mends these, and says by a replay that it is done: what still stands is raised again. What is over and done
# with (a loss, a deadline that neared) stays said.
_MENDED = {"delivery_given_up", "worker_crashing", *(kind.code for kind in _CAUSES)}


class Replay:
    """Sets recordings going. One for the process; safe for many threads."""

    def __init__(self, *, books: Books, silence: Silence, clock: Clock) -> None:
        self._books = books
        self._silence = silence
        self._clock = clock

    def replay(self, identity: str) -> bool:
        """Sets going what can go on of the recording with that id or key; whether there was anything.

        Raises RecordingUnknown, StorageError. What the queue does not take is in the ledger, and the sweep sends it.
        """
        seen = find(self._books, identity)
        if not seen.chunks:
            is_asked = self._silence.ask_now(seen)
            if is_asked:
                log("recording.replayed", recording=seen.key, chunks=0)
            return is_asked
        now = self._clock.now()

        def decide(current: Recording) -> Recording | None:
            nonlocal seen
            seen = current
            return set_going(current, now=now)

        after = self._books.change(seen.key, decide)
        if after is None:
            return False
        going = [chunk for chunk, old in zip(after.chunks, seen.chunks, strict=True) if chunk.ticket != old.ticket]
        log("recording.replayed", recording=after.key, chunks=len(going), state=after.state)
        for chunk in going:
            self._books.send_or_leave(after, chunk)
        return True


def set_going(recording: Recording, *, now: datetime) -> Recording | None:
    """The recording, open, with all its chunks that can go on planned at `now`; None where there is nothing to do."""
    is_open = recording.closed_at is None
    chunks = tuple(
        planned(replace(taken_back(chunk), failures=0, tried_after_deadline=False), at=now)
        if _can_go_on(chunk, is_open=is_open, now=now)
        else chunk
        for chunk in recording.chunks
    )
    is_in_place = all(chunk.state in IN_PLACE_STATES for chunk in chunks)
    if chunks == recording.chunks:
        if not is_in_place or not (is_open or recording.manifest.state == "given_up"):
            return None
        # The manifest and the close are left, which any chunk's message leads to.
        chunks = (planned(chunks[0], at=now), *chunks[1:])
    # What else may become of a chunk is told by no manifest yet.
    is_told = is_in_place and recording.manifest.state == "written"
    manifest = recording.manifest if is_told else Manifest(blob=recording.manifest.blob)
    alerts = tuple(name for name in recording.alerts if name not in _MENDED)
    return replace(recording, chunks=chunks, manifest=manifest, alerts=alerts, closed_at=None)


def _can_go_on(chunk: Chunk, *, is_open: bool, now: datetime) -> bool:
    if chunk.state is ChunkState.RESCUING:
        return chunk.lease_until is None or chunk.lease_until <= now
    if chunk.state in IN_PLACE_STATES:
        return chunk.metadata_state == "pending" or (is_open and chunk.deletion == "pending")
    return True
