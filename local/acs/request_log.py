"""The last requests to the emulated service, for the control plane."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from local.acs.documents import moment

if TYPE_CHECKING:
    from aiohttp import web

    from local.acs.faults import Fault, Target
    from local.clock import Clock

_SIZE = 5000


class RequestLog:
    """The last requests to REST and media: no headers, no query, no body."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._entries: deque[dict[str, Any]] = deque(maxlen=_SIZE)

    def add(
        self,
        request: web.BaseRequest,
        target: Target,
        *,
        status: int | None,
        fault: Fault | None,
        sent: int | None = None,
    ) -> None:
        """Notes one answered request; status None: the connection was closed without an answer."""
        entry = {
            "time": moment(self._clock.now()),
            "method": request.method,
            "host": request.host,
            "path": request.path,
            "operation": target.operation,
            "recordingId": target.recording_id,
            "documentId": target.document_id,
            "chunk": target.chunk,
            "range": request.headers.get("Range"),
            "status": status,
            "bodyBytes": sent,
            "fault": fault.kind if fault else None,
        }
        self._entries.append(entry)

    def entries(self) -> list[dict[str, Any]]:
        """Oldest first."""
        return list(self._entries)
