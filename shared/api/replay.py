"""`POST /recordings/{id}/replay`: what can go on goes on now (`domain/reopen.py`); for what does not, the reason.

A worker that died looks like one that works until its lease ends; the answer names that moment.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from shared.api.views import find
from shared.domain import facts as f
from shared.domain.codec import format_time
from shared.domain.lifecycle import decide
from shared.domain.recording import Step
from shared.domain.reopen import held_until
from shared.domain.steps import chunk_step, recording_steps
from shared.logs import log

if TYPE_CHECKING:
    from datetime import datetime

    from shared.domain.recording import Chunk, Recording
    from shared.ports import Clock, Version
    from shared.store import RecordingStore


class Outcome(StrEnum):
    """What a replay did about a chunk, or a recording."""

    GOING = "going"
    HELD = "held"
    NOTHING_TO_DO = "nothing_to_do"


_GOES_ON = {
    Step.VERIFY: "the reported export is looked at now",
    Step.FETCH: "fetched from ACS now",
    Step.LAST_LOOK: "looked for once more in destination and fallback; ACS does not keep it any more",
    Step.DELIVER: "delivered from the fallback now",
    Step.METADATA: "in place; its metadata is fetched now",
    Step.PROVE: "its bytes are read back now",
    Step.CHECK: "in place; its bytes are compared now",
}


@dataclass(frozen=True)
class ChunkReplay:
    """One chunk's part. `until`: the end of the lease of the worker that holds it."""

    index: int
    outcome: Outcome
    reason: str
    until: datetime | None = None


@dataclass(frozen=True)
class ReplayResult:
    """What a replay set going, or why not; for the recording, and chunk by chunk."""

    outcome: Outcome
    reason: str
    chunks: tuple[ChunkReplay, ...]

    @property
    def is_going(self) -> bool:
        """Whether anything goes on that would not have gone on by itself now."""
        return self.outcome is Outcome.GOING

    def described(self) -> dict[str, Any]:
        """As the API returns it."""
        chunks = [
            {"index": one.index, "outcome": one.outcome.value, "reason": one.reason}
            | ({"until": format_time(one.until)} if one.until else {})
            for one in self.chunks
        ]
        return {"outcome": self.outcome.value, "reason": self.reason, "chunks": chunks}


def result_of(before: Recording, after: Recording, now: datetime) -> ReplayResult:
    """What the replay that made `after` of `before` did."""
    known = {chunk.key: chunk for chunk in before.chunks}
    chunks = tuple(_of_chunk(known.get(chunk.key), chunk, now) for chunk in after.chunks)
    going = [one.reason for one in chunks if one.outcome is Outcome.GOING]
    held = [one.reason for one in chunks if one.outcome is Outcome.HELD]
    if going:
        return ReplayResult(Outcome.GOING, _joined(going), chunks)
    if held:
        return ReplayResult(Outcome.HELD, _joined(held), chunks)
    if after.replayed_at == before.replayed_at:
        return ReplayResult(Outcome.NOTHING_TO_DO, _joined([one.reason for one in chunks]), chunks)
    if not chunks:
        return ReplayResult(Outcome.GOING, "ACS is asked now whether it is still being recorded", chunks)
    return ReplayResult(Outcome.GOING, "all files are in place; manifest, alerts or cleaning up go on now", chunks)


def _of_chunk(before: Chunk | None, chunk: Chunk, now: datetime) -> ChunkReplay:
    until = held_until(chunk, now)
    if until is not None and chunk.lease is not None:
        reason = (
            f"held by a worker ({chunk.lease.step.value}) until {until:%H:%M}Z;"
            " should that worker be gone, it goes on by itself then"
        )
        return ChunkReplay(chunk.index, Outcome.HELD, reason, until)
    step = chunk_step(chunk)
    if step is None or (before is not None and before.generation == chunk.generation):
        where = "in place" if chunk.is_in_place else chunk.state.value
        return ChunkReplay(chunk.index, Outcome.NOTHING_TO_DO, f"nothing to do: {where}")
    return ChunkReplay(chunk.index, Outcome.GOING, _GOES_ON[step])


def _joined(reasons: list[str]) -> str:
    return "; ".join(dict.fromkeys(reasons))


class Replay:
    """Replays recordings."""

    def __init__(self, *, store: RecordingStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def replay(self, identity: str, *, by: str = "api") -> ReplayResult:
        """Sets going what can go on. RecordingUnknown, StorageError. What the queue does not take, the sweep sends."""
        return self.replay_version(find(self._store, identity), by=by)

    def replay_version(self, version: Version, *, by: str) -> ReplayResult:
        """The same for a recording that was loaded already."""
        after = self._store.record(version, f.Replayed(), by=by).recording
        now = self._clock.now()  # after the decision: what it made due is due by now
        result = result_of(version.recording, after, now)
        if after.replayed_at != version.recording.replayed_at:
            log("recording.replayed", recording=after.key, outcome=result.outcome, reason=result.reason, by=by)
            if any(due.at <= now for due in recording_steps(after, self._store.rules)):
                self._store.send_look(after)
        return result

    def foreseen(self, recording: Recording) -> ReplayResult:
        """What a replay would do now. Nothing is written."""
        after = decide(recording, f.Replayed(), self._store.context())
        return result_of(recording, after, self._clock.now())
