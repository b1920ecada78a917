"""Timeline and outbox of a recording: what happened, for people; and the alerts that are owed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime  # noqa: TC003 - read at run time by codec.py
from typing import TYPE_CHECKING

from shared.domain.redaction import clean

if TYPE_CHECKING:
    from shared.domain.recording import Chunk, Recording


@dataclass(frozen=True)
class PendingAlert:
    """An alert that is owed, or a piece of good news (level `info`) that only a topic gets.

    `seq` counts what a recording ever owed and makes the published event's id. `is_logged`: only the topic lacks it.
    """

    seq: int
    name: str
    level: str  # info | warning | error
    at: datetime
    chunk: int | None = None
    code: str | None = None
    message: str | None = None
    is_logged: bool = False

    @property
    def is_alert(self) -> bool:
        """Whether a person should look at it."""
        return self.level != "info"


@dataclass(frozen=True)
class Entry:
    """What happened, for people. Repeats of (chunk, kind, code, by) fold into one: `count`, first `at`, `last_at`."""

    kind: str
    at: datetime
    by: str = "app"
    chunk: int | None = None
    code: str | None = None
    detail: str | None = None
    count: int = 1
    last_at: datetime | None = None


# Kinds, codes and chunks are few, and repeats fold: only a flood of invented chunks gets there. What comes after it is
# counted where it folds; a new kind of entry is left out, unless it is an alert.
_MOST_ENTRIES = 600


def noted(
    recording: Recording,
    kind: str,
    *,
    at: datetime,
    by: str = "app",
    chunk: Chunk | None = None,
    code: str | None = None,
    detail: str | None = None,
) -> Recording:
    """The recording with one more entry in its timeline, folded into an earlier one of the same kind."""
    index = chunk.index if chunk else None
    # Parts of it come from events and answers: nothing secret or personal is kept.
    detail = clean(detail)[:300] if detail else None
    code = clean(code)[:100] if code else None
    entries = list(recording.timeline)
    for position, entry in enumerate(entries):
        if (entry.kind, entry.chunk, entry.code, entry.by) == (kind, index, code, by):
            entries[position] = replace(entry, count=entry.count + 1, last_at=at, detail=detail or entry.detail)
            return replace(recording, timeline=tuple(entries))
    if len(entries) >= _MOST_ENTRIES and not kind.startswith("alert."):
        return recording
    entries.append(Entry(kind, at, by, index, code, detail))
    return replace(recording, timeline=tuple(entries))


def alerted(
    recording: Recording,
    name: str,
    *,
    at: datetime,
    level: str = "error",
    chunk: Chunk | None = None,
    code: str | None = None,
    message: str | None = None,
) -> Recording:
    """The recording owing one more alert: in the outbox until it is published, and in the timeline for good."""
    index = chunk.index if chunk else None
    alert = PendingAlert(recording.alert_count + 1, name, level, at, index, code, message)
    # At once, though the topic may be down and asked seldom: the log must not wait for it.
    now = replace(recording.publishing, at=None)
    owing = replace(recording, outbox=(*recording.outbox, alert), alert_count=alert.seq, publishing=now)
    return noted(owing, f"alert.{name}", at=at, chunk=chunk, code=code, detail=message)


def announced(recording: Recording, name: str, *, at: datetime, chunk: Chunk | None = None) -> Recording:
    """The recording owing the topic a piece of good news, which is no alert. Only where there is a topic."""
    owed = PendingAlert(recording.alert_count + 1, name, "info", at, chunk.index if chunk else None)
    return replace(recording, outbox=(*recording.outbox, owed), alert_count=owed.seq)


def is_raised(recording: Recording, name: str) -> bool:
    """Whether that alert was raised since a person last replayed the recording (who then says: it is mended)."""
    since = recording.replayed_at
    kind = f"alert.{name}"
    return any(
        entry.kind == kind and (since is None or (entry.last_at or entry.at) >= since) for entry in recording.timeline
    )
