"""A CallStarted that comes after the rescue is done still links both records."""

from __future__ import annotations

import json

from shared.intake.event import CALL_STARTED
from tests.support.fakes import CONTAINER
from tests.unit.rig import HOUR, Rig, claim, event


def test_a_closed_recording_is_linked_to_its_start() -> None:
    """The index of what could not be joined outlives the close."""
    rig = Rig()
    rig.acs.calls.add("group-1")
    rig.process.start.start({"groupCallId": "group-1", "containerUrl": str(CONTAINER)}, idempotency_key=None)
    rig.put_media()
    rig.receive(event(claim(), subject="/recording/call/call-1/serverCallId/server-1"))
    rig.live(HOUR)
    [closed] = rig.ledger.closed
    [started] = rig.ledger.open
    data = {"serverCallId": "server-1", "group": {"id": "group-1"}}
    reported = {"id": "c", "topic": "/acs", "subject": "call", "eventType": CALL_STARTED, "dataVersion": "1.0"}
    rig.receive(json.dumps(reported | {"eventTime": "2026-11-22T11:59:00Z", "data": data}))
    assert rig.ledger.recording(closed).links == (started,)
    assert rig.ledger.recording(started).links == (closed,)
