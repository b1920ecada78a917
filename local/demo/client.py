"""JSON over HTTP to the app and to the emulator's control plane, by the standard library: no proxy, no retries."""

from __future__ import annotations

import http.client
import json
from typing import Any
from urllib.parse import quote, urlsplit

_SECONDS = 40.0


class HttpError(RuntimeError):
    """An answer that is no success; the message has its status and body."""


def ask(origin: str, path: str, *, body: dict[str, Any] | None = None, headers: dict[str, str] | None = None) -> Any:
    """GET, or POST where there is a `body`; the JSON of the answer. HttpError, OSError."""
    connection = http.client.HTTPConnection(urlsplit(origin).netloc, timeout=_SECONDS)
    try:
        method = "GET" if body is None else "POST"
        data = None if body is None else json.dumps(body).encode()
        connection.request(method, path, body=data, headers={"Content-Type": "application/json", **(headers or {})})
        answer = connection.getresponse()
        text = answer.read()
    finally:
        connection.close()
    if answer.status >= 300:
        raise HttpError(f"{method} {path}: {answer.status} {text.decode(errors='replace')[:500]}")
    return json.loads(text)


class App:
    """The app, as its callers see it."""

    def __init__(self, origin: str) -> None:
        self._origin = origin

    def start_recording(self, body: dict[str, Any]) -> dict[str, Any]:
        """`POST /api/recordings`."""
        started: dict[str, Any] = ask(self._origin, "/api/recordings", body=body)
        return started

    def recording(self, key: str) -> dict[str, Any]:
        """`GET /api/recordings/{recordingId}`, by the key that the start's Location names."""
        story: dict[str, Any] = ask(self._origin, f"/api/recordings/{quote(key, safe='')}")
        return story


class ControlPlane:
    """The emulator's control plane: calls begin and end here, and things go wrong on command."""

    def __init__(self, origin: str) -> None:
        self._origin = origin

    def post(self, path: str, body: dict[str, Any]) -> Any:
        """`POST /_control/…`."""
        return ask(self._origin, f"/_control/{path}", body=body)

    def truth(self, recording_id: str, *, sha256: bool = True) -> dict[str, Any]:
        """All that ACS knows of a recording. `sha256` False spares the time for the checksums."""
        path = f"/_control/recordings/{quote(recording_id, safe='')}?sha256={str(sha256).lower()}"
        truth: dict[str, Any] = ask(self._origin, path)
        return truth
