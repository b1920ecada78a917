"""Queue messages as JSON. Fields are not named like a message's own metadata (`id`, `dequeueCount`, …): the host
would take those of the body for them.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from typing import TYPE_CHECKING, Any

from shared.domain.codec import format_time, parse_time
from shared.ports import AUDIT_PART, OUTBOX_PART, RECORDING_PART, WorkItem

if TYPE_CHECKING:
    from datetime import datetime

_KEY = re.compile(r"[0-9a-f]{32}")
_CHUNK = re.compile(r"[0-9a-f]{16}")
_TRACE = re.compile(r"00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")  # W3C Trace Context, version 00


def encode_message(item: WorkItem) -> bytes:
    """The message's body, before base64."""
    body: dict[str, str | int] = {
        "version": 1,
        "recordingKey": item.recording_key,
        "part": item.part,
        "generation": item.generation,
    }
    if item.due_at:
        body["dueAt"] = format_time(item.due_at)
    if item.trace:
        body["trace"] = item.trace
    return json.dumps(body, separators=(",", ":")).encode()


def decode_message(body: bytes | str) -> WorkItem | None:
    """The item in `body` (JSON, or base64 of it), or None: a forged or foreign message moves nothing."""
    raw = body.encode("utf-8", "replace") if isinstance(body, str) else body
    if not raw.lstrip().startswith(b"{"):
        try:
            raw = base64.b64decode(raw, validate=True)
        except binascii.Error:
            return None
    try:
        fields = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    if not isinstance(fields, dict):
        return None
    key, part, generation = fields.get("recordingKey"), fields.get("part"), fields.get("generation")
    is_valid = (
        isinstance(key, str)
        and _KEY.fullmatch(key)
        and isinstance(part, str)
        and (part in (AUDIT_PART, OUTBOX_PART, RECORDING_PART) or _CHUNK.fullmatch(part))
        and type(generation) is int
        and 0 <= generation < 2**53
    )
    if not is_valid:
        return None
    # Of an older version, or damaged: the work is the same without them.
    trace = fields.get("trace")
    has_trace = isinstance(trace, str) and _TRACE.fullmatch(trace) is not None
    return WorkItem(
        str(key), str(part), int(str(generation)), str(trace) if has_trace else None, _moment(fields.get("dueAt"))
    )


def _moment(text: Any) -> datetime | None:
    try:
        return parse_time(text) if isinstance(text, str) else None
    except ValueError:
        return None
