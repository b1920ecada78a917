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

# A container that is well is asked again after this long: `enforce` promises more than `warn`. One that is not well is
# asked at each start, for it may be mended by now.
_KEPT = {"warn": timedelta(minutes=5), "enforce": timedelta(minutes=1)}


class Preflight:
    """Checks containers, and remembers for some minutes those that are well. `mode`: warn, enforce or off.

    It shows that the container exists and that this app's identity can write there. ACS's own identity cannot be
    asked from here; that both have the role is up to the deployment (README).
    """

    def __init__(self, *, containers: Containers, clock: Clock, mode: str) -> None:
        self._containers = containers
        self._clock = clock
        self._mode = mode
        self._lock = threading.Lock()
        self._well_until: dict[ContainerUrl, datetime] = {}

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
            if now < self._well_until.get(container, now):
                return None
        try:
            self._containers.destination(container).probe()
        except StorageError as error:
            log("preflight.failed", container=str(container), code=error.code)
            return error
        with self._lock:
            if len(self._well_until) > 1000:
                self._well_until.clear()
            self._well_until[container] = now + _KEPT[self._mode]
        return None
