"""`POST /verifications`: verifications of all recordings that a body selects, after a dry run that counts files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shared.api.bulk import parse_body
from shared.domain.recording import CHECKED_STATES, IN_FALLBACK_STATES
from shared.logs import log

if TYPE_CHECKING:
    from shared.api.bulk import Bulk
    from shared.api.verification import Verification
    from shared.domain.recording import Recording
    from shared.ports import Version

# The worst of a recording's files counts for it.
_WORST = ("missing", "differs", "unreachable", "unknown", "intact")


class Verifications:
    """Verifies in bulk."""

    def __init__(self, *, bulk: Bulk, verification: Verification) -> None:
        self._bulk = bulk
        self._verification = verification

    def run(self, body: Any, *, by: str = "api") -> dict[str, Any]:
        """`matched`, `damaged` and a result for each recording. InvalidRequest with every fault, StorageError.

        Without a `state`: those that are finished.
        """
        selection = parse_body(body, default_state="finished")

        def act(version: Version) -> dict[str, Any]:
            if selection.is_dry_run:
                files = _files(version.recording)
                outcome = "would_look" if files else "nothing_to_do"
                return {"outcome": outcome, "state": version.recording.state.value, "files": files}
            found = self._verification.verify_version(version, by=by)
            return _summed(found)

        answer = self._bulk.run(selection, act)
        answer["damaged"] = sum(one.get("state") == "damaged" for one in answer["results"])
        if not selection.is_dry_run:
            log("recordings.verified", by=by, matched=answer["matched"], damaged=answer["damaged"])
        return answer


def _files(recording: Recording) -> int:
    return sum(chunk.state in CHECKED_STATES | IN_FALLBACK_STATES for chunk in recording.chunks)


def _summed(found: dict[str, Any]) -> dict[str, Any]:
    results = {one["result"] for one in found["files"]}
    outcome = next((name for name in _WORST if name in results), "nothing_to_do")
    is_pending = any(one["digest"] == "pending" for one in found["files"])
    return {
        "outcome": outcome,
        "state": found["state"],
        "files": len(found["files"]),
        "digest": "pending" if is_pending else "none",
    }
