"""The settings of an emulator."""

from __future__ import annotations

import base64
import random
from dataclasses import dataclass, field
from datetime import timedelta

from local.acs.event_form import DEFAULT_FORM, EventForm

# Published on purpose, like Azurite's: it opens nothing but emulators.
WELL_KNOWN_KEY = base64.b64encode(b"local acs emulator, well-known key, no secret at all").decode()

MEDIA_SUFFIXES = (".asm.skype.com", ".asyncgw.teams.microsoft.com", ".ams.gov.teams.microsoft.us")
REST_SUFFIX = ".communication.azure.com"

# Read in the SDK for Python 1.6.0 (`_api_versions.py`). Previews are taken by their form only.
API_VERSIONS = (
    "2023-03-06",
    "2023-10-15",
    "2024-04-15",
    "2024-09-15",
    "2025-05-15",
    "2025-06-15",
    "2026-03-12",
)


@dataclass(frozen=True)
class AcsConfig:
    """The settings of one emulator.

    `port` 0 takes a free one. `seed`: the same seed gives the same ids and media. `retention` and `event_delay` pass
    on the emulator's clock. `storage_connection_string`: how exports write into the customer's account; without it
    every export fails with `role-missing`. `chunk_limit`: the longest chunk. `event`: the form of the recording
    events. `call_started`: whether an event is published when a call begins, too.
    """

    host: str = "127.0.0.1"
    port: int = 0
    resource_host: str = "local.communication.azure.com"
    access_key: str = field(default=WELL_KNOWN_KEY, repr=False)
    seed: int = field(default_factory=lambda: random.SystemRandom().getrandbits(32))
    retention: timedelta = timedelta(hours=24)
    event_delay: timedelta = timedelta(0)
    chunk_limit: timedelta = timedelta(hours=4)
    storage_connection_string: str | None = field(default=None, repr=False)
    media_host: str = "us-storage.asm.skype.com"
    event: EventForm = DEFAULT_FORM
    call_started: bool = True

    def __post_init__(self) -> None:
        if not self.resource_host.endswith(REST_SUFFIX):
            raise ValueError(f"resource_host must end with {REST_SUFFIX}")
        if not self.media_host.endswith(MEDIA_SUFFIXES):
            raise ValueError(f"media_host must end with one of {MEDIA_SUFFIXES}")
        base64.b64decode(self.access_key, validate=True)

    @property
    def connection_string(self) -> str:
        """The connection string for the real SDKs; its host is virtual, reached through the emulator's origin."""
        return f"endpoint=https://{self.resource_host}/;accesskey={self.access_key}"
