"""The four recordings of the demo: what is recorded, what fails, how it should end, and how it is narrated."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

MAIN, ARCHIVE = "recordings", "customer-archive"
OUTAGE_SECONDS = 13.0
# Between the app's first report of the missing container and its repair.
REPAIR_SECONDS = 4.0
# Bytes a second on each connection to the media host, slow enough to watch.
LINE_BYTES = 1_200_000


@dataclass(frozen=True)
class Scene:
    """One recording. `start`: fields of the request that starts it; `end`: how its call ends.

    `route`: the expected route of the finished recording. `outage`: seconds from the call's end in which the media host
    fails for it. `container`: its destination; `is_repaired`: that one is missing at first.
    """

    name: str
    colour: str
    intro: str
    route: str
    start: dict[str, Any]
    end: dict[str, Any]
    outage: float = 0.0
    container: str = MAIN
    is_repaired: bool = field(default=False)


SCENES = (
    Scene(
        name="exported",
        colour="green",
        intro="an audio call; ACS exports it into the customer's container",
        route="exported",
        start={"recordingContent": "audio", "recordingFormat": "mp3"},
        end={"chunks": [{"bytes": 6_000_000}]},
    ),
    Scene(
        name="outage",
        colour="magenta",
        intro=f"a video call; the export fails, and ACS's media store is down for {OUTAGE_SECONDS:.0f} s, too",
        route="rescued",
        start={"recordingContent": "audioVideo", "recordingFormat": "mp4"},
        end={"chunks": [{"bytes": 38_000_000}], "export": "service-outage"},
        outage=OUTAGE_SECONDS,
    ),
    Scene(
        name="one-of-three",
        colour="cyan",
        intro="a long call in three chunks; the export of the second one fails",
        route="mixed",
        start={"recordingContent": "audio", "recordingFormat": "wav"},
        end={"chunks": [{"bytes": 5_000_000}, {"bytes": 16_000_000}, {"bytes": 3_000_000}], "exportFailedChunks": [1]},
    ),
    Scene(
        name="no-container",
        colour="yellow",
        intro="an audio call into a container that was deleted",
        route="delivered",
        start={"recordingContent": "audio", "recordingFormat": "mp3"},
        end={"chunks": [{"bytes": 12_000_000}]},
        container=ARCHIVE,
        is_repaired=True,
    ),
)

_WHY = {
    "media_unavailable": "ACS's media store does not respond",
    "container_missing": "the customer's container does not exist",
    "export_not_found": "the export is not where ACS reported it",
}


def moment(text: str) -> datetime:
    """A time of the API: aware, UTC."""
    return datetime.fromisoformat(text).astimezone(UTC)


def countdown(until: str | None) -> str:
    """`HH:MM:SS` from now to `until`; empty if that is None."""
    if not until:
        return ""
    left = max(timedelta(0), moment(until) - datetime.now(UTC))
    minutes, seconds = divmod(int(left.total_seconds()), 60)
    return f"{minutes // 60:02d}:{minutes % 60:02d}:{seconds:02d}"


class Narrator:
    """Compares each status of one recording with the one before, and says what changed."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._chunks: dict[int, dict[str, Any]] = {}
        self._is_closed = False

    def update(self, status: dict[str, Any]) -> None:
        """Takes the newest response of `GET /api/recordings/{recordingId}`."""
        count = len(status["chunks"])
        for chunk in status["chunks"]:
            before = self._chunks.get(chunk["index"], {})
            name = "the recording" if count == 1 else f"chunk {chunk['index'] + 1} of {count}"
            changed = chunk["state"] != before.get("state")
            if chunk["state"] == "pending" and chunk.get("heldUntil") and not before.get("heldUntil"):
                self._say(f"the app fetches {name} from ACS, block by block")
            has_failed = bool(before) and chunk["attempts"] > before["attempts"] and chunk.get("lastError")
            if has_failed and (not changed or chunk["state"] == "pending"):
                self._say(_failure(name, chunk, str(status.get("atRiskFrom") or "")))
            elif changed:
                self._say(_state(name, chunk, str(status.get("atRiskFrom") or "")))
            self._chunks[chunk["index"]] = chunk
        if status.get("closedAt") and not self._is_closed:
            self._is_closed = True
            self._say("complete: media, metadata and manifest.json are in the container")


def _failure(name: str, chunk: dict[str, Any], deadline: str) -> str:
    code, at = chunk["lastError"]["code"], chunk.get("nextAttemptAt")
    wait = max(0.0, (moment(at) - datetime.now(UTC)).total_seconds()) if at else 0.0
    left = f", ACS keeps it for {countdown(deadline)}" if chunk["state"] != "in_fallback" else ""
    return (
        f"attempt {chunk['attempts']} for {name} failed: {_WHY.get(code, code)} ({code}, blame: "
        f"{chunk['lastError']['blame']}); next in {wait:.1f} s{left}"
    )


def _state(name: str, chunk: dict[str, Any], deadline: str) -> str:
    size, left = f"{(chunk.get('size') or 0) / 1e6:.1f} MB", countdown(deadline)
    sentences = {
        "expected": f"ACS reports that it exported {name}; the app checks that",
        "exported": f"{name} is in the container, {size}, not empty: the export is verified",
        "pending": f"ACS has not exported {name}, and keeps it for {left}: the app will fetch it",
        "rescued": f"rescued: {name}, {size}, checked, is where the export would have put it",
        "in_fallback": f"{_WHY['container_missing']}, so {name} is stored in the app's own fallback container: "
        f"{size} are safe whatever ACS deletes",
        "delivered": f"delivered: {name} was copied to its container and compared; the fallback is empty again",
        "lost": f"lost: {name}",
    }
    return sentences.get(chunk["state"], f"{name}: {chunk['state']}")
