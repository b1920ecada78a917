"""Point 9, the parts that are decided before anything runs: one container given for two purposes is refused with the
reason; a second allowed account without a key is reached by the app's identity; `:443` in a URL is no other place.

(Event types, `data` as text, and Retry-After over the real triggers: `tests/e2e/test_point_09_spellings.py`.)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from shared import app as app_module
from shared import handlers
from shared.app import azure_ports
from shared.domain.locations import ContainerUrl
from shared.domain.recording import ChunkState
from shared.settings import SettingsError, load_settings
from tests.support.fakes import CONTAINER
from tests.unit.rig import HOUR, MEDIA, Rig, claim, event
from tests.unit.test_app import KEYS

if TYPE_CHECKING:
    from collections.abc import Iterator

TWO = "https://two.blob.core.windows.net/recordings"
PURPOSES = ("FALLBACK_CONTAINER", "LEDGER_CONTAINER", "REJECTED_EVENTS_CONTAINER")
APP = {"AzureWebJobsStorage": KEYS["AzureWebJobsStorage"]}


@pytest.fixture
def clean_process(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    app_module._built.clear()
    yield monkeypatch
    app_module._built.clear()


@pytest.mark.parametrize("first", PURPOSES)
@pytest.mark.parametrize("second", PURPOSES)
def test_one_container_for_two_purposes_is_refused_with_the_reason(first: str, second: str) -> None:
    given = KEYS | {first: "both", second: "both"}
    if first == second:
        load_settings(given)
        return
    with pytest.raises(SettingsError) as refused:
        load_settings(given)
    assert any(first in fault and second in fault and "one of its own" in fault for fault in refused.value.faults)


@pytest.mark.parametrize("purpose", PURPOSES)
def test_a_recording_container_for_another_purpose_is_refused_with_the_reason(purpose: str) -> None:
    account = "https://app.blob.core.windows.net"
    given = KEYS | {"RECORDING_CONTAINERS_ALLOWED": f"{account}/both", purpose: "both"}
    with pytest.raises(SettingsError) as refused:
        load_settings(given)
    [fault] = refused.value.faults
    assert purpose in fault
    assert f"{account}/both" in fault


def test_what_is_refused_is_answered_and_says_why(clean_process: pytest.MonkeyPatch) -> None:
    """Every function of an app with such settings fails, and names the setting."""
    for name, value in (KEYS | {"FALLBACK_CONTAINER": "both", "LEDGER_CONTAINER": "both"}).items():
        clean_process.setenv(name, value)
    answer = handlers.list_recordings("/api/recordings")
    assert answer.status == 500
    assert b"LEDGER_CONTAINER" in answer.body
    with pytest.raises(SettingsError, match="LEDGER_CONTAINER"):
        handlers.sweep()


def test_a_second_account_without_a_key_is_reached_by_identity() -> None:
    """It was asked anonymously, and refused for ever."""
    settings = load_settings(KEYS | {"RECORDING_CONTAINERS_ALLOWED": TWO})
    assert settings.needs_storage_identity
    containers: Any = azure_ports(settings).containers
    own, other = (containers.destination(place) for place in (settings.default_container, ContainerUrl.parse(TWO)))
    assert any("SharedKey" in name for name in _policies(own))
    assert any("BearerToken" in name for name in _policies(other))
    assert not any("SharedKey" in name for name in _policies(other))


def _policies(container: Any) -> list[str]:
    """What the SDK's client does to each request, by the names of its classes."""
    policies = container._service._pipeline._impl_policies
    return [type(getattr(policy, "_policy", policy)).__name__ for policy in policies]


def test_the_port_of_https_in_a_url_names_the_same_place() -> None:
    """In a source, in an export, and in the allow-list."""
    rig = Rig()
    data = rig.put_media()
    with_port = f"{MEDIA}/doc-0/content/video".replace(".com/", ".com:443/")
    metadata = f"{MEDIA}/doc-0/content/acsmetadata".replace(".com/", ".com:443/")
    rig.receive(event(claim(contentLocation=with_port, metadataLocation=metadata, deleteLocation=None)))
    rig.live(HOUR)
    assert (rig.state(), list(rig.files().values())) == (ChunkState.RESCUED, [data])
    assert rig.chunk.metadata_state == "saved"
    exported = Rig()
    name = "20261122/call-1/rec-1-guid/0-audiomp3.doc-0.mp3"
    exported.destination.put(name, data, content_type="audio/mpeg", overwrite=False)
    at = CONTAINER.blob_url(name).replace(".net/", ".net:443/")
    exported.receive(event(claim(contentLocation=at, metadataLocation=None)))
    exported.live(HOUR)
    assert (exported.state(), exported.chunk.blob) == (ChunkState.EXPORTED, name)
    listed = load_settings(KEYS | {"RECORDING_CONTAINERS_ALLOWED": TWO.replace(".net/", ".net:443/")})
    assert str(listed.allowed.places[-1]) == TWO
