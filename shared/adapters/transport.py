"""HTTP transports for the SDK clients: pools wide enough for all slots, bounded in time, on a laptop to another origin.

The SDKs stay in the path everywhere, with their signing, checks and host allow-list: only where a request goes is
changed, and only for ACS's hosts, and only to loopback (`settings.local_origin` refuses anything else).
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import requests
from azure.core.pipeline.transport._requests_basic import RequestsTransport

from shared.adapters.connections import BoundedAdapter
from shared.domain.locations import is_media_location

_CONNECT_SECONDS = 5
_READ_SECONDS = 60


class _Session(requests.Session):
    """Reads proxies and CAs from the environment once a host, not at every request as requests does.

    That took 0.4 of the 1.1 ms of CPU that one ranged GET cost (docs/performance.md). Nor is a netrc file looked
    for: the SDKs sign each request themselves.
    """

    def __init__(self) -> None:
        super().__init__()
        self.trust_env = False
        self._read_for: dict[tuple[str, ...], Any] = {}

    def merge_environment_settings(self, url: Any, *given: Any, **named: Any) -> Any:
        """What requests asks for before each request; azure-core hands in the same each time."""
        parts = urlsplit(str(url))
        asked = (parts.scheme, parts.netloc, repr(given), repr(named))
        if asked not in self._read_for:
            # A session of its own, as this one does not look.
            with requests.Session() as reader:
                self._read_for[asked] = reader.merge_environment_settings(url, *given, **named)
        return dict(self._read_for[asked])


def pooled_session(connections: int, *, read_bytes: int) -> requests.Session:
    """A session that keeps up to `connections` connections to a host. Proxies and CAs come from the environment."""
    session = _Session()
    adapter = BoundedAdapter(connections, piece=read_bytes)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    return session


def pooled_transport(connections: int, *, read_bytes: int, read_seconds: float = _READ_SECONDS) -> RequestsTransport:
    """A transport that reads bodies in pieces of `read_bytes` (azure-core's own 4 KiB cost thirty times the CPU)."""
    return RequestsTransport(
        session=pooled_session(connections, read_bytes=read_bytes),
        connection_timeout=_CONNECT_SECONDS,
        read_timeout=read_seconds,
        connection_data_block_size=read_bytes,
    )


class LocalOriginTransport(RequestsTransport):
    """Sends what is meant for ACS and its media hosts to a local emulator, with the original Host header."""

    def __init__(self, origin: str, *, acs_endpoint: str, connections: int, read_bytes: int) -> None:
        super().__init__(
            session=pooled_session(connections, read_bytes=read_bytes),
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
