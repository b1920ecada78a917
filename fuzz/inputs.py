"""How the bytes of a fuzzer become an event or a request."""

from __future__ import annotations


def event_of(data: bytes) -> str:
    """The text that the Event Grid trigger hands over."""
    return data.decode("utf-8", "replace")


def request_of(data: bytes) -> tuple[bytes, dict[str, str]]:
    """Body and headers of a start: a line with the Idempotency-Key, one with the Content-Type, then the body."""
    key, _, rest = data.partition(b"\n")
    kind, _, body = rest.partition(b"\n")
    headers = {"idempotency-key": key.decode("latin-1"), "content-type": kind.decode("latin-1")}
    return body, {name: value for name, value in headers.items() if value}
