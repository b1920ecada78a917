"""Blob names made of ids that come from events: in their place, unique, and the same at any server."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import pytest
from azure.storage.blob import BlobServiceClient
from hypothesis import HealthCheck, given
from hypothesis import settings as often
from hypothesis import strategies as st

from shared.adapters.blob import BlobContainers, blob_service
from shared.domain import naming
from shared.domain.locations import ContainerUrl
from shared.intake.event import identity
from shared.settings import load_settings
from tests.security.hostile import assert_plain
from tests.support.fakes import NOON

if TYPE_CHECKING:
    from collections.abc import Iterator

    from local.azurite import Azurite
    from shared.ports import Container

PLACE = "team-a/calls"
HOSTILE_IDS = {
    "way up": "../../../payroll/x",
    "only the way up": "..",
    "a dot": ".",
    "dots at the end": "call...",
    "dots within": "a..b",
    "slashes": "/a//b/",
    "backslashes": "..\\..\\x",
    "NUL": "a\0b",
    "2000 characters": "x" * 2000,
    "2000 others": "x" * 1999 + "y",
    "10000 characters": "x" * 10_000,
    "10000 others": "x" * 9_999 + "y",
    "line breaks": "a\r\nX-Evil: 1",
    "escape sequences": "\x1b[2J\x9b",
    "right to left": "\u202egnp.exe",
    "lone surrogate": "\ud800",
    "another surrogate": "\udfff",
    "composed": "caf\u00e9",
    "decomposed": "cafe\u0301",
    "emoji": "\U0001f4de" * 300,
    "percent": "%2e%2e%2fx",
    "query": "a?sig=b#c",
    "reserved": "CON",
    "blank": "   x   ",
    "other case": "con",
    "rewritten one": naming.segment("../../../payroll/x"),
    "glob": '*|<>:"',
}
_often = often(
    max_examples=300, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)
IDS = st.text(st.characters(), min_size=1, max_size=60) | st.sampled_from(sorted(HOSTILE_IDS.values()))


def _names(raw: str, *, index: int = 0) -> list[str]:
    """All names that an event's id gets into, as document id, call id and recording id, below `PLACE`."""
    document = identity(raw) or f"chunk-{index}"
    key = naming.recording_key(raw)
    folder = naming.recording_folder(prefix=PLACE, start=NOON, call_id=raw, recording_id=raw, key=key)
    media = naming.media_file(index=index, form="mp3", document_id=document)
    names = [f"{folder}/{media}", f"{folder}/{naming.metadata_file(index=index, document_id=document)}"]
    return [*names, *(f"{key}/{name}" for name in names)]


@_often
@given(IDS, st.integers(0, 1_000_000))
def test_a_name_stays_in_its_place_whatever_the_id(raw: str, index: int) -> None:
    for name in _names(raw, index=index):
        assert_plain(name)
        assert f"{PLACE}/20261122/" in name
    for prefix in naming.call_prefixes(prefix=PLACE, call_id=raw, start=NOON):
        assert_plain(prefix.rstrip("/"))
        assert prefix.startswith(PLACE + "/")


@_often
@given(IDS, IDS)
def test_two_ids_give_two_names(one: str, other: str) -> None:
    if identity(one) and identity(other) and one != other:
        assert not set(_names(one)) & set(_names(other))


def test_the_hostile_ids_give_as_many_names() -> None:
    segments = {naming.segment(identity(raw) or "") for raw in HOSTILE_IDS.values()}
    assert len(segments) == len(HOSTILE_IDS)


def test_an_id_of_acs_stays_as_it_is() -> None:
    document = "0-eus-d12-801b3f3fc462fe8a01e6810cbff729b8"
    assert naming.segment(identity(document) or "") == document


@pytest.fixture
def service(azurite: Azurite) -> Iterator[BlobServiceClient]:
    with BlobServiceClient.from_connection_string(azurite.connection_string) as made:
        yield made


def by_the_adapter(azurite: Azurite, place: str) -> Container:
    """A place in Azurite, as the app sees it."""
    given = load_settings(
        {
            "AzureWebJobsStorage": azurite.connection_string,
            "ACS_CONNECTION_STRING": "endpoint=https://x.communication.azure.com/;accesskey=a2V5",
            "RECORDING_CONTAINER_URL": place,
            "RECORDING_STORAGE_CONNECTION_STRING": azurite.connection_string,
        }
    )
    own = blob_service(given, account_url=None, connection_string=azurite.connection_string, credential=None)
    return BlobContainers(given, app_service=own, credential=None).destination(ContainerUrl.parse(place))


def test_azurite_keeps_every_hostile_name_as_it_was_given_and_apart(
    azurite: Azurite, service: BlobServiceClient
) -> None:
    """Within the place; what stands beside it has nothing new."""
    recordings, payroll = (service.create_container(f"{name}-{uuid.uuid4().hex}") for name in ("calls", "payroll"))
    container = by_the_adapter(azurite, f"{azurite.blob_url}/{recordings.container_name}/{PLACE}")
    kept = {}
    for raw in HOSTILE_IDS.values():
        name = _names(raw)[0]
        block = "0".ljust(33, "0")
        container.stage(name, block, raw.encode("utf-8", "surrogatepass"))
        container.commit(name, container.staged(name), sha256=None, content_type="audio/mpeg")
        kept[name] = raw.encode("utf-8", "surrogatepass")
    assert {facts.name for facts in container.find(PLACE)} == set(kept)
    assert all(container.read(name) == data for name, data in kept.items())
    assert all(name.startswith(f"{PLACE}/20261122/") for name in recordings.list_blob_names())
    assert not list(payroll.list_blob_names())
