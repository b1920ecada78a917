"""HTTP transports for the SDK clients: pools wide enough for all lanes, and on a laptop another origin.

The SDKs stay in the path everywhere, with their signing, checks and host allow-list: only where a request goes is
changed, and only for ACS's hosts, and only to loopback (`settings.local_origin` refuses anything else).
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import requests
from azure.core.pipeline.transport._requests_basic import RequestsTransport
from requests.adapters import HTTPAdapter

from shared.locations import is_media_location

_CONNECT_SECONDS = 5
_READ_SECONDS = 60


def pooled_session(connections: int) -> requests.Session:
    """A session that keeps up to `connections` connections to a host. Proxies and CAs come from the environment."""
    session = requests.Session()
    adapter = HTTPAdapter(pool_connections=8, pool_maxsize=connections)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    return session


def pooled_transport(connections: int, *, read_bytes: int, read_seconds: float = _READ_SECONDS) -> RequestsTransport:
    """A transport that reads bodies in pieces of `read_bytes` (azure-core's own 4 KiB cost thirty times the CPU)."""
    return RequestsTransport(
        session=pooled_session(connections),
        connection_timeout=_CONNECT_SECONDS,
        read_timeout=read_seconds,
        connection_data_block_size=read_bytes,
    )


class LocalOriginTransport(RequestsTransport):
    """Sends what is meant for ACS and its media hosts to a local emulator, with the original Host header."""

    def __init__(self, origin: str, *, acs_endpoint: str, connections: int, read_bytes: int) -> None:
        super().__init__(
            session=pooled_session(connections),
            connection_timeout=_CONNECT_SECONDS,
            read_timeout=_READ_SECONDS,
            connection_data_block_size=read_bytes,
        )
        self._origin = origin
        self._acs_host = urlsplit(acs_endpoint).netloc

    def send(self, request: Any, **kwargs: Any) -> Any:
        """Sends it to the emulator. ValueError for a host that is not ACS's."""
        url = request.url
        parts = urlsplit(url)
        if parts.netloc != self._acs_host and not is_media_location(url):
            raise ValueError(f"{parts.hostname} is not a host of ACS")
        request.headers["Host"] = parts.netloc
        request.url = self._origin + url.partition(parts.netloc)[2]
        try:
            return super().send(request, **kwargs)
        finally:
            request.url = url
