"""Events out, over real processes: a topic of the customer's gets them as CloudEvents, and holds nothing up."""

from __future__ import annotations

import base64
import uuid
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from local.eventgrid import EventGrid, Subscription
from local.services import CONTAINER
from local.stack import Stack
from tests.e2e.conftest import QUICK
from tests.e2e.support import ARCHIVE, World, plan
from tests.local.host.support import call
from tests.support.receiver import Receiver
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.support import Recorded

KEY = base64.b64encode(b"k" * 32).decode()


class Listener:
    """A topic of the customer's with one subscriber; and the stack that publishes to it."""

    def __init__(self, running: ExitStack) -> None:
        self.grid = running.enter_context(EventGrid(topic_key=KEY))
        self.receiver = running.enter_context(Receiver())
        self.grid.subscribe(Subscription("events", self.receiver.url, schema="CloudEventSchemaV1_0"))
        settings = {**QUICK, "EVENT_TOPIC_ENDPOINT": self.grid.topic_url, "EVENT_TOPIC_KEY": KEY}
        self.world = World(running.enter_context(Stack(settings=settings, containers=(CONTAINER, ARCHIVE), seed=3)))
        running.callback(self.world.blobs.close)

    def events(self, recorded: Recorded) -> list[dict[str, Any]]:
        """What came about the recording, each event once."""
        posts = (one.body for one in self.receiver.requests if one.method == "POST")
        bodies = [body for post in posts for body in (post if isinstance(post, list) else [post])]
        about = [body for body in bodies if body["subject"] == f"/recordings/{recorded.key}"]
        return list({body["id"]: body for body in about}.values())

    def wait_for(self, recorded: Recorded, kind: str) -> dict[str, Any]:
        """The event of that type, once it is there."""

        def probe() -> dict[str, Any] | None:
            found = (one for one in self.events(recorded) if one["type"] == f"AcsByosRecorder.{kind}")
            return next(found, None)

        found: dict[str, Any] = eventually(probe, what=f"{kind} of {recorded.key}")
        return found


@pytest.fixture(scope="module")
def listener() -> Iterator[Listener]:
    with ExitStack() as running:
        yield Listener(running)


def test_a_rescue_is_announced_and_its_end_is(listener: Listener) -> None:
    """The file named in the event is in the container, with the bytes and the digest that it names."""
    recorded = listener.world.start().end(plan(300_000, export="firewall"))
    begun = listener.wait_for(recorded, "RescueStarted")
    stored = listener.wait_for(recorded, "RecordingStored")
    story = recorded.whole()
    assert begun["data"]["blame"] == "acs"
    assert (stored["specversion"], stored["source"]) == ("1.0", "/acs-byos-recorder")
    assert uuid.UUID(stored["id"]).version == 5
    assert stored["data"]["recordingId"] == recorded.id
    assert (stored["data"]["state"], stored["data"]["route"]) == ("complete", "rescued")
    [file], [chunk] = stored["data"]["chunks"], story["chunks"]
    assert (file["size"], file["sha256"]) == (chunk["size"], chunk["sha256"])
    assert chunk["blob"] == f"{stored['data']['containerUrl']}/{file['blob']}"
    assert "accesskey" not in str([begun, stored]).lower()


def test_an_alert_comes_by_the_same_topic(listener: Listener) -> None:
    """A container that is gone: the alert first, and `stored` when the bytes are in it."""
    world = listener.world
    recorded = world.start(containerUrl=world.url(ARCHIVE))
    world.blobs.delete_container(ARCHIVE)
    recorded.end(plan(200_000, export="firewall"))
    alert = listener.wait_for(recorded, "Alert")["data"]
    assert (alert["alert"], alert["cause"], alert["blame"]) == ("container_missing", "container_missing", "destination")
    recorded.wait_for("in_fallback")
    world.blobs.create_container(ARCHIVE)
    assert call(world.stack.host_url, f"/api/recordings/{recorded.key}/replay", method="POST").status == 202
    assert listener.wait_for(recorded, "RecordingStored")["data"]["route"] == "delivered"
    types = [one["type"].removeprefix("AcsByosRecorder.") for one in listener.events(recorded)]
    assert sorted(types) == ["Alert", "RecordingStored", "RescueStarted"]
    recorded.whole()
