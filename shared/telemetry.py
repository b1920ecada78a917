"""Log lines: one JSON object each, a stable dotted event name first, fields after it.

Only level and text cross from the Python worker to the Functions host (`extra=` is lost), so the fields are in
the text. What must never be logged is taken out here, wherever it came from: URL queries (a SAS), keys, tokens,
phone numbers and participant ids.
"""

from __future__ import annotations

import json
import logging
import re
import traceback
from datetime import datetime, timedelta
from enum import Enum
from typing import Any

from shared.document import format_time

_LOGGER = logging.getLogger("recorder")
# Each pattern takes time in proportion to the text, whatever is in it: events are a megabyte of anybody's choice. So
# a URL is matched whether or not a query follows it, and a token only where a run of its characters begins.
_CLEANERS = (
    (re.compile(r"(?i)(https?://[^\s\"'?]*)(?:(\?)[^\s\"']*)?"), lambda m: f"{m[1]}?…" if m[2] else m[1]),
    (
        re.compile(
            r"(?i)(accesskey|accountkey|sharedaccesssignature|signature|sig)(\\?[\"']?\s*[=:]\s*\\?[\"']?)[^\s;&\"',}\\]+"
        ),
        r"\1\2…",
    ),
    (re.compile(r"(?i)(signature found in the HTTP request ')[^']*"), r"\1…"),
    (re.compile(r"(?i)\b(bearer|hmac-sha256|sharedkey|sharedkeylite)\s+[^\s\"',]+"), r"\1 …"),
    (re.compile(r"(?<![\w-])eyJ[\w-]+\.[\w-]+\.[\w-]+"), "token:…"),
    (
        re.compile(r"\b\d{1,2}:(acs|orgid|dod|gcch|spool|teamsvisitor)[a-z-]*:[^\s\"',;]+", re.IGNORECASE),
        "participant:…",
    ),
    (re.compile(r"\b4:\+?\d{5,}"), "participant:…"),
    (re.compile(r"(\+|%2B)\d{7,15}\b", re.IGNORECASE), "+…"),
)
_LONGEST = 2000


def scrub(text: str) -> str:
    """`text` without secrets and personal data, whole; what is not UTF-8 (a lone surrogate) is replaced."""
    for pattern, replacement in _CLEANERS:
        text = pattern.sub(replacement, text)
    return text.encode("utf-8", "replace").decode()


def clean(text: str) -> str:
    """The same on one line that no terminal takes for commands, at most 2000 characters."""
    line = " ".join(scrub(text).split())[:_LONGEST]
    return line if line.isprintable() else "".join(char if char.isprintable() else "·" for char in line)


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


def whereabouts(error: BaseException) -> str:
    """Where it was raised, innermost call first, without the texts of errors: nobody cleaned those."""
    frames = traceback.extract_tb(error.__traceback__)
    return " < ".join(f"{frame.filename.rpartition('/')[2]}:{frame.lineno} {frame.name}" for frame in frames[:-9:-1])


class LogOnlyNotifier:
    """Port `Notifier` where no topic is set: the log line is the alert."""

    def alert(self, *, name: str, recording_key: str, fields: dict[str, object]) -> None:
        """See the port."""
