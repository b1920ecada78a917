"""Settings: every fault at once, nothing secret printed, one list of names everywhere."""

from __future__ import annotations

import json
from dataclasses import fields
from datetime import timedelta
from pathlib import Path

import pytest

from shared.settings import NAMES, Secret, Settings, SettingsError, load_settings

ROOT = Path(__file__).parents[2]
KEY = "c2VjcmV0LWtleS1vZi10aGUtYWNjb3VudA=="
STORAGE = f"DefaultEndpointsProtocol=https;AccountName=app;AccountKey={KEY};EndpointSuffix=core.windows.net"
LEAST = {
    "AzureWebJobsStorage": STORAGE,
    "ACS_ENDPOINT": "https://name.communication.azure.com",
    "RECORDING_CONTAINER_URL": "https://acc.blob.core.windows.net/recordings",
}


def faults(**changes: str) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        load_settings(LEAST | changes)
    return caught.value.faults


def test_the_least_is_enough_and_has_the_documented_defaults() -> None:
    given = load_settings(LEAST)
    assert given.acs_endpoint == "https://name.communication.azure.com"
    assert given.acs_media_auth == "identity"
    assert given.preflight == "warn"
    assert given.window == timedelta(hours=24)
    assert given.alert_left == (timedelta(hours=6), timedelta(hours=1))
    assert given.allowed.places == (given.default_container,)
    assert given.delete_at_acs is False
    assert given.blocks_in_flight == 20
    defaults = {field.name: field.default for field in fields(Settings)}
    for name in ("fallback_container", "time_budget", "block_bytes", "delivery_window", "silent_after"):
        assert getattr(given, name) == defaults[name]


def test_an_empty_environment_names_all_that_is_needed_at_once() -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings({})
    named = {fault.partition(":")[0] for fault in caught.value.faults}
    assert named == {"AzureWebJobsStorage", "ACS_ENDPOINT", "RECORDING_CONTAINER_URL"}
    assert all(fault in str(caught.value) for fault in caught.value.faults)


WRONG = {
    "ACS_ENDPOINT": "http://name.communication.azure.com",
    "ACS_MEDIA_AUTH": "key",
    "RECORDING_CONTAINER_URL": "https://acc.blob.core.windows.net/recordings?sig=SECRET",
    "RECORDING_CONTAINERS_ALLOWED": "https://acc.blob.core.windows.net/ok, http://evil.example/x?sig=SECRET",
    "AzureWebJobsStorage": "BlobEndpoint=https://a;SharedAccessSignature=SECRET",
    "PREFLIGHT": "maybe",
    "FALLBACK_CONTAINER": "Fall_Back",
    "LEDGER_CONTAINER": "a",
    "REJECTED_EVENTS_CONTAINER": "a--b",
    "RESCUE_WINDOW_HOURS": "25",
    "RESCUE_FIRST_DELAY_SECONDS": "soon",
    "RESCUE_LONGEST_DELAY_SECONDS": "inf",
    "RESCUE_TIME_BUDGET_SECONDS": "nan",
    "RESCUE_BLOCK_MIB": "4.5",
    "RESCUE_MEMORY_MIB": "0",
    "DELIVERY_DAYS": "-1",
    "DELETE_AT_ACS": "perhaps",
    "ALERT_HOURS_LEFT": "6,late",
    "SILENT_AFTER_HOURS": "100",
    "EVENT_TOPIC_ENDPOINT": "http://topic.example/api/events",
    "LOCAL_ACS_ORIGIN": "http://10.0.0.1:1",
}


def test_every_fault_is_named_at_once_and_none_prints_a_value() -> None:
    named = {fault.partition(":")[0] for fault in faults(**WRONG)}
    assert named == set(WRONG)
    assert "SECRET" not in " ".join(faults(**WRONG))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ACS_ENDPOINT", "https://["),
        ("ACS_ENDPOINT", "https://user:pw@name.communication.azure.com"),
        ("ACS_ENDPOINT", "https://name.communication.azure.com?x=1"),
        ("ACS_ENDPOINT", "https://name.communication.azure.com/path"),
        ("ACS_ENDPOINT", "name.communication.azure.com"),
        ("ACS_CONNECTION_STRING", "endpoint=https://n.communication.azure.com"),
        ("ACS_CONNECTION_STRING", "accesskey=a2V5"),
        ("ACS_CONNECTION_STRING", "nonsense"),
        ("ACS_CONNECTION_STRING", "endpoint=http://n.communication.azure.com;accesskey=a2V5"),
        ("AzureWebJobsStorage", "UseDevelopmentStorage=true"),
        ("RESCUE_BLOCK_MIB", "101"),
        ("RESCUE_BLOCK_MIB", "0"),
        ("ALERT_HOURS_LEFT", "nan"),
        ("ALERT_HOURS_LEFT", "24"),
        ("ALERT_HOURS_LEFT", ","),
        ("EVENT_TOPIC_ENDPOINT", "https://["),
        ("EVENT_TOPIC_ENDPOINT", "topic"),
        ("LOCAL_ACS_ORIGIN", "http://["),
        ("LOCAL_ACS_ORIGIN", "http://127.0.0.1:99999"),
        ("LOCAL_ACS_ORIGIN", "https://127.0.0.1:1"),
        ("LOCAL_ACS_ORIGIN", "http://127.0.0.1.evil.example:1"),
        ("LOCAL_ACS_ORIGIN", "http://127.0.0.1@evil.example:1"),
        ("LOCAL_ACS_ORIGIN", "http://127.0.0.1:1/path"),
    ],
)
def test_a_setting_that_cannot_be_used_is_named(name: str, value: str) -> None:
    assert [fault.partition(":")[0] for fault in faults(**{name: value})] == [name]


@pytest.mark.parametrize("name", ["WEBSITE_INSTANCE_ID", "WEBSITE_SITE_NAME"])
def test_requests_are_never_sent_elsewhere_in_azure(name: str) -> None:
    """The emulator's origin would get every signed request."""
    assert "must not be set in Azure" in faults(LOCAL_ACS_ORIGIN="http://127.0.0.1:1", **{name: "x"})[0]
    assert load_settings(LEAST | {"LOCAL_ACS_ORIGIN": "http://localhost:1/"}).local_acs_origin == "http://localhost:1"


def test_a_key_serves_both_apis_unless_the_identity_is_chosen_for_media() -> None:
    key = {"ACS_CONNECTION_STRING": " Endpoint=https://n.communication.azure.com/ ; AccessKey=a2V5IQ== ;"}
    given = load_settings(LEAST | key)
    assert given.acs_endpoint == "https://n.communication.azure.com"
    assert given.acs_key is not None
    assert given.acs_key.reveal() == "a2V5IQ=="
    assert given.acs_media_auth == "key"
    assert load_settings(LEAST | key | {"ACS_MEDIA_AUTH": "identity"}).acs_media_auth == "identity"


@pytest.mark.parametrize(
    ("given", "blob", "queue"),
    [
        (
            {"AzureWebJobsStorage__accountName": "app"},
            "https://app.blob.core.windows.net",
            "https://app.queue.core.windows.net",
        ),
        (
            {"AzureWebJobsStorage__blobServiceUri": "https://b", "AzureWebJobsStorage__queueServiceUri": "https://q"},
            "https://b",
            "https://q",
        ),
    ],
)
def test_the_apps_own_account_may_be_reached_by_identity(given: dict[str, str], blob: str, queue: str) -> None:
    account = load_settings(LEAST | {"AzureWebJobsStorage": ""} | given).app_storage
    assert (account.blob_url, account.queue_url, account.connection_string) == (blob, queue, None)


def test_half_an_identity_account_is_named() -> None:
    given = {"AzureWebJobsStorage": "", "AzureWebJobsStorage__blobServiceUri": "https://b"}
    assert "AzureWebJobsStorage" in faults(**given)[0]


def test_lists_and_switches_are_read() -> None:
    given = load_settings(
        LEAST
        | {
            "RECORDING_CONTAINERS_ALLOWED": " https://b.blob.core.windows.net/more/place , ,",
            "ALERT_HOURS_LEFT": "0.5, 12,0.5",
            "DELETE_AT_ACS": "True",
            "EVENT_TOPIC_ENDPOINT": "https://t.westeurope-1.eventgrid.azure.net/api/events",
            "RESCUE_MEMORY_MIB": "4",
        }
    )
    assert [str(place) for place in given.allowed.places] == [
        "https://acc.blob.core.windows.net/recordings",
        "https://b.blob.core.windows.net/more/place",
    ]
    assert given.alert_left == (timedelta(hours=12), timedelta(hours=0.5))
    assert given.delete_at_acs is True
    # A block is never larger than the memory for all of them.
    assert (given.block_bytes, given.blocks_in_flight) == (4 * 1024 * 1024, 4)


ONE, OTHER = "29228d3e-040e-4656-a70e-890ab4e173e5", "7d0c5cf1-1a2b-4c3d-8e4f-5a6b7c8d9e0f"


@pytest.mark.parametrize(
    ("given", "chosen"),
    [
        ({"AZURE_CLIENT_ID": ONE}, ONE),
        ({"AzureWebJobsStorage__clientId": OTHER}, OTHER),
        ({"AZURE_CLIENT_ID": ONE, "AzureWebJobsStorage__clientId": OTHER}, ONE),
        ({}, None),
    ],
)
def test_a_user_assigned_identity_is_named_once_for_host_and_app(given: dict[str, str], chosen: str | None) -> None:
    assert load_settings(LEAST | given).identity_client_id == chosen


@pytest.mark.parametrize("name", ["AZURE_CLIENT_ID", "AzureWebJobsStorage__clientId"])
def test_a_client_id_is_a_guid(name: str) -> None:
    assert faults(**{name: "contoso-identity"}) == [f"{name}: must be a client id: 8-4-4-4-12 hexadecimal digits"]


def test_a_block_that_memory_has_no_room_for_is_refused() -> None:
    assert "RESCUE_MEMORY_MIB: must be at least RESCUE_BLOCK_MIB" in faults(RESCUE_MEMORY_MIB="2", RESCUE_BLOCK_MIB="4")


def test_a_secret_does_not_print() -> None:
    given = load_settings(
        LEAST | {"ACS_CONNECTION_STRING": f"endpoint=https://n.communication.azure.com;accesskey={KEY}"}
    )
    for text in (repr(given), str(given), f"{given.acs_key}", f"{given.acs_key!r}"):
        assert KEY not in text
        assert "AccountKey" not in text
    assert Secret("x").reveal() == "x"


def test_the_example_file_has_every_setting_and_no_other() -> None:
    """What `func` and the worker themselves read stands there too."""
    example = json.loads((ROOT / "local.settings.json.example").read_text())["Values"]
    of_the_host = {"FUNCTIONS_WORKER_RUNTIME", "AzureWebJobsFeatureFlags", "PYTHON_THREADPOOL_THREAD_COUNT"}
    assert set(example) == set(NAMES) | of_the_host


def test_the_example_file_is_usable_and_tells_the_defaults() -> None:
    example = json.loads((ROOT / "local.settings.json.example").read_text())["Values"]
    given = load_settings(example)
    defaults = {field.name: field.default for field in fields(Settings)}
    reported = ("preflight", "window", "first_delay", "longest_delay", "time_budget", "block_bytes", "memory_bytes")
    more = ("delivery_window", "delete_at_acs", "alert_left", "silent_after", "fallback_container")
    for name in (*reported, *more, "ledger_container", "rejected_container"):
        assert getattr(given, name) == defaults[name], name


@pytest.mark.parametrize("name", NAMES)
def test_the_readme_explains_every_setting(name: str) -> None:
    assert f"`{name}" in (ROOT / "README.md").read_text()


def test_digests_of_exports_are_made_unless_they_are_switched_off() -> None:
    assert load_settings(LEAST).digest_exports
    assert not load_settings(LEAST | {"DIGEST_EXPORTS": "false"}).digest_exports
