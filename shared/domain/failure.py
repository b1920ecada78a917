"""What every error has: a stable code, who can mend it, a text without secrets. The tree is in `errors.py`."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, ClassVar

from shared.domain.redaction import clean

if TYPE_CHECKING:
    from datetime import timedelta


class Blame(StrEnum):
    """Who can mend a failure."""

    CALLER = "caller"
    DESTINATION = "destination"
    ACS = "acs"
    APP = "app"


class RecorderError(Exception):
    """A failure with a stable code. `retry_after`: how long the service asked us to stay away, if it did.

    Its text holds no secret and no personal data, whatever it was made of: it goes into answers, the ledger, log
    lines, alerts, and where it is raised to the host, into the host's own log.
    """

    code: ClassVar[str] = "internal"
    blame: Blame = Blame.APP

    def __init__(self, message: str = "", *, retry_after: timedelta | None = None, trace_id: str | None = None) -> None:
        super().__init__(clean(message) or (type(self).__doc__ or self.code).splitlines()[0])
        self.retry_after = retry_after
        self.trace_id = clean(trace_id)[:100] if trace_id else None
