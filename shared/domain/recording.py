"""A recording and its chunks: what is known of them. What changes them is in `lifecycle.py`.

Theory of operation
    A recording is one document. Its chunks are the files that ACS made of it; each chunk is in one `ChunkState` and
    moves along `TRANSITIONS` only. Reports (what events said of a chunk) are folded into the chunk, never replaced:
    every location that was ever reported stays a candidate, and the two ends of the window are the earliest and the
    latest that any report makes plausible.

    What is to be done next is not stored: `steps.py` reads it from the document. Stored are only *when* (a plan: the
    chunk's `next_attempt_at` under a `generation`) and *who is at it* (the lease). A queue message carries the
    generation it was sent for, so a message of an older plan changes nothing.

Rules
1. `Chunk.to` is the only way to change a state.
2. Bytes that are in place (`exported`, `rescued`, `delivered`) end the chunk's way, until a look finds the file gone or
   different (`damaged`); a look that finds it intact, or a replay, ends that.
3. A recording's state is computed from its chunks, never stored on its own.
4. The document lies under `open/` as long as anything is owed: work, an alert, a copy to be cleaned up.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta  # noqa: TC003 - read at run time by codec.py
from enum import StrEnum
from typing import Any

from shared.domain.errors import Blame  # noqa: TC001 - read at run time by codec.py
from shared.domain.journal import Entry, PendingAlert  # noqa: TC001 - read at run time by codec.py
from shared.domain.media import Proof


class ChunkState(StrEnum):
    """Where a chunk is on its way."""

    EXPECTED = "expected"  # an export is reported and not yet verified
    PENDING = "pending"  # not exported; waits for its next attempt, or a worker holds its lease
    EXPORTED = "exported"  # ACS wrote it; verified in the destination
    RESCUED = "rescued"  # this app wrote it to the destination
    IN_FALLBACK = "in_fallback"  # safe in the app's own container; on its way to the destination
    DELIVERED = "delivered"  # moved from the fallback to the destination
    UNDELIVERABLE = "undeliverable"  # safe in the fallback; the delivery was given up
    LOST = "lost"  # the window closed before the bytes were safe
    UNCONFIRMED = "unconfirmed"  # the window closed, and no source ever confirmed that there is such a chunk
    DAMAGED = "damaged"  # its file was in place; a later look found it gone or different


S = ChunkState
_BYTES = {S.EXPORTED, S.RESCUED, S.IN_FALLBACK}
TRANSITIONS: dict[ChunkState, frozenset[ChunkState]] = {
    S.EXPECTED: frozenset({S.PENDING, S.LOST, S.UNCONFIRMED} | _BYTES),
    S.PENDING: frozenset({S.LOST, S.UNCONFIRMED, S.DAMAGED} | _BYTES),
    S.IN_FALLBACK: frozenset({S.DELIVERED, S.EXPORTED, S.RESCUED, S.PENDING, S.UNDELIVERABLE, S.LOST}),
    S.UNDELIVERABLE: frozenset({S.IN_FALLBACK, S.DELIVERED, S.EXPORTED, S.RESCUED, S.PENDING}),
    S.LOST: frozenset({S.PENDING} | _BYTES),
    S.UNCONFIRMED: frozenset({S.PENDING, S.LOST} | _BYTES),
    S.EXPORTED: frozenset({S.DAMAGED}),
    S.RESCUED: frozenset({S.DAMAGED}),
    S.DELIVERED: frozenset({S.DAMAGED}),
    S.DAMAGED: frozenset({S.DELIVERED, S.PENDING} | _BYTES),
}
IN_PLACE_STATES = frozenset({S.EXPORTED, S.RESCUED, S.DELIVERED})
IN_FALLBACK_STATES = frozenset({S.IN_FALLBACK, S.UNDELIVERABLE})
SAFE_STATES = IN_PLACE_STATES | IN_FALLBACK_STATES
CHECKED_STATES = IN_PLACE_STATES | {S.DAMAGED}  # their files can be looked at again
AT_RISK_STATES = frozenset({S.EXPECTED, S.PENDING})
MISSING_STATES = frozenset({S.LOST, S.UNCONFIRMED})


class RecordingState(StrEnum):
    """A recording's state: the worst of its chunks', those first that need a person (`_WORST_FIRST`).

    So a list of one state has every recording of which a file is damaged, or else lost, whatever the rest does.
    """

    STARTED = "started"  # no event yet
    SAVING = "saving"  # at least one chunk is not safe yet; none is lost
    SAFE = "safe"  # every byte is safe, some of them still in the fallback
    COMPLETE = "complete"  # everything is in the destination
    DAMAGED = "damaged"  # at least one file that was in place is gone or differs
    LOST = "lost"  # at least one chunk is lost; others may be on their way yet
    UNCONFIRMED = "unconfirmed"  # no source ever confirmed some chunk, and the rest is safe
    NO_EVENT = "no_event"  # it was started, and no event about it ever came


# A document holds many chunks: of each the newest failures are enough to see what is wrong, and for how long.
MOST_ERRORS = 8
# The worst first: what a person has to mend (a damaged file can be restored, a lost one hardly), what depends on ACS,
# what may never have been a chunk at all, what is on its way. Then all is in place.
_WORST_FIRST = (
    (RecordingState.DAMAGED, frozenset({S.DAMAGED})),
    (RecordingState.LOST, frozenset({S.LOST})),
    (RecordingState.SAVING, AT_RISK_STATES),
    (RecordingState.UNCONFIRMED, frozenset({S.UNCONFIRMED})),
    (RecordingState.SAFE, IN_FALLBACK_STATES),
)


class Step(StrEnum):
    """A piece of work on a chunk (the first seven) or on the whole recording."""

    VERIFY = "verify"  # is the reported export there, and is it media?
    FETCH = "fetch"  # ACS -> destination, else fallback
    LAST_LOOK = "last_look"  # the window is over: are the bytes anywhere all the same?
    DELIVER = "deliver"  # fallback -> destination
    METADATA = "metadata"  # acsmetadata beside the media
    PROVE = "prove"  # read back: SHA-256 and structure
    CHECK = "check"  # a verification was asked for: read again, and compared with the SHA-256 that is known
    ASK_ACS = "ask_acs"  # no event came: is it still being recorded?
    WARN = "warn"  # the end of the window is near
    FINISH = "finish"  # the manifest, and the recording is closed
    DELETE_AT_ACS = "delete_at_acs"
    CLEAN = "clean"  # copies in the fallback that are in place by now
    PUBLISH = "publish"  # the outbox


@dataclass(frozen=True)
class Lease:
    """A worker is at `step` until then; `holder` is its queue message's id."""

    step: Step
    holder: str
    until: datetime
    since: datetime | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Plan:
    """When work on the whole recording is due, and how often it failed since it last went well."""

    at: datetime | None = None
    failures: int = 0


@dataclass(frozen=True)
class Problem:
    """A failure: a code of `errors.py`, whose fault it is, when, and at which step."""

    code: str
    blame: Blame
    message: str
    at: datetime
    trace_id: str | None = None
    step: Step | None = None


@dataclass(frozen=True)
class Source:
    """A URL at ACS that may give the chunk's media. `failures`: attempts in which it gave none of it."""

    url: str
    reported_at: datetime
    is_derived: bool = False
    failures: int = 0


@dataclass(frozen=True)
class Spare:
    """Bytes that may be the chunk's, kept in case nothing better comes: `where` is destination or fallback."""

    where: str
    name: str
    size: int
    sha256: str | None = None
    format: str | None = None


@dataclass(frozen=True)
class Staged:
    """How much of the chunk's media was staged when its last attempt ended; `total`: of how many bytes, if known."""

    bytes: int
    total: int | None = None


@dataclass(frozen=True)
class Placed:
    """A delivered file whose bytes are not compared yet. `is_ours`: this delivery wrote it; else it was there."""

    name: str
    etag: str
    is_ours: bool = False


class CheckResult(StrEnum):
    """What a look at a file that is in place comes to."""

    INTACT = "intact"
    MISSING = "missing"  # the file, or its container, is gone
    DIFFERS = "differs"  # another size, or another SHA-256
    UNKNOWN = "unknown"  # the same size under another ETag: only a SHA-256 can tell
    UNREACHABLE = "unreachable"  # the container gave no answer, or will not let the file be read


@dataclass(frozen=True)
class Check:
    """The newest look at the file: its result and what was found. `sha256` None: the bytes were not read."""

    result: CheckResult
    at: datetime
    size: int | None = None
    etag: str | None = None
    sha256: str | None = None


@dataclass(frozen=True)
class Chunk:
    """One file of a recording. Sizes in bytes, `sha256` in hex.

    From the reports: `sources`, `exports` (blob names in the recording's own container), the same for metadata and
    deletion, `format_hint`, `at_risk_from` (earliest plausible end of ACS's window) and `abandon_after` (the latest).
    `folder` is fixed when the first fetch begins. `blob` is the full name in the destination, `fallback_blob` that of
    the copy in the fallback. `leftovers` are exact names in the fallback that may be there and are of no more use.
    `other_files` are names in the destination that hold other bytes than the copy in the fallback.
    `warned` is the smallest threshold that a deadline alert was raised for. `attempts` counts those to bring the bytes
    in place, the one that did it among them; `failures` those that failed since the last progress (it sets the pace).
    `errors` are the newest failures at any step, newest last. `safe_at`: when its bytes stopped to depend on ACS.
    `check`: the newest look at the file in place; `is_check_due`: its bytes are to be read again. `before_damage`: what
    a damaged chunk was; it keeps `blob`, `size` and `sha256`.
    """

    key: str
    document_id: str
    index: int
    state: ChunkState
    at_risk_from: datetime
    abandon_after: datetime
    reported_at: datetime
    end_reason: str | None = None
    sources: tuple[Source, ...] = ()
    exports: tuple[str, ...] = ()
    metadata_sources: tuple[str, ...] = ()
    metadata_exports: tuple[str, ...] = ()
    delete_locations: tuple[str, ...] = ()
    format_hint: str | None = None
    is_confirmed: bool = False
    is_exhausted: bool = False
    is_last_attempt_done: bool = False
    folder: str | None = None
    blob: str | None = None
    size: int | None = None
    sha256: str | None = None
    etag: str | None = None
    format: str | None = None
    proof: Proof = Proof.NONE
    proved_at: datetime | None = None
    digest_state: str = "none"  # none | pending | done | unavailable
    digest_problem: str | None = None
    digest_attempts: int = 0
    check: Check | None = None
    is_check_due: bool = False
    check_attempts: int = 0
    before_damage: ChunkState | None = None
    metadata_state: str = "pending"  # pending | saved | absent | missing (it was there, and is gone)
    metadata_blob: str | None = None
    fallback_blob: str | None = None
    spare: Spare | None = None
    staged: Staged | None = None
    placed: Placed | None = None
    leftovers: tuple[str, ...] = ()
    other_files: tuple[str, ...] = ()
    generation: int = 1
    next_attempt_at: datetime | None = None
    lease: Lease | None = None
    attempts: int = 0
    failures: int = 0
    failing_since: datetime | None = None
    crashes: int = 0
    continuations: int = 0
    last_error: Problem | None = None
    errors: tuple[Problem, ...] = ()
    warned: timedelta | None = None
    finished_at: datetime | None = None
    safe_at: datetime | None = None
    deletion: str = "off"  # off | pending | done | failed

    def to(self, state: ChunkState, **changes: Any) -> Chunk:
        """This chunk in another state; ValueError where the table has no such way."""
        if state is not self.state and state not in TRANSITIONS[self.state]:
            raise ValueError(f"a chunk does not go from {self.state} to {state}")
        return replace(self, state=state, **changes)

    def failed(self, problem: Problem) -> Chunk:
        """The chunk with one more failure that is known of it."""
        return replace(self, last_error=problem, errors=(*self.errors, problem)[-MOST_ERRORS:])

    def rescheduled(self, at: datetime) -> Chunk:
        """The chunk with its next attempt at `at`, under a new generation: all earlier messages become void."""
        return replace(self, next_attempt_at=at, generation=self.generation + 1, lease=None)

    @property
    def is_safe(self) -> bool:
        """Whether its bytes no longer depend on ACS."""
        return self.state in SAFE_STATES

    @property
    def is_in_place(self) -> bool:
        """Whether its bytes are in the destination."""
        return self.state in IN_PLACE_STATES

    @property
    def is_missing(self) -> bool:
        """Whether it is still asked for, or was until the window was over: no place is known that has its bytes."""
        return self.state in AT_RISK_STATES | MISSING_STATES

    @property
    def is_at_risk(self) -> bool:
        """Whether its bytes still depend on ACS."""
        return self.state in AT_RISK_STATES


@dataclass(frozen=True)
class Manifest:
    """The recording's manifest.json: pending, written or given_up, and where it is."""

    state: str = "pending"
    blob: str | None = None


@dataclass(frozen=True)
class Started:
    """What a caller asked this app to record. `locator` is one of `serverCallId`, `groupCallId`, ...."""

    locator: str
    locator_id: str
    content: str
    channel: str
    format: str
    at: datetime
    by: str = "api"


@dataclass(frozen=True)
class Recording:
    """Everything the ledger knows of one recording. `key` names the ledger document.

    `container_url` is where it belongs, `folder` the full prefix of its files there. `started`: this app started it.
    `links` are keys of records that are about the same recording. `revision` counts the writes of the document.
    """

    key: str
    container_url: str
    created_at: datetime
    started: Started | None = None
    recording_id: str | None = None
    call_id: str | None = None
    server_call_id: str | None = None
    folder: str | None = None
    recording_start: datetime | None = None
    duration: timedelta | None = None
    content_type: str | None = None
    channel_type: str | None = None
    format_type: str | None = None
    session_end_reason: str | None = None
    chunks: tuple[Chunk, ...] = ()
    events: tuple[str, ...] = ()
    timeline: tuple[Entry, ...] = ()
    outbox: tuple[PendingAlert, ...] = ()
    alert_count: int = 0
    publishing: Plan = Plan()
    event_check_at: datetime | None = None
    ended_seen_at: datetime | None = None
    manifest: Manifest = Manifest()
    finishing: Plan = Plan()
    cleaning: Plan = Plan()
    deleting: Plan = Plan()
    links: tuple[str, ...] = ()
    replayed_at: datetime | None = None
    verified_at: datetime | None = None
    closed_at: datetime | None = None
    revision: int = 0

    @property
    def state(self) -> RecordingState:
        """Computed: see `RecordingState`."""
        states = {chunk.state for chunk in self.chunks}
        if not states:
            return RecordingState.NO_EVENT if self.closed_at else RecordingState.STARTED
        return next((state for state, those in _WORST_FIRST if states & those), RecordingState.COMPLETE)

    @property
    def at_risk_from(self) -> datetime | None:
        """The earliest plausible end of ACS's window for a chunk that still needs it; None where none does."""
        return min((chunk.at_risk_from for chunk in self.chunks if chunk.is_at_risk), default=None)

    def chunk(self, key: str) -> Chunk | None:
        """The chunk of that key."""
        return next((chunk for chunk in self.chunks if chunk.key == key), None)

    def with_chunk(self, changed: Chunk) -> Recording:
        """The recording with that chunk in place of the one with the same key."""
        if self.chunk(changed.key) is None:
            raise ValueError(f"recording {self.key} has no chunk {changed.key}")
        return replace(self, chunks=tuple(changed if c.key == changed.key else c for c in self.chunks))
