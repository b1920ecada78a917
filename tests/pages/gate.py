"""What is in front of the app in Azure, as far as the page sees it: a key or a sign-in's cookie is asked for.

The local host checks no keys, as func does not. This proxy passes everything on unchanged to the real host. Where
neither is there, it answers 401 without a body, as the Functions host does. `is_down` cuts every connection.
"""

from __future__ import annotations

import http.client
from http.cookies import SimpleCookie
from urllib.parse import urlsplit

from tests.contract.scripted import Answer, Asked, Scripted

KEY = "a-key-that-works/+=="
COOKIE = "AppServiceAuthSession"
_OPEN = ("/api/ui", "/api/health")
_DROPPED = {"connection", "transfer-encoding", "content-length", "host", "date", "server"}


class Gate(Scripted):
    """The proxy, its switch, and what it has seen (`asked`)."""

    def __init__(self, host_url: str) -> None:
        self.host_url = host_url
        self.is_down = False
        super().__init__(self._pass_on)

    def _pass_on(self, asked: Asked) -> Answer | None:
        if self.is_down:
            return None
        # What the Functions host would answer.
        signed_in = SimpleCookie(asked.headers.get("cookie", "")).get(COOKIE)
        is_open = asked.target.partition("?")[0].startswith(_OPEN)
        if not (is_open or asked.headers.get("x-functions-key") == KEY or signed_in):
            return Answer(401)
        connection = http.client.HTTPConnection(urlsplit(self.host_url).netloc, timeout=30)
        try:
            connection.request(asked.method, asked.target, body=asked.body or None, headers=_kept(asked.headers))
            given = connection.getresponse()
            return Answer(given.status, given.read(), _kept(dict(given.getheaders())))
        finally:
            connection.close()


def _kept(headers: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name.lower() not in _DROPPED}
