"""The composition root: everything built once, on first use, with one identity and only where it is needed."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from shared import app as app_module
from shared.adapters.notify import TopicNotifier
from shared.app import SystemClock, azure_ports, compose, the_app
from shared.logs import LogOnlyNotifier
from shared.settings import load_settings
from tests.unit.test_settings import LEAST, STORAGE

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
KEYS = LEAST | {
    "ACS_CONNECTION_STRING": "endpoint=https://n.communication.azure.com;accesskey=a2V5IQ==",
    "RECORDING_STORAGE_CONNECTION_STRING": STORAGE.replace("AccountName=app", "AccountName=acc"),
}
TOPIC = {"EVENT_TOPIC_ENDPOINT": "https://t.westeurope-1.eventgrid.azure.net/api/events"}
IDENTITY = {"AzureWebJobsStorage": "", "AzureWebJobsStorage__accountName": "app"}


@pytest.fixture
def clean_process(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    app_module._built.clear()
    yield monkeypatch
    app_module._built.clear()


def test_the_app_is_built_once(clean_process: pytest.MonkeyPatch) -> None:
    for name, value in KEYS.items():
        clean_process.setenv(name, value)
    assert the_app() is the_app()
    assert the_app().settings.preflight == "warn"


@pytest.mark.parametrize(
    "changes", [KEYS, LEAST, LEAST | IDENTITY, KEYS | TOPIC, KEYS | TOPIC | {"EVENT_TOPIC_KEY": "a2V5"}]
)
def test_every_way_of_signing_in_can_be_built(changes: dict[str, str]) -> None:
    settings = load_settings(changes)
    assert compose(settings, azure_ports(settings)).settings is settings


@pytest.mark.parametrize(("changes", "kind"), [({}, LogOnlyNotifier), (TOPIC, TopicNotifier)])
def test_alerts_go_where_the_settings_say(changes: dict[str, str], kind: type[Any]) -> None:
    notifier = azure_ports(load_settings(KEYS | changes)).notifier
    assert callable(notifier.publish)  # its first use
    assert type(getattr(notifier, "_built", notifier)) is kind


@pytest.mark.parametrize(
    ("changes", "is_needed"),
    [
        ({}, False),
        ({"ACS_MEDIA_AUTH": "identity"}, True),
        ({"RECORDING_STORAGE_CONNECTION_STRING": ""}, True),
        (IDENTITY, True),
        (TOPIC, True),
        (TOPIC | {"EVENT_TOPIC_KEY": "a2V5"}, False),
        ({"RECORDING_STORAGE_CONNECTION_STRING": STORAGE}, True),  # the key of another account
        ({"RECORDING_CONTAINERS_ALLOWED": "https://acc.blob.core.windows.net/more"}, False),
        ({"RECORDING_CONTAINERS_ALLOWED": "https://two.blob.core.windows.net/recordings"}, True),
        (
            {"RECORDING_STORAGE_CONNECTION_STRING": "BlobEndpoint=https://acc.blob.core.windows.net;AccountKey=x"},
            False,
        ),
        ({"RECORDING_STORAGE_CONNECTION_STRING": "AccountName=acc;AccountKey=x"}, False),
        ({"RECORDING_STORAGE_CONNECTION_STRING": "AccountKey=x"}, True),
    ],
)
def test_an_identity_is_asked_for_only_where_no_key_serves(*, changes: dict[str, str], is_needed: bool) -> None:
    """A container in an account without a key was asked anonymously, and refused for ever."""
    assert (app_module._credential(load_settings(KEYS | changes)) is not None) is is_needed


PROGRAM = """
import sys
sys.modules["aiohttp"] = None  # as deployed: it is the laptop's only, and the storage SDK takes it where it finds it
from shared.app import azure_ports, compose
from shared.settings import load_settings
settings = load_settings(dict(pair.split("=", 1) for pair in sys.argv[1:]))
compose(settings, azure_ports(settings))
print(sorted(name for name in ("azure.identity", "azure.eventgrid", "msal") if name in sys.modules))
"""


def test_a_cold_start_with_keys_and_no_topic_loads_neither_identity_nor_event_grid() -> None:
    pairs = [f"{name}={value}" for name, value in KEYS.items()]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *pairs], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == "[]"


def test_the_clock_is_the_machines() -> None:
    clock = SystemClock()
    before = datetime.now(UTC)
    clock.pause(0.01)
    assert clock.now().tzinfo is UTC
    assert timedelta(seconds=0.01) <= clock.now() - before < timedelta(seconds=10)
