"""`POST /recordings/{id}/replay`: everything that can go on goes on now (`domain/reopen.py`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from shared.api.views import find
from shared.domain import facts as f
from shared.domain.codec import format_time
from shared.domain.reopen import held_until
from shared.domain.steps import recording_steps
from shared.logs import log

if TYPE_CHECKING:
    from datetime import datetime

    from shared.ports import Clock
    from shared.store import RecordingStore


@dataclass(frozen=True)
class ReplayResult:
    """What a replay set going: indexes of chunks, and chunks that a worker holds, with the end of its lease."""

    is_going: bool
    chunks: tuple[int, ...]
    held: tuple[tuple[int, datetime], ...]

    def described(self) -> dict[str, Any]:
        """As the API returns it."""
        held = [{"index": index, "until": format_time(until)} for index, until in self.held]
        return {"setGoing": list(self.chunks), "heldByWorker": held, "nothingToDo": not self.is_going and not held}


class Replay:
    """Replays recordings."""

    def __init__(self, *, store: RecordingStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def replay(self, identity: str, *, by: str = "api") -> ReplayResult:
        """Sets going what can go on. RecordingUnknown, StorageError. What the queue does not take, the sweep sends."""
        version = find(self._store, identity)
        after = self._store.record(version, f.Replayed(), by=by)
        now = self._clock.now()  # after the decision: what it made due is due by now
        before = {chunk.key: chunk.generation for chunk in version.recording.chunks}
        going = tuple(chunk.index for chunk in after.recording.chunks if before.get(chunk.key) != chunk.generation)
        held = tuple(
            (chunk.index, until) for chunk in after.recording.chunks if (until := held_until(chunk, now)) is not None
        )
        is_going = after.recording.revision != version.recording.revision
        if is_going:
            log("recording.replayed", recording=after.recording.key, chunks=len(going), by=by)
            if any(due.at <= now for due in recording_steps(after.recording, self._store.rules)):
                self._store.send_look(after.recording)
        return ReplayResult(is_going, going, held)
