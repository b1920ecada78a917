"""The world of `shared.ports` in memory: small, strict, asserted on by state. `tests/contract` holds them to the same
suite as the real adapters.

Trouble is set in two ways: a fake that is in a bad state says so in an attribute (`FakeContainer.refusal`,
`FakeMedia.lies`), and `watched` puts any function around the calls of any port.
"""

from tests.support.fakes.acs import FakeAcs, FakeMedia, MediaFile
from tests.support.fakes.clock import FakeClock
from tests.support.fakes.ledger import FakeLedger
from tests.support.fakes.notifier import FakeNotifier
from tests.support.fakes.queue import Delivery, FakeQueue
from tests.support.fakes.storage import FakeContainer, FakeContainers
from tests.support.fakes.watched import watched
from tests.support.fakes.world import ACCOUNT, CONTAINER, NOON, World, settings

__all__ = [
    "ACCOUNT",
    "CONTAINER",
    "NOON",
    "Delivery",
    "FakeAcs",
    "FakeClock",
    "FakeContainer",
    "FakeContainers",
    "FakeLedger",
    "FakeMedia",
    "FakeNotifier",
    "FakeQueue",
    "MediaFile",
    "World",
    "settings",
    "watched",
]
