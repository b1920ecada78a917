from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from azure.communication.callautomation import CallAutomationClient
from azure.storage.blob import BlobServiceClient, ContainerClient

from local.acs import FULL, AcsConfig, AcsEmulator
from local.acs.transport import EmulatorTransport
from local.clock import Clock
from tests.local.acs.finished import Finished

if TYPE_CHECKING:
    from collections.abc import Iterator

    from local.azurite import Azurite


@pytest.fixture
def events() -> list[dict[str, object]]:
    """What the emulator published."""
    return []


@pytest.fixture
def clock() -> Clock:
    return Clock(stepped=True)


@pytest.fixture
def acs(clock: Clock, events: list[dict[str, object]]) -> Iterator[AcsEmulator]:
    """An emulator with a stepped clock and no storage account. Of events, it publishes those of recordings, in full."""
    config = AcsConfig(seed=7, event=FULL, call_started=False)
    with AcsEmulator(config, clock=clock, publish=events.append) as emulator:
        yield emulator


@pytest.fixture
def client(acs: AcsEmulator) -> Iterator[CallAutomationClient]:
    """The real SDK, pointed at the emulator; its own retries are off, so one call is one request."""
    transport = EmulatorTransport(acs.origin)
    with CallAutomationClient.from_connection_string(acs.connection_string, transport=transport, retry_total=0) as made:
        yield made


@pytest.fixture
def finished(acs: AcsEmulator) -> Finished:
    """A recording of 300 000 bytes of mp3 that waits in the media store."""
    return Finished.make(acs, size=300_000)


@pytest.fixture
def exporting(azurite: Azurite, clock: Clock, events: list[dict[str, object]]) -> Iterator[AcsEmulator]:
    """The same with Azurite as its storage account."""
    config = AcsConfig(storage_connection_string=azurite.connection_string, event=FULL, call_started=False)
    with AcsEmulator(config, clock=clock, publish=events.append) as emulator:
        yield emulator


@pytest.fixture
def container(azurite: Azurite, request: pytest.FixtureRequest) -> Iterator[ContainerClient]:
    """A fresh container of the customer."""
    name = f"c{abs(hash(request.node.nodeid))}"
    with BlobServiceClient.from_connection_string(azurite.connection_string) as service:
        yield service.create_container(name)
        service.delete_container(name)
