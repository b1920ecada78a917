"""Any order of what clients, ACS and people do, against real processes, Azurite and the emulator.

Hypothesis draws the steps; after each of them the API's answers are held against the files, and at the end every
recording against what ACS recorded, byte for byte.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
from azure.core.exceptions import ResourceExistsError
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from local.services import CONTAINER
from local.stack import Stack
from tests.e2e.conftest import QUICK
from tests.e2e.support import ARCHIVE, Recorded, World, plan
from tests.local.host.support import call
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

_EXPORTS = ("ok", "role-missing", "firewall", "service-outage", "ok-but-media-url", "claimed-missing", "claimed-empty")
_STATES = {"started", "saving", "safe", "complete"}


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with Stack(settings=QUICK, containers=(CONTAINER, ARCHIVE), workers=2, seed=3) as stack:
        made = World(stack)
        yield made
        made.blobs.close()


class Machine(RuleBasedStateMachine):
    """Recordings on their way. `ended`: those of which an event came, or will."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self.world = world
        self.running: list[Recorded] = []
        self.ended: list[Recorded] = []
        self.is_archive_there = True
        self.is_gone = False

    @rule(is_archive=st.booleans(), is_video=st.booleans())
    def start(self, *, is_archive: bool, is_video: bool) -> None:
        """A client starts a recording; a second request under the same key gives the same one."""
        body: dict[str, Any] = {"serverCallId": ""}
        new = self.world.stack.acs.create_call()
        body["serverCallId"] = new.server_call_id
        if is_archive:
            body["containerUrl"] = self.world.url(ARCHIVE)
        if is_video:
            body |= {"recordingContent": "audioVideo", "recordingFormat": "mp4"}
        headers = {"idempotency-key": new.call_id}
        answer = self.world.post(body, headers=headers)
        assert answer.status == 201, answer.body
        again = self.world.post(body, headers=headers)
        assert again.json() == answer.json()
        self.running.append(Recorded(self.world, new, answer.json()))

    @precondition(lambda self: self.running)
    @rule(
        data=st.data(),
        export=st.sampled_from(_EXPORTS),
        sizes=st.lists(st.sampled_from((2_000, 700_000, 2_500_000)), min_size=1, max_size=2),
        doubles=st.integers(0, 2),
    )
    def end(self, data: st.DataObject, export: str, sizes: list[int], doubles: int) -> None:
        """The call ends; ACS exports or does not, and says so once or again."""
        recorded = data.draw(st.sampled_from(self.running))
        self.running.remove(recorded)
        recorded.end(plan(*sizes, export=export, duplicate_events=doubles, keep_media=True))
        self.ended.append(recorded)

    @precondition(lambda self: self.running or self.ended)
    @rule(data=st.data())
    def replay(self, data: st.DataObject) -> None:
        """A person replays a recording, whatever its state."""
        recorded = data.draw(st.sampled_from(self.running + self.ended))
        path = f"/api/recordings/{quote(recorded.id, safe='')}/replay"
        answer = call(self.world.stack.host_url, path, method="POST", body=b"")
        assert answer.status in (200, 202), answer.body

    @precondition(lambda self: self.is_archive_there)
    @rule()
    def remove(self) -> None:
        """A person deletes the archive, unless something is in it. What can be drawn next does not depend on that."""
        self.is_archive_there = False
        self.is_gone = not self.world.names(ARCHIVE)
        if self.is_gone:
            self.world.blobs.delete_container(ARCHIVE)

    @precondition(lambda self: not self.is_archive_there)
    @rule()
    def restore(self) -> None:
        """A person makes it again."""
        self.is_archive_there = True
        if not self.is_gone:
            return
        try:
            self.world.blobs.create_container(ARCHIVE)
        except ResourceExistsError:  # ACS or the app never makes one: it was not gone
            raise AssertionError("the archive was made by the app") from None

    @rule()
    def sweep(self) -> None:
        """The timer."""
        assert self.world.sweep() == 202

    @invariant()
    def answers_are_true(self) -> None:
        """What is said to be in a container is there, with that size."""
        assert self.world.get("/api/recordings").status == 200
        for recorded in self.running + self.ended:
            story = recorded.story()
            assert story["state"] in _STATES, story["state"]
            for chunk in story["chunks"]:
                if chunk["where"] == "destination":
                    container, _, name = chunk["blob"].removeprefix(f"{self.world.url('')}").partition("/")
                    facts = self.world.blobs.get_blob_client(container, name).get_blob_properties()
                    assert facts.size == chunk["size"]

    def teardown(self) -> None:
        """All is mended: every recording that ended is whole, in the container that it was started into."""
        if not self.is_archive_there:
            self.restore()
        for recorded in self.running:
            recorded.end(plan(2_000, export="role-missing"))
        for recorded in self.running + self.ended:
            eventually(partial(_chunks, recorded), seconds=120, what="the event")
            path = f"/api/recordings/{recorded.key}/replay"
            call(self.world.stack.host_url, path, method="POST", body=b"")
            story = recorded.whole(seconds=90)
            assert story["state"] == "complete"
            assert story["containerUrl"] == recorded.started["containerUrl"]


def _chunks(recorded: Recorded) -> Any:
    return recorded.story()["chunks"]


@pytest.mark.timeout(900)
def test_any_order_of_steps_ends_whole(world: World) -> None:
    checked = settings(
        max_examples=4,
        stateful_step_count=10,
        deadline=None,
        database=None,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )
    made: Any = partial(Machine, world)  # Hypothesis calls it for each example
    run_state_machine_as_test(made, settings=checked)
