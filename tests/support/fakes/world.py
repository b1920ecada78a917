"""All fakes at once, wired to the real use cases."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from shared.app import App, Ports, compose
from shared.domain.locations import ContainerUrl, allow_list
from shared.settings import Settings, StorageAccount
from shared.transfer.slots import InlineSlots
from tests.support.fakes.acs import FakeAcs, FakeMedia
from tests.support.fakes.clock import FakeClock
from tests.support.fakes.ledger import FakeLedger
from tests.support.fakes.notifier import FakeNotifier
from tests.support.fakes.queue import Delivery, FakeQueue
from tests.support.fakes.storage import FakeContainer, FakeContainers

if TYPE_CHECKING:
    from collections.abc import Sequence

ACCOUNT = "https://customer.blob.core.windows.net"
CONTAINER = ContainerUrl.parse(f"{ACCOUNT}/recordings")
NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def settings(*, places: Sequence[ContainerUrl] = (CONTAINER,), **changes: Any) -> Settings:
    """Settings for tests: the first of `places` is the default container; `changes` replace any field."""
    plain = Settings(
        app_storage=StorageAccount(blob_url="https://app.blob.core.windows.net", queue_url=None),
        acs_endpoint="https://name.communication.azure.com",
        acs_key=None,
        acs_media_auth="identity",
        default_container=places[0],
        allowed=allow_list(places),
        recording_storage=None,
    )
    return replace(plain, **changes)


class World:
    """The fakes, and the app over them. The containers of `settings` exist and are empty."""

    def __init__(self, given: Settings | None = None, *, now: datetime = NOON, seed: int = 1) -> None:
        self.settings = given or settings()
        self.clock = FakeClock(now)
        self.ledger = FakeLedger()
        self.queue = FakeQueue(self.clock, keep_rejected=self.ledger.keep_rejected)
        self.acs = FakeAcs()
        self.media = FakeMedia()
        self.notifier = FakeNotifier()
        self.containers = FakeContainers(self.settings.allowed)
        for place in self.settings.allowed.places:
            self.containers.at(place).exists = True
        self.random = random.Random(seed)  # noqa: S311 - reproducible, and nothing secret
        self.ports = Ports(
            acs=self.acs,
            media=self.media,
            containers=self.containers,
            ledger=self.ledger,
            queue=self.queue,
            notifier=self.notifier,
            clock=self.clock,
            random=self.random,
            slots=InlineSlots(),
        )

    def app(self, **ports: Any) -> App:
        """The app over these fakes; `ports` replaces some of them. Each call is a new process."""
        return compose(self.settings, replace(self.ports, **ports))

    @property
    def destination(self) -> FakeContainer:
        """The default container."""
        return self.containers.at(self.settings.default_container)

    @property
    def fallback(self) -> FakeContainer:
        """The app's own container."""
        return self.containers.own

    def deliver_next(self, app: App) -> Delivery | None:
        """Moves the clock to the next queue message and handles it, as the host would; None where none waits."""
        due = self.queue.next_due()
        if due is None:
            return None
        self.clock.moment = max(self.clock.moment, due)
        delivery = self.queue.receive()
        if delivery is not None:
            app.worker.handle(delivery.item, message_id=str(delivery.id))
            self.queue.finish(delivery)
        return delivery
