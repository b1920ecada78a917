"""Log lines: one JSON object each, a stable dotted event name first, fields after it.

Only level and text cross from the Python worker to the Functions host (`extra=` is lost), so the fields are in
the text. What must never be logged is taken out here, wherever it came from: URL queries (a SAS), keys, tokens,
phone numbers and participant ids.
"""

from __future__ import annotations

import json
import logging
import traceback
from datetime import datetime, timedelta
from enum import Enum
from typing import TYPE_CHECKING, Any

from shared.domain.codec import format_time
from shared.domain.redaction import clean

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shared.domain.journal import PendingAlert
    from shared.domain.recording import Recording

_LOGGER = logging.getLogger("recorder")


def _field(value: Any) -> Any:
    if isinstance(value, bool | int | float) or value is None:
        return value
    if isinstance(value, datetime):
        return format_time(value)
    if isinstance(value, timedelta):
        return round(value.total_seconds(), 3)
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, list | tuple):
        return [_field(item) for item in value]
    return clean(str(value))


def log(event: str, *, level: int = logging.INFO, **fields: Any) -> None:
    """Writes one line, e.g. `log("rescue.failed", level=logging.WARNING, recording=key, code=error.code)`."""
    if not _LOGGER.isEnabledFor(level):
        return
    line = {"event": event} | {name: _field(value) for name, value in fields.items() if value is not None}
    _LOGGER.log(level, "%s", json.dumps(line, ensure_ascii=False, separators=(",", ":")))


def describe(error: BaseException) -> str:
    """The error and its causes in one text: only the last exception crosses to the host, its cause does not."""
    parts: list[str] = []
    current: BaseException | None = error
    while current is not None and len(parts) < 4:
        parts.append(f"{type(current).__name__}: {current}" if str(current) else type(current).__name__)
        current = current.__cause__
    return clean(" <- ".join(parts))


def stack_summary(error: BaseException) -> str:
    """Where it was raised, innermost call first, without the texts of errors, which are not cleaned."""
    frames = traceback.extract_tb(error.__traceback__)
    return " < ".join(f"{frame.filename.rpartition('/')[2]}:{frame.lineno} {frame.name}" for frame in frames[:-9:-1])


class LogOnlyNotifier:
    """Port `Notifier` where no topic is set: the log line is the alert."""

    def publish(self, *, recording: Recording, alerts: Sequence[PendingAlert]) -> None:
        """See the port."""
