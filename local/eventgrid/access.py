"""Access to a topic: by its key, or by a shared access signature made with the key."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, quote

if TYPE_CHECKING:
    from collections.abc import Mapping

KEY_HEADER = "aeg-sas-key"
TOKEN_HEADER = "aeg-sas-token"  # noqa: S105 - the name of a header

# The forms in which the SDKs write the time of expiry.
_EXPIRY_FORMATS = ("%Y-%m-%d %H:%M:%S.%f%z", "%Y-%m-%d %H:%M:%S%z", "%Y-%m-%d %H:%M:%S.%f", "%Y-%m-%d %H:%M:%S")


def may_publish(headers: Mapping[str, str], *, topic_key: str | None, now: datetime) -> bool:
    """Whether the request proves knowledge of `topic_key`; always true if that is None."""
    if topic_key is None:
        return True
    if (key := headers.get(KEY_HEADER)) is not None:
        return _is_same(key, topic_key)
    if (token := headers.get(TOKEN_HEADER)) is not None:
        return _is_signed(token, topic_key=topic_key, now=now)
    return False


def _is_signed(token: str, *, topic_key: str, now: datetime) -> bool:
    """`r={resource}&e={expiry}&s={signature}`: HMAC-SHA256 of what precedes `&s=`, key and result in base64."""
    signed, _, signature = token.partition("&s=")
    try:
        key = base64.b64decode(topic_key, validate=True)
    except binascii.Error:
        return False
    digest = hmac.new(key, _bytes(signed), hashlib.sha256).digest()
    expected = quote(base64.b64encode(digest), safe="~()*!.'")
    expiry = _expiry(parse_qs(signed).get("e", [""])[0])
    return _is_same(signature, expected) and expiry is not None and now < expiry


def _is_same(given: str, wanted: str) -> bool:
    return hmac.compare_digest(_bytes(given), wanted.encode())


def _bytes(header: str) -> bytes:
    """The header's bytes; those that are not UTF-8 reach Python as lone surrogates."""
    return header.encode(errors="surrogateescape")


def _expiry(text: str) -> datetime | None:
    for form in _EXPIRY_FORMATS:
        with suppress(ValueError):
            moment = datetime.strptime(text, form)  # noqa: DTZ007 - a time without a zone is UTC here
            return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return None
