"""What lists filter, order and group recordings by: functions of the document, kept as metadata of the ledger's blobs.

A listing returns metadata, so a page of a list reads the documents that it shows and no others.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

from shared.domain.codec import format_time, parse_time
from shared.domain.errors import Blame
from shared.domain.journal import is_raised
from shared.domain.naming import recording_key
from shared.domain.recording import (
    IN_FALLBACK_STATES,
    IN_PLACE_STATES,
    MISSING_STATES,
    Chunk,
    ChunkState,
    Problem,
    Recording,
    RecordingState,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

ROUTES = {
    ChunkState.EXPORTED: "exported",
    ChunkState.RESCUED: "rescued",
    ChunkState.DELIVERED: "delivered",
    ChunkState.LOST: "lost",
    ChunkState.UNCONFIRMED: "unconfirmed",
}
MIXED = "mixed"
# A recording that began earlier than this before it was first known of: its event is wrong.
_LONGEST_CALL = timedelta(days=7)


@dataclass(frozen=True)
class Facets:
    """Of one recording. `ids`: hashes of the ids it is known by; `outcome`: what became of its bytes, the worst of all.

    `seconds`: from the first event to the last byte being safe; None where bytes are missing.
    """

    began: datetime
    state: str
    is_finished: bool
    container: str
    route: str | None = None
    outcome: str | None = None
    cause: str | None = None
    blame: str | None = None
    seconds: int | None = None
    ids: tuple[str, ...] = ()


def facets(recording: Recording) -> Facets:
    """What lists know of `recording`."""
    problem, state = holdup(recording), recording.state
    return Facets(
        began=began_at(recording),
        state=state.value,
        is_finished=recording.closed_at is not None,
        container=recording.container_url,
        route=route(recording),
        outcome=_outcome(recording, state),
        cause=problem.code if problem else None,
        blame=problem.blame.value if problem else None,
        seconds=_seconds(recording),
        ids=tuple(dict.fromkeys(id_hash(identity) for identity in identities(recording))),
    )


def route(recording: Recording) -> str | None:
    """How the recording came: exported, rescued, delivered (rescued by way of the fallback), mixed or lost."""
    routes = {name for chunk in recording.chunks if (name := route_of(chunk))}
    if not routes:
        return None
    return routes.pop() if len(routes) == 1 else MIXED


def route_of(chunk: Chunk) -> str | None:
    """How the chunk came; a damaged one: how its file came before."""
    state = chunk.before_damage if chunk.state is ChunkState.DAMAGED else chunk.state
    return ROUTES.get(state) if state else None


def began_at(recording: Recording) -> datetime:
    """When the recording began, as well as it is known: never after this app first knew of it."""
    first, said = recording.created_at, recording.recording_start
    is_plausible = said is not None and first - _LONGEST_CALL <= said < first
    moment = said if said is not None and is_plausible and recording.started is None else first
    return moment.astimezone(UTC)


def holdup(recording: Recording) -> Problem | None:
    """The newest failure that keeps the recording from being complete; None where nothing has failed."""
    problems = [chunk.last_error for chunk in recording.chunks if chunk.last_error and _is_held_up(chunk)]
    if problems:
        return max(problems, key=lambda problem: problem.at)
    if not recording.chunks and is_raised(recording, "event_overdue"):
        return Problem("event_overdue", Blame.ACS, "no event has come", recording.created_at)
    if recording.closed_at is None and recording.finishing.failures:
        failed = [entry for entry in recording.timeline if entry.kind == "manifest_failed" and entry.code]
        newest = max(failed, key=lambda entry: entry.last_at or entry.at, default=None)
        if newest:
            code = newest.code or "manifest_failed"
            return Problem(code, Blame.DESTINATION, "the manifest is not written", newest.last_at or newest.at)
    return None


def identities(recording: Recording) -> list[str]:
    """The ids of the recording itself and of its call."""
    started = recording.started
    known = (
        recording.recording_id,
        recording.call_id,
        recording.server_call_id,
        started.locator_id if started else None,
    )
    return [identity for identity in known if identity]


@lru_cache(maxsize=1024)  # a document is written several times, with the same ids
def id_hash(identity: str) -> str:
    """A short hash of an id, however it is spelt."""
    return recording_key(identity)[:12]


def _is_held_up(chunk: Chunk) -> bool:
    if chunk.state in IN_PLACE_STATES:
        return chunk.metadata_state == "pending" and chunk.failures > 0
    return True


def _outcome(recording: Recording, state: RecordingState) -> str | None:
    """For counting: each finished recording has one, an unfinished one only when all its bytes are safe."""
    if state not in (RecordingState.SAFE, RecordingState.COMPLETE):
        return state.value if recording.closed_at else None
    states = {chunk.state for chunk in recording.chunks}
    if states & IN_FALLBACK_STATES:
        return "inFallback"
    return next(ROUTES[one] for one in (ChunkState.DELIVERED, ChunkState.RESCUED, ChunkState.EXPORTED) if one in states)


def _seconds(recording: Recording) -> int | None:
    moments = [chunk.safe_at for chunk in recording.chunks if chunk.state not in MISSING_STATES]
    known = [moment for moment in moments if moment is not None]
    if not known or len(known) < len(recording.chunks):
        return None
    return max(0, round((max(known) - min(chunk.reported_at for chunk in recording.chunks)).total_seconds()))


# --- as metadata of a blob: names that are identifiers, values in ASCII

_TEXTS = ("state", "container", "route", "outcome", "cause", "blame")
_SAFE = "/:~=@!$&()*;._-"


def to_metadata(given: Facets) -> dict[str, str]:
    """The facets as names and values; what is None is left out."""
    found = {name: quote(value, safe=_SAFE) for name in _TEXTS if (value := getattr(given, name)) is not None}
    found |= {"began": format_time(given.began), "finished": "1" if given.is_finished else "0"}
    if given.seconds is not None:
        found["seconds"] = str(given.seconds)
    if given.ids:
        found["ids"] = " ".join(given.ids)
    return found


def from_metadata(metadata: Mapping[str, str]) -> Facets | None:
    """The facets that `to_metadata` wrote; None where they are not there, or damaged."""
    texts: dict[str, Any] = {name: unquote(metadata[name]) for name in _TEXTS if name in metadata}
    seconds = metadata.get("seconds", "")
    try:
        return Facets(
            **texts,
            began=parse_time(metadata["began"]),
            is_finished=metadata["finished"] == "1",
            seconds=int(seconds) if seconds.isdecimal() else None,
            ids=tuple(metadata.get("ids", "").split()),
        )
    except (KeyError, TypeError, ValueError):
        return None
