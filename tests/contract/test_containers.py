"""Port `Containers`: only what is on the allow-list, and the app's own fallback."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest

from shared.adapters.blob import BlobContainers
from shared.domain.errors import Blame, ContainerMissing, ContainerNotAllowed
from shared.domain.locations import ContainerUrl
from tests.contract.sides import RealSide, container

if TYPE_CHECKING:
    from local.acs import AcsEmulator
    from local.azurite import Azurite
    from shared.ports import Container
    from tests.contract.sides import Side


def test_a_destination_on_the_list_is_given(side: Side) -> None:
    """Also a place within it; both are one container."""
    place = container(side)
    below = side.ports.containers.destination(ContainerUrl.parse(f"{side.place}/team-a"))
    place.put("x", b"data", content_type="text/plain", overwrite=False)
    assert below.read("x") == b"data"


@pytest.mark.parametrize("change", ["-other", "x/y", ""])
def test_a_container_off_the_list_is_refused(side: Side, change: str) -> None:
    """Before anything is sent there; whose fault: the app's settings."""
    other = (
        ContainerUrl.parse(f"{side.place}{change}")
        if change == "-other"
        else ContainerUrl.parse(f"https://attacker.blob.core.windows.net/{side.place.container}/{change}".rstrip("/"))
    )
    with pytest.raises(ContainerNotAllowed) as caught:
        side.ports.containers.destination(other)
    assert caught.value.blame is Blame.APP


def test_a_destination_is_never_made(side: Side) -> None:
    """It is the customer's to make."""
    missing = side.ports.containers.destination(side.missing)
    with pytest.raises(ContainerMissing):
        missing.find("")


def test_the_fallback_is_there_when_it_is_asked_for(side: Side) -> None:
    """Again and again it is the same one."""
    side.ports.containers.fallback().put("x", b"data", content_type="text/plain", overwrite=False)
    assert side.ports.containers.fallback().read("x") == b"data"
    assert container(side).stat("x") is None


# --- what only a server shows


def test_the_fallback_stands_when_another_process_made_it(real: RealSide) -> None:
    """Two processes, each with its own ports, many threads: one container."""
    other = BlobContainers(real.settings, app_service=real.blobs, credential=None)
    go = threading.Barrier(6)
    made: list[Container] = []

    def ask(number: int) -> None:
        go.wait(10)
        made.append((other if number % 2 else real.ports.containers).fallback())

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(made) == 6
    assert all(one.find("") == [] for one in made)


def test_the_fallback_is_blamed_on_the_app(real: RealSide) -> None:
    fallback = real.ports.containers.fallback()
    real.blobs.delete_container(real.settings.fallback_container)
    with pytest.raises(ContainerMissing) as caught:
        fallback.stat("x")
    assert caught.value.blame is Blame.APP


def test_a_place_keeps_its_client(real: RealSide) -> None:
    """One for the process: its connections are used again."""
    assert container(real) is container(real)


def credential_of(one: Any) -> Any:
    """What a container of the real side asks with; not of the port."""
    return one._service.credential


def test_the_key_of_one_account_does_not_open_another(azurite: Azurite, acs: AcsEmulator) -> None:
    """A place in another account than that of the connection string is asked by identity, never anonymously."""
    side = RealSide(azurite, acs)
    try:
        other = ContainerUrl.parse("https://other.blob.core.windows.net/recordings")
        ours, others = side.ports.containers.destination(side.place), side.ports.containers.destination(other)
        assert credential_of(ours).account_key == azurite.account_key
        assert type(credential_of(others)).__name__ == "DefaultAzureCredential"
    finally:
        side.close()


def test_without_a_key_every_place_is_asked_by_identity(azurite: Azurite, acs: AcsEmulator) -> None:
    """Nothing is sent when the ports are built."""
    side = RealSide(azurite, acs, changes={"RECORDING_STORAGE_CONNECTION_STRING": "", "ACS_MEDIA_AUTH": "identity"})
    try:
        other = ContainerUrl.parse("https://other.blob.core.windows.net/recordings")
        credential = credential_of(side.ports.containers.destination(other))
        assert type(credential).__name__ == "DefaultAzureCredential"
    finally:
        side.close()
