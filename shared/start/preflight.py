"""Before a recording is started: can its container take it? ACS may not look until the call is over."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from shared.domain.errors import ContainerNotReady, StorageError, StorageRefused
from shared.domain.redaction import clean
from shared.logs import log

if TYPE_CHECKING:
    from shared.domain.locations import ContainerUrl
    from shared.ports import Clock, Containers

_KEPT = timedelta(minutes=5)
# A container that was not well is looked at again sooner: it may be under repair.
_KEPT_BAD = timedelta(seconds=30)


class Preflight:
    """Checks containers, and remembers for some minutes. `mode`: warn, enforce or off.

    It shows that the container exists and that this app's identity can write there. ACS's own identity cannot be
    asked from here; that both have the role is up to the deployment (README).
    """

    def __init__(self, *, containers: Containers, clock: Clock, mode: str) -> None:
        self._containers = containers
        self._clock = clock
        self._mode = mode
        self._lock = threading.Lock()
        self._known: dict[ContainerUrl, tuple[datetime, StorageError | None]] = {}

    def check(self, container: ContainerUrl) -> str | None:
        """A warning, or None where all is well. Raises ContainerNotReady where the mode is enforce."""
        if self._mode == "off":
            return None
        error = self._probe(container)
        if error is None:
            return None
        what = f"{container} is not ready: {error.code}: {clean(str(error))}"
        if self._mode == "enforce" and isinstance(error, StorageRefused):
            raise ContainerNotReady(what) from error
        return what + "; the recording was started, and will be kept safe in the fallback if the export fails"

    def _probe(self, container: ContainerUrl) -> StorageError | None:
        now = self._clock.now()
        with self._lock:
            known = self._known.get(container)
        if known and now < known[0]:
            return known[1]
        error: StorageError | None = None
        try:
            self._containers.destination(container).probe()
        except StorageError as raised:
            error = raised
            log("preflight.failed", container=str(container), code=raised.code)
        with self._lock:
            if len(self._known) > 1000:
                self._known.clear()
            self._known[container] = (now + (_KEPT_BAD if error else _KEPT), error)
        return error
