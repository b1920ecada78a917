"""Requests made and signed by hand, so that what an SDK would never send can be sent."""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import json
import time
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from local.acs import AcsEmulator

VERSION = "?api-version=2026-03-12"
TIMEOUT = 10


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        return str(self.json["error"]["code"])


def http_date(moment: datetime | None = None) -> str:
    return (moment or datetime.now(UTC)).strftime("%a, %d %b %Y %H:%M:%S GMT")


def signed(
    acs: AcsEmulator,
    method: str,
    target: str,
    body: bytes = b"",
    *,
    host: str | None = None,
    key: str | None = None,
    date_header: str = "x-ms-date",
    age: timedelta = timedelta(0),
) -> dict[str, str]:
    """The headers of a signed request, after the service's description of its HMAC scheme."""
    host = host or acs.config.resource_host
    date = http_date(datetime.now(UTC) - age)
    digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
    text = f"{method}\n{target}\n{date};{host};{digest}"
    secret = base64.b64decode(key or acs.config.access_key)
    signature = base64.b64encode(hmac.new(secret, text.encode(), hashlib.sha256).digest()).decode()
    names = f"{date_header};host;x-ms-content-sha256"
    return {
        date_header: date,
        "x-ms-content-sha256": digest,
        "Authorization": f"HMAC-SHA256 SignedHeaders={names}&Signature={signature}",
    }


def send(acs: AcsEmulator, method: str, target: str, headers: dict[str, str], body: bytes | None = None) -> Answer:
    """One request to the emulator's port as it stands; http.client's exceptions come through."""
    parts = urlsplit(acs.origin)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=TIMEOUT)
    try:
        connection.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
        if body is not None:
            headers = {"Content-Length": str(len(body))} | headers
        for name, value in headers.items():
            connection.putheader(name, value)
        connection.endheaders(body)
        answer = connection.getresponse()
        fields = {name.lower(): value for name, value in answer.getheaders()}
        return Answer(answer.status, fields, answer.read())
    finally:
        connection.close()


def rest(
    acs: AcsEmulator,
    method: str,
    target: str,
    body: Any = None,
    *,
    headers: dict[str, str] | None = None,
    drop: tuple[str, ...] = (),
) -> Answer:
    """A signed request to the REST host; `headers` are added or replaced, `drop` are left out."""
    data = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    given = {"Host": acs.config.resource_host} | signed(acs, method, target, data)
    if body is not None:
        given["Content-Type"] = "application/json"
    given = {name: value for name, value in (given | (headers or {})).items() if name not in drop}
    return send(acs, method, target, given, data if body is not None else None)


def start(acs: AcsEmulator, body: Any, *, target: str = f"/calling/recordings{VERSION}", **more: Any) -> Answer:
    return rest(acs, "POST", target, body, **more)


def repeat_headers(repeat_id: str | None = None) -> dict[str, str]:
    return {
        "Repeatability-Request-ID": repeat_id or str(uuid.uuid4()),
        "Repeatability-First-Sent": http_date(),
    }


def media(acs: AcsEmulator, url: str, *, method: str = "GET", headers: dict[str, str] | None = None) -> Answer:
    """A signed request to a media host, with `x-ms-host` as the SDKs send it."""
    parts = urlsplit(url)
    given = {"Host": parts.netloc, "x-ms-host": acs.config.resource_host}
    given |= signed(acs, method, parts.path)
    return send(acs, method, parts.path, given | (headers or {}))


def control(acs: AcsEmulator, method: str, path: str, body: Any = None) -> Answer:
    data = None if body is None else json.dumps(body).encode()
    return send(acs, method, f"/_control{path}", {"Host": urlsplit(acs.origin).netloc}, data)


def jwt(**changes: Any) -> str:
    """An Entra token for ACS, as far as its form goes; `changes` are claims."""
    claims = {"aud": "https://communication.azure.com", "exp": int(time.time()) + 600} | changes
    parts = [{"alg": "RS256", "typ": "JWT"}, claims]
    texts = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts]
    return ".".join((*texts, "c2lnbmF0dXJl"))
