"""A recording and its chunks: what is known of them, and the only ways a chunk may change.

Rules
1. A chunk moves along `TRANSITIONS` and nowhere else; `Chunk.to` is the only way to change a state.
2. Finished is finished: no event, message or sweep moves a chunk out of `exported`, `rescued` or `delivered`.
   `lost` ends too, except that bytes found after all make it what they are: `exported`, `rescued` or `in_fallback`.
   `in_fallback` goes back to `pending` only where somebody removed the bytes from there.
3. Every plan for a further try carries a new `ticket`; a queue message with an older ticket changes nothing, so
   doubled messages never multiply.
4. A recording's state is computed from its chunks, never stored on its own.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta  # noqa: TC003 - read at run time by document.py
from enum import StrEnum
from typing import Any

from shared.domain.errors import Blame  # noqa: TC001 - read at run time by document.py


class ChunkState(StrEnum):
    """Where a chunk is on its way."""

    EXPECTED = "expected"  # an export is claimed and not yet verified
    EXPORTED = "exported"  # ACS wrote it; verified in the destination
    PENDING = "pending"  # not exported; waits for its next try
    RESCUING = "rescuing"  # a worker is at it
    RESCUED = "rescued"  # we wrote it to the destination; verified
    IN_FALLBACK = "in_fallback"  # safe in the app's own container; on its way to the destination
    DELIVERED = "delivered"  # moved from the fallback to the destination; verified
    LOST = "lost"  # the window closed before the bytes were safe


S = ChunkState
TRANSITIONS: dict[ChunkState, frozenset[ChunkState]] = {
    S.EXPECTED: frozenset({S.EXPORTED, S.PENDING, S.LOST}),
    S.PENDING: frozenset({S.RESCUING, S.EXPORTED, S.LOST}),
    S.RESCUING: frozenset({S.PENDING, S.RESCUED, S.IN_FALLBACK, S.EXPORTED, S.LOST}),
    S.IN_FALLBACK: frozenset({S.DELIVERED, S.PENDING}),
    S.LOST: frozenset({S.EXPORTED, S.RESCUED, S.IN_FALLBACK}),
    S.EXPORTED: frozenset(),
    S.RESCUED: frozenset(),
    S.DELIVERED: frozenset(),
}
SAFE_STATES = frozenset({S.EXPORTED, S.RESCUED, S.IN_FALLBACK, S.DELIVERED})
IN_PLACE_STATES = frozenset({S.EXPORTED, S.RESCUED, S.DELIVERED})
AT_RISK_STATES = frozenset({S.EXPECTED, S.PENDING, S.RESCUING})


class RecordingState(StrEnum):
    """A recording's state, from those of its chunks."""

    STARTED = "started"  # no event yet
    SAVING = "saving"  # at least one chunk is not safe yet
    SAFE = "safe"  # every byte is safe, some of them still in the fallback
    COMPLETE = "complete"  # everything is in the destination
    LOST = "lost"  # at least one chunk is lost, the rest is in the destination
    NEVER_HEARD = "never_heard"  # no event came and no export of it was found: nothing tells whether there was any


_MOST_NOTES = 100
UNFINISHED_STATES = (RecordingState.STARTED, RecordingState.SAVING, RecordingState.SAFE)


@dataclass(frozen=True)
class LastError:
    """The newest failure of a chunk: a code of `shared.domain.errors`, whose fault it is, and when."""

    code: str
    blame: Blame
    message: str
    at: datetime
    trace_id: str | None = None


@dataclass(frozen=True)
class Chunk:
    """One file of a recording.

    `key` names it in messages. `media_location` is an ACS media URL, if one is known. `blob` is the full name in
    the destination (or, in the fallback, below the recording's key). Sizes in bytes, `sha256` in hex, of the media.
    `failures` counts failed tries since the last progress (it sets the pace), `tries` all failed ones.
    """

    key: str
    document_id: str
    index: int
    state: ChunkState
    end_reason: str | None = None
    media_location: str | None = None
    metadata_location: str | None = None
    delete_location: str | None = None
    claimed_blob: str | None = None
    claimed_metadata_blob: str | None = None
    blob: str | None = None
    metadata_blob: str | None = None
    metadata_state: str = "pending"  # pending | saved | absent
    size: int | None = None
    sha256: str | None = None
    media_etag: str | None = None
    tries: int = 0
    failures: int = 0
    crashes: int = 0
    handovers: int = 0
    requeues: int = 0
    ticket: int = 1
    next_try_at: datetime | None = None
    lease_until: datetime | None = None
    tried_after_deadline: bool = False
    last_error: LastError | None = None
    first_seen_at: datetime | None = None
    finished_at: datetime | None = None
    deletion: str = "off"  # off | pending | done | failed

    def to(self, state: ChunkState, **changes: Any) -> Chunk:
        """This chunk in another state; ValueError where the table has no such way."""
        if state not in TRANSITIONS[self.state]:
            raise ValueError(f"a chunk does not go from {self.state} to {state}")
        return replace(self, state=state, **changes)

    @property
    def is_safe(self) -> bool:
        """Whether its bytes no longer depend on ACS."""
        return self.state in SAFE_STATES

    @property
    def is_finished(self) -> bool:
        """Whether nothing is left to do for its bytes; a lost chunk with a try planned is looked for once more."""
        return self.state in IN_PLACE_STATES or (self.state is ChunkState.LOST and self.next_try_at is None)

    @property
    def is_given_up(self) -> bool:
        """Whether its delivery was given up: the bytes stay in the fallback, and no further try is planned."""
        return self.state is ChunkState.IN_FALLBACK and self.next_try_at is None


@dataclass(frozen=True)
class Manifest:
    """The state of the recording's manifest.json: pending, written or given_up, and how often it failed."""

    state: str = "pending"
    failures: int = 0
    next_try_at: datetime | None = None
    blob: str | None = None


@dataclass(frozen=True)
class Recording:
    """Everything the ledger knows of one recording. `key` is a hash of its id and names the ledger document.

    `deadline`: when ACS may drop the media: min(recording end, event time) + the window. Before the event is known
    it is a lower bound: start + the window. `folder` is the full prefix of its files in the destination. `reopened`
    counts how often an event or a replay opened it again after it was closed.
    """

    key: str
    container_url: str
    created_at: datetime
    deadline: datetime
    recording_id: str | None = None
    call_id: str | None = None
    server_call_id: str | None = None
    folder: str | None = None
    started_here: bool = False
    recording_start: datetime | None = None
    duration: timedelta | None = None
    content_type: str = "audio"
    channel_type: str = "mixed"
    format_type: str = "mp3"
    session_end_reason: str | None = None
    event_time: datetime | None = None
    events: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    alerts: tuple[str, ...] = ()
    chunks: tuple[Chunk, ...] = ()
    check_at: datetime | None = None
    marker: str | None = None
    manifest: Manifest = Manifest()
    closed_at: datetime | None = None
    reopened: int = 0

    @property
    def state(self) -> RecordingState:
        """Computed: see `RecordingState`."""
        states = {chunk.state for chunk in self.chunks}
        if not states:
            return RecordingState.NEVER_HEARD if self.closed_at else RecordingState.STARTED
        if states & AT_RISK_STATES:
            return RecordingState.SAVING
        if ChunkState.IN_FALLBACK in states:
            return RecordingState.SAFE
        return RecordingState.LOST if ChunkState.LOST in states else RecordingState.COMPLETE

    def chunk(self, key: str) -> Chunk | None:
        """The chunk of that key."""
        return next((chunk for chunk in self.chunks if chunk.key == key), None)

    def with_chunk(self, changed: Chunk) -> Recording:
        """The recording with that chunk in place of the one with the same key."""
        if self.chunk(changed.key) is None:
            raise ValueError(f"recording {self.key} has no chunk {changed.key}")
        return replace(self, chunks=tuple(changed if c.key == changed.key else c for c in self.chunks))

    def closed_undelivered(self, at: datetime) -> Recording:
        """The recording closed while bytes of it stay in the fallback: no manifest tells of it any more."""
        waits = self.manifest.state == "pending"
        manifest = replace(self.manifest, state="given_up", next_try_at=None) if waits else self.manifest
        return replace(self, closed_at=at, manifest=manifest)

    def with_note(self, note: str) -> Recording:
        """The recording with one more note, once, and no more than anybody reads."""
        return (
            self if note in self.notes or len(self.notes) >= _MOST_NOTES else replace(self, notes=(*self.notes, note))
        )

    def with_alert(self, alert: str) -> Recording:
        """The recording remembering that `alert` was raised."""
        return self if alert in self.alerts else replace(self, alerts=(*self.alerts, alert))


def states_diagram() -> str:
    """The table as a Mermaid state diagram, for docs/architecture.md (a test keeps the two equal)."""
    lines = ["stateDiagram-v2", "    [*] --> expected", "    [*] --> pending"]
    lines += [f"    {a} --> {b}" for a, targets in TRANSITIONS.items() for b in sorted(targets)]
    lines += [f"    {a} --> [*]" for a, targets in TRANSITIONS.items() if not targets]
    return "\n".join(lines)
