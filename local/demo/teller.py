"""What the app's API tells of one recording, in short plain sentences, each said once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

_WHY = {
    "media_unavailable": "ACS's media store does not answer",
    "container_missing": "the customer's container does not exist",
    "export_not_found": "it is not where ACS says it is",
}
_FAULT = {"acs": "ACS's", "destination": "the customer's container's", "app": "this app's", "caller": "the caller's"}


def moment(text: str) -> datetime:
    """A time of the API: aware, UTC."""
    return datetime.fromisoformat(text).astimezone(UTC)


def countdown(until: str | None) -> str:
    """`HH:MM:SS` from now to `until`; empty where there is none."""
    if until is None:
        return ""
    left = max(timedelta(0), moment(until) - datetime.now(UTC))
    minutes, seconds = divmod(int(left.total_seconds()), 60)
    return f"{minutes // 60:02d}:{minutes % 60:02d}:{seconds:02d}"


def megabytes(size: int | None) -> str:
    """A size in bytes as MB."""
    return f"{(size or 0) / 1e6:.1f} MB"


class Teller:
    """Compares each answer of `GET /api/recordings/{recordingId}` with the one before, and says what is new."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._chunks: dict[int, dict[str, Any]] = {}
        self._is_closed = False

    def hear(self, story: dict[str, Any]) -> None:
        """Takes the newest answer."""
        count = len(story["chunks"])
        for chunk in story["chunks"]:
            before = self._chunks.get(chunk["index"], {})
            name = "the recording" if count == 1 else f"chunk {chunk['index'] + 1} of {count}"
            self._tries(name, before, chunk, story)
            if chunk["state"] != before.get("state"):
                self._state(name, before, chunk, story)
            self._chunks[chunk["index"]] = chunk
        if story.get("closedAt") and not self._is_closed:
            self._is_closed = True
            self._say("complete: media, metadata and manifest.json are in the container")

    def _tries(self, name: str, before: dict[str, Any], chunk: dict[str, Any], story: dict[str, Any]) -> None:
        error = chunk.get("lastError")
        if error is None or chunk["tries"] <= before.get("tries", 0) or chunk["state"] != before.get("state"):
            return
        why = _WHY.get(error["code"], error["code"])
        fault = _FAULT.get(error["blame"], error["blame"])
        at = chunk.get("nextTryAt")
        wait = max(0.0, (moment(at) - datetime.now(UTC)).total_seconds()) if at else 0.0
        left = f", ACS keeps it for {countdown(story['deadline'])}" if chunk["state"] != "in_fallback" else ""
        self._say(
            f"try {chunk['tries']} for {name} failed: {why} ({error['code']}, {fault} fault); "
            f"next in {wait:.1f} s{left}"
        )

    def _state(self, name: str, before: dict[str, Any], chunk: dict[str, Any], story: dict[str, Any]) -> None:
        size, left = megabytes(chunk.get("size")), countdown(story["deadline"])
        sentences = {
            "expected": f"ACS says that it exported {name}; the app goes and looks",
            "exported": f"{name} is in the container, {size}, not empty: the export is verified",
            "pending": f"ACS has not exported {name} and keeps it for {left}: the app will fetch it",
            "rescuing": f"the app fetches {name} from ACS, block by block",
            "rescued": f"rescued: {name}, {size}, checked, is where the export would have put it",
            "in_fallback": f"{_WHY['container_missing']}, so {name} is kept in the app's own fallback container: "
            f"{size} are safe, and ACS's clock no longer matters",
            "delivered": f"delivered: {name} was moved to its place and compared; the fallback is empty again",
            "lost": f"lost: {name}",
        }
        if chunk["state"] == "pending" and before:
            # Back from a try: told as one.
            self._tries(name, {**before, "state": "pending"}, chunk, story)
            return
        self._say(sentences.get(chunk["state"], f"{name}: {chunk['state']}"))
