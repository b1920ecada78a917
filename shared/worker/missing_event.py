"""Step `ask_acs`: whether a recording still runs that was started here, and of which no event came."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.domain import facts as f
from shared.domain.errors import RecordingNotFound

if TYPE_CHECKING:
    from shared.domain.recording import Recording
    from shared.ports import Acs


class MissingEvent:
    """Asks ACS."""

    def __init__(self, *, acs: Acs) -> None:
        self._acs = acs

    def ask(self, recording: Recording) -> list[f.Fact]:
        """AcsAnswered. AcsError where ACS gave no answer."""
        if recording.recording_id is None:
            return [f.AcsAnswered("unknown")]
        try:
            return [f.AcsAnswered(self._acs.recording_state(recording.recording_id))]
        except RecordingNotFound:
            return [f.AcsAnswered("unknown")]
