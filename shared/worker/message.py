"""Queue messages as JSON. Fields are not named like a message's own metadata (`id`, `dequeueCount`, …): the host
would take those of the body for them.
"""

from __future__ import annotations

import base64
import binascii
import json
import re

from shared.ports import AUDIT_PART, OUTBOX_PART, RECORDING_PART, WorkItem

_KEY = re.compile(r"[0-9a-f]{32}")
_CHUNK = re.compile(r"[0-9a-f]{16}")


def encode_message(item: WorkItem) -> bytes:
    """The message's body, before base64."""
    body = {"version": 1, "recordingKey": item.recording_key, "part": item.part, "generation": item.generation}
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
    return WorkItem(str(key), str(part), int(str(generation))) if is_valid else None
