"""An azure.core transport that sends what is meant for ACS and its media hosts to the emulator instead.

Only where a request goes is changed: the URL that the SDK builds, checks and signs stays https on the
service's own host name, which travels in the Host header.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

# The package itself loads it on first use, untyped.
from azure.core.pipeline.transport._requests_basic import RequestsTransport

from local.acs.config import MEDIA_SUFFIXES, REST_SUFFIX

if TYPE_CHECKING:
    from collections.abc import Iterator


class EmulatorTransport(RequestsTransport):
    """For the sync clients: `CallAutomationClient…(…, transport=EmulatorTransport(origin))`."""

    def __init__(self, origin: str, **kwargs: Any) -> None:
        super().__init__(use_env_settings=False, **kwargs)
        self._origin = origin

    def send(self, request: Any, **kwargs: Any) -> Any:
        """Sends one request, rewritten while it is under way."""
        with rewritten(request, self._origin):
            return super().send(request, **kwargs)


@contextmanager
def rewritten(request: Any, origin: str) -> Iterator[None]:
    """Points a request at `origin` and back: a retry or redirect must see the URL that was signed.

    Requests to other hosts are left alone.
    """
    original = request.url
    parts, to = urlsplit(original), urlsplit(origin)
    host = (parts.hostname or "").lower()
    if not host.endswith((REST_SUFFIX, *MEDIA_SUFFIXES)):
        yield
        return
    request.url = urlunsplit((to.scheme, to.netloc, parts.path, parts.query, parts.fragment))
    request.headers["Host"] = parts.netloc
    try:
        yield
    finally:
        request.url = original
        request.headers.pop("Host", None)
