r"""Authentication: HMAC-SHA256 with the access key, as the SDKs sign it, or an Entra bearer token.

HMAC (read in the SDK for Python, `_shared/policy.py`; the header's name `date` instead of `x-ms-date` is
documented): the text signed is `VERB\npath?query\ndate;host;base64(sha256(body))`, the host being that of the
ACS resource, also on media hosts, where it travels in `x-ms-host`. Dates are compared with the real time,
since that is what a client signs, whatever the emulator's own clock says. A bearer token must be a
well-formed JWT of the right audience and not expired; its signature is not checked.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_AUDIENCES = {"https://communication.azure.com", "https://communication.azure.com/"}
_SIGNED_HEADERS = {"x-ms-date;host;x-ms-content-sha256": "x-ms-date", "date;host;x-ms-content-sha256": "date"}
_SKEW = timedelta(minutes=15)

HMAC_REFUSED, BEARER_REFUSED = "7509", "7510"


@dataclass(frozen=True)
class Refused:
    """Why a request is not let in: the service's code and a reason that holds no part of a key or token."""

    code: str
    reason: str


@dataclass(frozen=True)
class Gate:
    """Checks requests to one ACS resource. `access_key` is base64, as in the connection string."""

    resource_host: str
    access_key: str

    def check(self, headers: Mapping[str, str], *, method: str, target: str, body: bytes) -> Refused | None:
        """None when the request may pass. `target` is the path and query exactly as sent."""
        scheme, _, rest = headers.get("Authorization", "").partition(" ")
        if scheme == "HMAC-SHA256":
            return self._check_hmac(headers, rest, method=method, target=target, body=body)
        if scheme.lower() == "bearer":
            reason = _bearer_fault(rest)
            return Refused(BEARER_REFUSED, reason) if reason else None
        if not scheme:
            return Refused(HMAC_REFUSED, "the Authorization header is missing")
        return Refused(HMAC_REFUSED, "the Authorization scheme must be HMAC-SHA256 or Bearer")

    def _check_hmac(
        self, headers: Mapping[str, str], parameters: str, *, method: str, target: str, body: bytes
    ) -> Refused | None:
        signed, _, signature = parameters.removeprefix("SignedHeaders=").partition("&Signature=")
        date_header = _SIGNED_HEADERS.get(signed)
        if date_header is None or not signature:
            return Refused(
                HMAC_REFUSED, f"Authorization must be 'SignedHeaders={next(iter(_SIGNED_HEADERS))}&Signature=…'"
            )
        host = headers.get("x-ms-host") or headers.get("Host", "")
        date, digest = headers.get(date_header, ""), headers.get("x-ms-content-sha256", "")
        if fault := self._form_fault(host, date=date, digest=digest, body=body):
            return Refused(HMAC_REFUSED, fault)
        if not any(
            hmac.compare_digest(self._sign(f"{method}\n{spelling}\n{date};{host};{digest}"), signature.encode())
            for spelling in _spellings(target)
        ):
            return Refused(HMAC_REFUSED, "the signature does not match")
        return None

    def _sign(self, text: str) -> bytes:
        key = base64.b64decode(self.access_key)
        return base64.b64encode(hmac.new(key, text.encode(), hashlib.sha256).digest())

    def _form_fault(self, host: str, *, date: str, digest: str, body: bytes) -> str | None:
        if host.lower() != self.resource_host:
            return f"the signed host is not this resource's ({self.resource_host})"
        try:
            moment = datetime.strptime(date, "%a, %d %b %Y %H:%M:%S GMT").replace(tzinfo=UTC)
        except ValueError:
            return "the signed date must look like 'Sun, 06 Nov 1994 08:49:37 GMT'"
        if abs(datetime.now(UTC) - moment) > _SKEW:
            return f"the signed date is more than {_SKEW} away from now"
        if digest != base64.b64encode(hashlib.sha256(body).digest()).decode():
            return "x-ms-content-sha256 is not the hash of the body"
        return None


def _spellings(target: str) -> Iterator[str]:
    """The ways to write one path and query that a client may have signed.

    recordingIds end with `==`. The sync SDK signs and sends `%3D%3D`; the async SDK signs the same, but aiohttp
    then sends `==` (run). What the service compares is not documented: all spellings of one URL are taken.
    """
    path, mark, query = target.partition("?")
    yield target
    yield quote(unquote(path), safe="/:") + mark + query
    yield unquote(target)


def _bearer_fault(token: str) -> str | None:
    parts = token.strip().split(".")
    if len(parts) != 3 or not all(parts):
        return "the bearer token is not a JWT"
    try:
        header, claims = (_json_part(part) for part in parts[:2])
    except ValueError:
        return "the bearer token is not a JWT"
    if "alg" not in header:
        return "the bearer token's header names no algorithm"
    audience = claims.get("aud")
    if not isinstance(audience, str) or audience not in _AUDIENCES:
        return "the bearer token is not for https://communication.azure.com"
    expires = claims.get("exp")
    if not isinstance(expires, int | float) or expires <= datetime.now(UTC).timestamp():
        return "the bearer token has expired"
    return None


def _json_part(part: str) -> dict[str, Any]:
    try:
        value = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except (binascii.Error, UnicodeDecodeError) as error:
        raise ValueError("not base64url") from error
    if isinstance(value, dict):
        return value
    raise ValueError("not an object")
