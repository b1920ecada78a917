"""The app's settings: a mapping in, a frozen value out, and every fault at once.

Each field below is one environment variable (an app setting in Azure, a value in local.settings.json), described in the
README's table; a test keeps those and `local.settings.json.example` equal to `NAMES`.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from shared.domain.locations import AllowList, ContainerUrl, allow_list
from shared.transfer.ranges import BlockSizes

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

MIB = 1024 * 1024
NAMES = (
    "AzureWebJobsStorage",
    "ACS_CONNECTION_STRING",
    "ACS_ENDPOINT",
    "ACS_MEDIA_AUTH",
    "RECORDING_CONTAINER_URL",
    "RECORDING_CONTAINERS_ALLOWED",
    "RECORDING_STORAGE_CONNECTION_STRING",
    "PREFLIGHT",
    "FALLBACK_CONTAINER",
    "LEDGER_CONTAINER",
    "REJECTED_EVENTS_CONTAINER",
    "RESCUE_WINDOW_HOURS",
    "RESCUE_FIRST_DELAY_SECONDS",
    "RESCUE_LONGEST_DELAY_SECONDS",
    "RESCUE_TIME_BUDGET_SECONDS",
    "RESCUE_BLOCK_MIB",
    "RESCUE_MEMORY_MIB",
    "DELIVERY_DAYS",
    "DELETE_AT_ACS",
    "DIGEST_EXPORTS",
    "AUDIT_DAYS",
    "ALERT_HOURS_LEFT",
    "SILENT_AFTER_HOURS",
    "EVENT_TOPIC_ENDPOINT",
    "EVENT_TOPIC_KEY",
    "APPLICATIONINSIGHTS_CONNECTION_STRING",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "LOCAL_ACS_ORIGIN",
    "AZURE_CLIENT_ID",
)
_GUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_CONTAINER = re.compile(r"(?!.*--)[a-z0-9][a-z0-9-]{1,61}[a-z0-9]")


class SettingsError(Exception):
    """Settings that cannot be used; `faults` has one line for each, naming the setting."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("the app's settings are not usable:\n  " + "\n  ".join(faults))
        self.faults = faults


class Secret:
    """A value that does not print."""

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The value itself, for the SDK's constructor only."""
        return self._value

    def __repr__(self) -> str:
        return "Secret(…)"


@dataclass(frozen=True)
class StorageAccount:
    """How to reach a storage account: by connection string, or by service URLs and an identity."""

    connection_string: Secret | None = None
    blob_url: str | None = None
    queue_url: str | None = None

    def blob_endpoint(self) -> str | None:
        """The account's blob endpoint, as a container URL begins; None where that cannot be read."""
        if self.blob_url:
            return self.blob_url.rstrip("/").lower()
        text = self.connection_string.reveal() if self.connection_string else ""
        parts = {name.strip().lower(): value.strip() for name, _, value in (p.partition("=") for p in text.split(";"))}
        if parts.get("blobendpoint"):
            return parts["blobendpoint"].rstrip("/").lower()
        suffix = parts.get("endpointsuffix") or "core.windows.net"
        return f"https://{parts['accountname'].lower()}.blob.{suffix}" if parts.get("accountname") else None


@dataclass(frozen=True)
class Settings:
    """All settings, checked. Sizes in bytes."""

    app_storage: StorageAccount
    acs_endpoint: str
    acs_key: Secret | None
    acs_media_auth: str
    default_container: ContainerUrl
    allowed: AllowList
    recording_storage: Secret | None
    preflight: str = "warn"
    fallback_container: str = "recording-fallback"
    ledger_container: str = "recording-ledger"
    rejected_container: str = "rejected-events"
    window: timedelta = timedelta(hours=24)
    first_delay: timedelta = timedelta(seconds=5)
    longest_delay: timedelta = timedelta(minutes=3)
    time_budget: timedelta = timedelta(seconds=240)
    block_bytes: int = 8 * MIB
    memory_bytes: int = 40 * MIB
    delivery_window: timedelta = timedelta(days=7)
    delete_at_acs: bool = False
    digest_exports: bool = True
    audited: timedelta | None = None
    alert_left: tuple[timedelta, ...] = (timedelta(hours=6), timedelta(hours=1))
    silent_after: timedelta = timedelta(hours=4)
    event_topic: str | None = None
    event_topic_key: Secret | None = None
    insights: Secret | None = None
    has_otlp: bool = False
    local_acs_origin: str | None = None
    identity_client_id: str | None = None

    @property
    def needs_storage_identity(self) -> bool:
        """Whether a container on the allow-list is in an account that no key is set for."""
        keyed = _blob_endpoint(self.recording_storage.reveal()) if self.recording_storage else None
        return any(place.account_url != keyed for place in self.allowed.places)

    @property
    def block_sizes(self) -> BlockSizes:
        """How large blocks are: `block_bytes` at the most."""
        return BlockSizes.up_to(self.block_bytes)

    @property
    def blocks_in_flight(self) -> int:
        """How many blocks, of the least size, may be in memory at once in the whole process."""
        return max(1, self.memory_bytes // self.block_sizes.least)


def _blob_endpoint(connection_string: str) -> str | None:
    """The account URL that a connection string is for."""
    parts = dict(part.partition("=")[::2] for part in connection_string.split(";") if part)
    parts = {name.strip().lower(): value.strip() for name, value in parts.items()}
    if endpoint := parts.get("blobendpoint"):
        return endpoint.rstrip("/")
    suffix = parts.get("endpointsuffix") or "core.windows.net"
    scheme = parts.get("defaultendpointsprotocol") or "https"
    return f"{scheme}://{parts['accountname']}.blob.{suffix}" if parts.get("accountname") else None


def load_settings(environment: Mapping[str, str]) -> Settings:
    """Reads the settings. Raises SettingsError naming every fault."""
    return _Reader(environment).read()


class _Reader:
    def __init__(self, environment: Mapping[str, str]) -> None:
        self.environment = environment
        self.faults: list[str] = []

    def get(self, name: str) -> str | None:
        return (self.environment.get(name) or "").strip() or None

    def fault(self, name: str, message: str) -> None:
        self.faults.append(f"{name}: {message}")

    def read(self) -> Settings:
        endpoint, key = self.acs()
        default = self.container("RECORDING_CONTAINER_URL", self.get("RECORDING_CONTAINER_URL"))
        more = [part.strip() for part in (self.get("RECORDING_CONTAINERS_ALLOWED") or "").split(",")]
        places = [self.container("RECORDING_CONTAINERS_ALLOWED", part) for part in more if part]
        window = self.duration("RESCUE_WINDOW_HOURS", 24, unit=timedelta(hours=1), least=0.01, most=24)
        # By default below the five minutes a Consumption plan gives. The last block may take minutes beyond it, and the
        # `functionTimeout` of host.json ends everything after thirty (ADR 11).
        budget = self.duration("RESCUE_TIME_BUDGET_SECONDS", 240, least=5, most=300)
        memory = self.whole("RESCUE_MEMORY_MIB", 40, least=1, most=4096)
        block = self.whole("RESCUE_BLOCK_MIB", min(8, memory), least=1, most=100)
        if memory < block:
            self.fault("RESCUE_MEMORY_MIB", "must be at least RESCUE_BLOCK_MIB")
        settings: dict[str, Any] = {
            "app_storage": self.app_storage(),
            "acs_endpoint": endpoint,
            "acs_key": key,
            "acs_media_auth": self.media_auth(key),
            "allowed": allow_list([place for place in (default, *places) if place]),
            "recording_storage": self.secret("RECORDING_STORAGE_CONNECTION_STRING"),
            "preflight": self.choice("PREFLIGHT", ("warn", "enforce", "off")),
            "fallback_container": self.name("FALLBACK_CONTAINER", "recording-fallback"),
            "ledger_container": self.name("LEDGER_CONTAINER", "recording-ledger"),
            "rejected_container": self.name("REJECTED_EVENTS_CONTAINER", "rejected-events"),
            "window": window,
            "first_delay": self.duration("RESCUE_FIRST_DELAY_SECONDS", 5, least=0.1, most=300),
            "longest_delay": self.duration("RESCUE_LONGEST_DELAY_SECONDS", 180, least=1, most=300),
            "time_budget": budget,
            "block_bytes": block * MIB,
            "memory_bytes": memory * MIB,
            "delivery_window": self.duration("DELIVERY_DAYS", 7, unit=timedelta(days=1), least=0.01, most=365),
            "delete_at_acs": self.choice("DELETE_AT_ACS", ("false", "true")) == "true",
            "digest_exports": self.choice("DIGEST_EXPORTS", ("true", "false")) == "true",
            "audited": self.duration("AUDIT_DAYS", 0, unit=timedelta(days=1), least=0, most=3650) or None,
            "alert_left": self.hours_list("ALERT_HOURS_LEFT", "6,1"),
            "silent_after": self.duration("SILENT_AFTER_HOURS", 4, unit=timedelta(hours=1), least=0.01, most=24),
            "event_topic": self.event_topic(),
            "event_topic_key": self.secret("EVENT_TOPIC_KEY"),
            # The host reads both, too; what is wrong with them costs telemetry, and no recording.
            "insights": self.secret("APPLICATIONINSIGHTS_CONNECTION_STRING"),
            "has_otlp": self.get("OTEL_EXPORTER_OTLP_ENDPOINT") is not None,
            "local_acs_origin": self.local_origin(),
            # The second is what the host itself reads; one identity serves both.
            "identity_client_id": self.guid("AZURE_CLIENT_ID") or self.guid("AzureWebJobsStorage__clientId"),
        }
        self.one_container_each(settings)
        if self.faults or default is None:
            raise SettingsError(self.faults)
        return Settings(default_container=default, **settings)

    def one_container_each(self, settings: dict[str, Any]) -> None:
        """One container given for two purposes would mix what is cleaned up with what is kept."""
        names = {
            "FALLBACK_CONTAINER": settings["fallback_container"],
            "LEDGER_CONTAINER": settings["ledger_container"],
            "REJECTED_EVENTS_CONTAINER": settings["rejected_container"],
        }
        app = settings["app_storage"].blob_endpoint()
        seen: dict[str, str] = {}
        for name, container in names.items():
            if container in seen:
                self.fault(name, f"is the container of {seen[container]}, too; each needs one of its own")
            seen.setdefault(container, name)
        for place in settings["allowed"].places:
            if app is not None and place.account_url == app and place.container in seen:
                self.fault(seen[place.container], f"is a recording container, too ({place}); it needs one of its own")

    def secret(self, name: str) -> Secret | None:
        value = self.get(name)
        return Secret(value) if value else None

    def app_storage(self) -> StorageAccount:
        """AzureWebJobsStorage in either form: a connection string, or identity settings with `__`."""
        text = self.get("AzureWebJobsStorage")
        if text:
            if text == "UseDevelopmentStorage=true":
                self.fault("AzureWebJobsStorage", "name the emulator's ports in a full connection string")
            elif "AccountName=" not in text or "AccountKey=" not in text:
                self.fault("AzureWebJobsStorage", "must hold AccountName and AccountKey")
            return StorageAccount(connection_string=Secret(text))
        account = self.get("AzureWebJobsStorage__accountName")
        blob = self.get("AzureWebJobsStorage__blobServiceUri")
        queue = self.get("AzureWebJobsStorage__queueServiceUri")
        if account:
            blob = blob or f"https://{account}.blob.core.windows.net"
            queue = queue or f"https://{account}.queue.core.windows.net"
        if not blob or not queue:
            self.fault(
                "AzureWebJobsStorage",
                "must be set: a connection string, or AzureWebJobsStorage__accountName"
                " (or __blobServiceUri and __queueServiceUri) for a managed identity",
            )
        return StorageAccount(blob_url=blob, queue_url=queue)

    def acs(self) -> tuple[str, Secret | None]:
        text, endpoint = self.get("ACS_CONNECTION_STRING"), self.get("ACS_ENDPOINT")
        key = None
        if text:
            parts = dict(part.partition("=")[::2] for part in text.split(";") if part)
            parts = {name.strip().lower(): value.strip() for name, value in parts.items()}
            if not parts.get("endpoint") or not parts.get("accesskey"):
                self.fault("ACS_CONNECTION_STRING", "must read endpoint=https://…;accesskey=…")
            else:
                endpoint, key = parts["endpoint"], Secret(parts["accesskey"])
        elif not endpoint:
            self.fault("ACS_ENDPOINT", "must be set (managed identity), or else ACS_CONNECTION_STRING (key)")
        if endpoint and not _is_origin(endpoint.rstrip("/"), scheme="https"):
            self.fault(
                "ACS_CONNECTION_STRING" if key else "ACS_ENDPOINT", "must be https://NAME.communication.azure.com"
            )
        return (endpoint or "").rstrip("/"), key

    def media_auth(self, key: Secret | None) -> str:
        chosen = self.choice("ACS_MEDIA_AUTH", ("auto", "key", "identity"))
        if chosen == "key" and key is None:
            self.fault("ACS_MEDIA_AUTH", "is key, but there is none: set ACS_CONNECTION_STRING")
        return chosen if chosen != "auto" else ("key" if key else "identity")

    def container(self, name: str, url: str | None) -> ContainerUrl | None:
        if url is None:
            self.fault(name, "must be set: https://ACCOUNT.blob.core.windows.net/CONTAINER")
            return None
        try:
            return ContainerUrl.parse(url)
        except ValueError as error:
            self.fault(name, str(error))
            return None

    def choice(self, name: str, known: tuple[str, ...]) -> str:
        value = (self.get(name) or known[0]).lower()
        if value not in known:
            self.fault(name, f"must be one of {', '.join(known)}")
        return value

    def name(self, setting: str, default: str) -> str:
        value = self.get(setting) or default
        if not _CONTAINER.fullmatch(value):
            self.fault(setting, "must be a container name: 3 to 63 lower-case letters, digits, single hyphens")
        return value

    def guid(self, name: str) -> str | None:
        value = self.get(name)
        if value and not _GUID.fullmatch(value):
            self.fault(name, "must be a client id: 8-4-4-4-12 hexadecimal digits")
        return value

    def number(self, name: str, default: float, *, least: float, most: float, read: Callable[[str], float]) -> float:
        text = self.get(name)
        if text is None:
            return default
        try:
            value = read(text)
        except ValueError:
            value = math.nan
        if not least <= value <= most:
            self.fault(name, f"must be a number from {least:g} to {most:g}")
            return default
        return value

    def whole(self, name: str, default: int, *, least: int, most: int) -> int:
        return int(self.number(name, default, least=least, most=most, read=int))

    def duration(
        self, name: str, default: float, *, least: float, most: float, unit: timedelta = timedelta(seconds=1)
    ) -> timedelta:
        return unit * self.number(name, default, least=least, most=most, read=float)

    def hours_list(self, name: str, default: str) -> tuple[timedelta, ...]:
        found = set()
        for part in (self.get(name) or default).split(","):
            try:
                hours = float(part)
            except ValueError:
                hours = math.nan
            if not 0 < hours < 24:
                self.fault(name, "must be hours between 0 and 24, separated by commas")
                return ()
            found.add(timedelta(hours=hours))
        return tuple(sorted(found, reverse=True))

    def event_topic(self) -> str | None:
        url = self.get("EVENT_TOPIC_ENDPOINT")
        origin = (url or "").partition("/api/")[0]
        # A laptop's Event Grid has no certificate; LOCAL_ACS_ORIGIN is refused in Azure.
        is_local = self.get("LOCAL_ACS_ORIGIN") is not None and _is_loopback(origin)
        if url and not is_local and not _is_origin(origin, scheme="https"):
            self.fault("EVENT_TOPIC_ENDPOINT", "must be the https endpoint of an Event Grid topic")
        return url

    def local_origin(self) -> str | None:
        """The emulator's origin. Refused in Azure and for any address but loopback: it carries signed requests."""
        url = self.get("LOCAL_ACS_ORIGIN")
        if url is None:
            return None
        url = url.rstrip("/")
        if not _is_loopback(url):
            self.fault("LOCAL_ACS_ORIGIN", "must be http://127.0.0.1:PORT (the ACS emulator)")
        if self.get("WEBSITE_INSTANCE_ID") or self.get("WEBSITE_SITE_NAME"):
            self.fault("LOCAL_ACS_ORIGIN", "is for a laptop only and must not be set in Azure")
        return url


def _is_loopback(url: str) -> bool:
    return _is_origin(url, scheme="http") and urlsplit(url).hostname in ("127.0.0.1", "localhost")


def _is_origin(url: str, *, scheme: str) -> bool:
    """Whether `url` is scheme, host and perhaps a port, and nothing else."""
    try:
        parts = urlsplit(url)
        is_plain = bool(parts.hostname) and parts.port != 0 and "@" not in parts.netloc
    except ValueError:
        return False
    return parts.scheme == scheme and is_plain and url.partition("://")[2] == parts.netloc
