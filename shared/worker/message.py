"""Queue messages as JSON. Fields are not named like a message's own metadata (`id`, `dequeueCount`, …): the host
would take those of the body for them.
"""

from __future__ import annotations

import base64
import binascii
import json
import re

from shared.ports import RescueMessage

_KEY = re.compile(r"[0-9a-f]{32}")
_CHUNK = re.compile(r"[0-9a-f]{16}")


def encode_message(message: RescueMessage) -> bytes:
    """The message's body, before base64."""
    body = {
        "version": 1,
        "recordingKey": message.recording_key,
        "chunkKey": message.chunk_key,
        "ticket": message.ticket,
    }
    return json.dumps(body, separators=(",", ":")).encode()


def decode_message(body: bytes | str) -> RescueMessage | None:
    """The message in `body` (JSON, or base64 of it), or None: a forged or foreign one moves nothing."""
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
    key, chunk, ticket = fields.get("recordingKey"), fields.get("chunkKey"), fields.get("ticket")
    is_valid = (
        isinstance(key, str)
        and _KEY.fullmatch(key)
        and isinstance(chunk, str)
        and _CHUNK.fullmatch(chunk)
        and type(ticket) is int
        and 0 < ticket < 2**53
    )
    return RescueMessage(str(key), str(chunk), int(str(ticket))) if is_valid else None
