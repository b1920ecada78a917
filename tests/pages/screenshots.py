"""`make screenshots`: the pictures of docs/page.md, of the real app on the local stack, into docs/page/.

A day passes on the services' clock, in which most recordings are exported and some are rescued; then a container goes
away, ACS's media store fails for some recordings, one is lost and one is damaged.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from local.clock import Clock
from local.json_http import ask
from local.services import CONTAINER
from local.stack import Stack
from tests.e2e.conftest import QUICK
from tests.e2e.support import ARCHIVE, Recorded, World, plan
from tests.e2e.test_replay import _days_pass
from tests.pages.browser import MISSING, PHONE, Reader, browsing, chromium
from tests.pages.gate import KEY, Gate
from tests.pages.scene import rejected_event
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from playwright.sync_api import Browser

FOLDER = Path(__file__).parents[2] / "docs" / "page"
MOST_BYTES = 150_000
_WIDE = (1200, 760)
_HOURS = 23
# How many recordings begin in each hour of the day, and every how many of them is not exported.
_BUSY = (1, 1, 2, 2, 3, 4, 3, 4, 5, 4, 3, 4, 5, 6, 5, 4, 3, 4, 3, 2, 2, 1, 1)
_FAILS_EACH = 9


class Day:
    """What happens, and which recordings are looked at."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.stack = world.stack
        self._began = 0
        self.looked_at: Recorded

    def pass_by(self) -> None:
        """A day, hour by hour; late in it some recordings begin that are still in trouble at its end."""
        self.world.blobs.delete_container(ARCHIVE)
        trouble = {1: "slow", 4: "slow", 12: "slow", 15: "held", 17: "held", 18: "held", 19: "slow", 20: "lost"}
        for hour, number in enumerate(_BUSY):
            for _ in range(number):
                self._usual()
            if hour in trouble:
                getattr(self, f"_{trouble[hour]}")()
            if hour < _HOURS - 1:
                self.stack.clock.advance(timedelta(hours=1))
        self.stack.acs.wait_idle()
        self.world.start()
        self.world.start(recordingContent="audioVideo")
        self.world.deliver(rejected_event("CallEnded"))
        self._damaged()
        eventually(self._is_settled, seconds=120, what="the end of the day")

    def _recorded(self) -> tuple[str, str]:
        """Call and recording that another program started: the app learns from the event when it began."""
        call = self.stack.acs.create_call()
        place = {
            "recordingStorageKind": "azureBlobStorage",
            "recordingDestinationContainerUrl": self.world.url(CONTAINER),
        }
        body = {"recordingFormatType": "mp3", "externalStorage": place}
        started = ask(self.stack.acs.origin, f"/_control/calls/{call.call_id}/recordings", body=body)
        return call.call_id, started["recordingId"]

    def _usual(self) -> None:
        self._began += 1
        call, _ = self._recorded()
        export = "service-outage" if self._began % _FAILS_EACH == 0 else "ok"
        self.stack.acs.end_call(call, plan=plan(20_000 + 1_000 * self._began, export=export))

    def _slow(self) -> None:
        """ACS's media store gives a part of it and then nothing."""
        call, recording = self._recorded()
        add = partial(self.stack.acs.add_fault, operation="media", recording_id=recording)
        add(kind="cut", bytes=700_000, count=4 + self._began // 9)
        add(kind="status", status=503)
        self.stack.acs.end_call(call, plan=plan(9_000_000, export="service-outage"))

    def _held(self) -> None:
        self.looked_at = self.world.start(containerUrl=self.world.url(ARCHIVE))
        self.looked_at.end(plan(1_900_000, 800_000, export="container-missing"))
        eventually(lambda: self.looked_at.story()["chunks"])

    def _lost(self) -> None:
        recorded = self.world.start()
        self.stack.acs.add_fault(kind="status", status=404, operation="media", recording_id=recorded.id)
        recorded.end(plan(90_000, export="firewall"))
        eventually(lambda: recorded.story()["attempts"])
        _days_pass(recorded, 2)

    def _damaged(self) -> None:
        """Another program deletes a file; a verification finds that."""
        recorded = self.world.start().end(plan(60_000))
        eventually(lambda: recorded.story().get("closedAt"))
        name = recorded.story()["chunks"][0]["blob"].partition(f"/{CONTAINER}/")[2]
        self.world.blobs.get_blob_client(CONTAINER, name).delete_blob()
        ask(self.stack.host_url, f"/api/recordings/{recorded.key}/verify", body={})

    def _is_settled(self) -> bool:
        unfinished = self.world.get("/api/recordings?limit=200").json()["recordings"]
        return len(unfinished) <= 9


def shoot(browser: Browser, gate: Gate, name: str, route: str, *, size: tuple[int, int], scheme: str = "light") -> None:
    """One picture of one view."""
    reader = Reader(browser, gate, size=size, scheme=scheme).open(route, key=KEY)
    reader.page.evaluate("document.activeElement.blur()")
    FOLDER.mkdir(exist_ok=True)
    file = FOLDER / f"{name}.png"
    reader.page.screenshot(path=file)
    reader.close()
    written = file.stat().st_size
    print(f"{file.relative_to(FOLDER.parents[1])}  {written // 1000} kB")  # noqa: T201 - a program for the terminal
    assert written < MOST_BYTES, f"{name} is larger than {MOST_BYTES} bytes"


def main() -> int:
    """Writes all pictures. 1 without a Chromium."""
    program = chromium()
    if program is None:
        sys.stderr.write(f"{MISSING}\n")
        return 1
    clock = Clock(start=datetime.now(UTC) - timedelta(hours=_HOURS - 1, minutes=20))
    with Stack(settings=QUICK, containers=(CONTAINER, ARCHIVE), clock=clock, seed=5) as stack:
        world = World(stack)
        day = Day(world)
        day.pass_by()
        one = f"/recordings/{day.looked_at.key}"
        with Gate(stack.host_url) as gate, browsing(program) as browser:
            shoot(browser, gate, "unfinished", "/", size=_WIDE)
            shoot(browser, gate, "unfinished-dark", "/", size=_WIDE, scheme="dark")
            shoot(browser, gate, "unfinished-phone", "/", size=PHONE)
            shoot(browser, gate, "recording", one, size=(1200, 900))
            shoot(browser, gate, "recording-phone-dark", one, size=PHONE, scheme="dark")
            shoot(browser, gate, "causes", "/causes", size=_WIDE)
            shoot(browser, gate, "charts", "/charts", size=(1200, 960))
            shoot(browser, gate, "trouble", "/trouble", size=_WIDE)
            shoot(browser, gate, "rejected", "/rejected", size=_WIDE)
            shoot(browser, gate, "doctor", "/doctor", size=_WIDE)
        world.blobs.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
