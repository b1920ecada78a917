"""`POST /replays`: replays of all recordings that a body selects, after a dry run that says what each would do.

A role is mended, a container is back: everything that failed on it goes on, a page at a time. Nothing is erased:
alerts stay in the timelines, and what is still wrong is raised again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shared.api.bulk import parse_body
from shared.api.replay import Outcome
from shared.logs import log

if TYPE_CHECKING:
    from shared.api.bulk import Bulk
    from shared.api.replay import Replay
    from shared.ports import Version


class Replays:
    """Replays in bulk."""

    def __init__(self, *, bulk: Bulk, replay: Replay) -> None:
        self._bulk = bulk
        self._replay = replay

    def run(self, body: Any, *, by: str = "api") -> dict[str, Any]:
        """`matched`, `going` and a result for each recording. InvalidRequest with every fault, StorageError.

        Without a `state`: all but those that are complete.
        """
        selection = parse_body(body, default_state="incomplete")

        def act(version: Version) -> dict[str, Any]:
            if selection.is_dry_run:
                result = self._replay.foreseen(version.recording)
            else:
                result = self._replay.replay_version(version, by=by)
            return {"outcome": result.outcome.value, "reason": result.reason}

        answer = self._bulk.run(selection, act)
        answer["going"] = sum(one["outcome"] == Outcome.GOING for one in answer["results"])
        if not selection.is_dry_run:
            log("recordings.replayed", by=by, matched=answer["matched"], going=answer["going"])
        return answer
