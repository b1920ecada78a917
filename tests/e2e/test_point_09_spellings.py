"""Point 9: event type in any case, `data` as a JSON string, `:443` in any URL, a Retry-After of hours.

(One container for two purposes and a second account without a key: `tests/unit/points/test_09_settings.py`.)
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from local.acs import EventForm
from local.services import CONTAINER
from local.stack import Stack
from tests.e2e.conftest import QUICK
from tests.e2e.support import ARCHIVE, World, plan
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from tests.e2e.support import Recorded

MINUTE = timedelta(minutes=1)

FORMS = {
    "lower case": EventForm(event_type_case="lower"),
    "upper case": EventForm(event_type_case="upper"),
    "data as text": EventForm(data_as_text=True),
    "the port in URLs": EventForm(with_port=True),
    "all of it": EventForm(event_type_case="upper", data_as_text=True, with_port=True, id_spelling="escaped"),
}


@pytest.mark.parametrize("form", FORMS.values(), ids=list(FORMS))
@pytest.mark.parametrize("export", ["ok", "firewall"])
def test_the_event_is_understood_in_every_spelling(world: World, form: EventForm, export: str) -> None:
    """An export whose URL names the port, and one that failed."""
    recorded = world.start()
    story = recorded.end(plan(30_000, export=export, event_form=form)).whole()
    assert (story["state"], story["route"]) == ("complete", "exported" if export == "ok" else "rescued")
    assert story["containerUrl"] == world.url("recordings")


def test_a_retry_after_of_hours_is_not_obeyed() -> None:
    """429 with 20 h: the next attempt is minutes away. In a stack of its own: the process holds back for a while."""
    with Stack(settings=QUICK, containers=(CONTAINER, ARCHIVE), seed=9) as stack:
        _is_asked_again_within_minutes(World(stack))


def _is_asked_again_within_minutes(world: World) -> None:
    recorded = world.start()
    fault = world.stack.acs.add_fault(
        kind="status", status=429, operation="media", recording_id=recorded.id, retry_after="72000"
    )
    recorded.end(plan(30_000, export="firewall"))
    chunk = eventually(lambda: _throttled(recorded), what="an attempt that is throttled")
    assert world.stack.acs.faults.remove(fault.fault_id)
    left = datetime.fromisoformat(chunk["nextAttemptAt"]) - world.stack.clock.now()
    assert 4 * MINUTE < left < 6 * MINUTE


def _throttled(recorded: Recorded) -> dict[str, Any] | None:
    chunk = recorded.chunk()
    return chunk if chunk.get("lastError", {}).get("code") == "media_throttled" else None
