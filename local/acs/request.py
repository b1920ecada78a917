"""The body of a start request: read and checked; every fault is reported at once."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, urlsplit

_LOCATORS = {
    "serverCallLocator": "serverCallId",
    "groupCallLocator": "groupCallId",
    "roomCallLocator": "roomId",
}
_FIELDS = {
    "callLocator",
    "callConnectionId",
    "recordingStateCallbackUri",
    "recordingContentType",
    "recordingChannelType",
    "recordingFormatType",
    "audioChannelParticipantOrdering",
    "channelAffinity",
    "pauseOnStart",
    "externalStorage",
}
_IDENTIFIER_FIELDS = {
    "kind",
    "rawId",
    "communicationUser",
    "phoneNumber",
    "microsoftTeamsUser",
    "microsoftTeamsApp",
    "teamsExtensionUser",
}
# What can be recorded: content, channel → formats (documented).
_FORMATS = {
    ("audio", "mixed"): ("mp3", "wav"),
    ("audio", "unmixed"): ("wav",),
    ("audiovideo", "mixed"): ("mp4",),
}
_CONTENTS = {"audio": "audio", "audiovideo": "audioVideo"}
_MAX_CHANNELS = 5
_LOOPBACK = {"127.0.0.1", "localhost", "::1"}


@dataclass(frozen=True)
class StartRequest:
    """A start request that holds together. `locator` is (field, value); content is `audio` or `audioVideo`."""

    locator: tuple[str, str]
    content: str
    channel: str
    format: str
    callback_url: str | None
    container_url: str | None
    pause_on_start: bool
    channels: int


class Faults(ValueError):
    """All that is wrong with a body, as (field, message) pairs."""

    def __init__(self, found: list[tuple[str, str]]) -> None:
        super().__init__("; ".join(f"{name}: {text}" for name, text in found))
        self.found = found


def read_start_request(body: Any) -> StartRequest:
    """The request in `body` (decoded JSON). Raises `Faults`, also for unknown fields."""
    if not isinstance(body, dict):
        raise Faults([("body", "must be a JSON object")])
    reader = _Reader()
    reader.known(body, _FIELDS, "")
    locator = reader.locator(body)
    content, channel, form = reader.kind(body)
    channels = reader.channels(body, unmixed=channel == "unmixed")
    pause = body.get("pauseOnStart")
    if pause is not None and not isinstance(pause, bool):
        reader.add("pauseOnStart", "must be true or false")
    callback = reader.url(body.get("recordingStateCallbackUri"), "recordingStateCallbackUri")
    container = reader.container(body.get("externalStorage"))
    if reader.found or locator is None:
        raise Faults(reader.found)
    return StartRequest(locator, content, channel, form, callback, container, bool(pause), channels)


class _Reader:
    """Reads parts of the body; gathers what is wrong in `found`."""

    def __init__(self) -> None:
        self.found: list[tuple[str, str]] = []

    def add(self, name: str, text: str) -> None:
        self.found.append((name, text))

    def known(self, value: dict[str, Any], fields: set[str], where: str) -> None:
        for name in sorted(set(value) - fields):
            self.add(f"{where}{name}", "unknown field")

    def locator(self, body: dict[str, Any]) -> tuple[str, str] | None:
        locator, connection = body.get("callLocator"), body.get("callConnectionId")
        if (locator is None) == (connection is None):
            self.add("callLocator", "give exactly one of callLocator and callConnectionId")
            return None
        if connection is not None:
            return self._id("callConnectionId", connection)
        if not isinstance(locator, dict):
            self.add("callLocator", "must be an object")
            return None
        name = _LOCATORS.get(str(locator.get("kind")))
        if name is None:
            self.add("callLocator.kind", f"must be one of {', '.join(_LOCATORS)}")
            return None
        self.known(locator, {"kind", name}, "callLocator.")
        return self._id(name, locator.get(name), where="callLocator.")

    def _id(self, name: str, value: Any, *, where: str = "") -> tuple[str, str] | None:
        if not isinstance(value, str) or not value:
            self.add(where + name, "must be a text that is not empty")
            return None
        if name == "groupCallId" and not re.fullmatch(r"[0-9A-Fa-f-]{36}", value):
            self.add(where + name, "must be a GUID")
            return None
        return name, value

    def kind(self, body: dict[str, Any]) -> tuple[str, str, str]:
        """Content, channel and format. What is left out follows from the rest; all left out: mixed mp4 video."""
        given = {
            name: self._word(body, f"recording{name}Type", words)
            for name, words in (
                ("Content", ("audio", "audiovideo")),
                ("Channel", ("mixed", "unmixed")),
                ("Format", ("mp3", "mp4", "wav")),
            )
        }
        channel = given["Channel"] or "mixed"
        audio = given["Format"] in {"mp3", "wav"} or channel == "unmixed"
        content = given["Content"] or ("audio" if audio else "audiovideo")
        formats = _FORMATS.get((content, channel), ())
        if not formats or (given["Format"] and given["Format"] not in formats):
            self.add("recordingFormatType", "this content, channel and format do not go together")
        form = given["Format"] or next(iter(formats), "mp4")
        return _CONTENTS.get(content, content), channel, form

    def _word(self, body: dict[str, Any], name: str, words: tuple[str, ...]) -> str | None:
        value = body.get(name)
        if value is None:
            return None
        if not isinstance(value, str) or value.lower() not in words:
            self.add(name, f"must be one of {', '.join(words)}")
            return None
        return value.lower()

    def channels(self, body: dict[str, Any], *, unmixed: bool) -> int:
        ordering = self._list(body, "audioChannelParticipantOrdering")
        affinity = self._list(body, "channelAffinity")
        for name, items in (("audioChannelParticipantOrdering", ordering), ("channelAffinity", affinity)):
            if items and not unmixed:
                self.add(name, "only goes with recordingChannelType unmixed")
            if len(items) > _MAX_CHANNELS:
                self.add(name, f"at most {_MAX_CHANNELS} channels")
        for at, item in enumerate(ordering):
            self._identifier(item, f"audioChannelParticipantOrdering[{at}]")
        for at, item in enumerate(affinity):
            self._affinity(item, f"channelAffinity[{at}]")
        return max(len(ordering), len(affinity), 2) if unmixed else 1

    def _list(self, body: dict[str, Any], name: str) -> list[Any]:
        value = body.get(name)
        if value is None:
            return []
        if not isinstance(value, list):
            self.add(name, "must be a list")
            return []
        return value

    def _identifier(self, value: Any, where: str) -> None:
        if not isinstance(value, dict) or not value:
            self.add(where, "must be a communication identifier")
            return
        self.known(value, _IDENTIFIER_FIELDS, f"{where}.")

    def _affinity(self, value: Any, where: str) -> None:
        if not isinstance(value, dict):
            self.add(where, "must be an object")
            return
        self.known(value, {"channel", "participant"}, f"{where}.")
        channel = value.get("channel")
        if channel is not None and (type(channel) is not int or not 0 <= channel < _MAX_CHANNELS):
            self.add(f"{where}.channel", f"must be a number from 0 to {_MAX_CHANNELS - 1}")
        self._identifier(value.get("participant"), f"{where}.participant")

    def url(self, value: Any, name: str) -> str | None:
        if value is None:
            return None
        parts = _split(value)
        # https, as the service demands; http only where a laptop's own services are meant.
        secure = parts is not None and (parts.scheme == "https" or parts.hostname in _LOOPBACK)
        if parts is None or not secure or not parts.hostname:
            self.add(name, "must be an absolute https URL (http only on the loopback)")
            return None
        return str(value)

    def container(self, storage: Any) -> str | None:
        if storage is None:
            return None
        if not isinstance(storage, dict):
            self.add("externalStorage", "must be an object")
            return None
        name = "externalStorage.recordingDestinationContainerUrl"
        self.known(storage, {"recordingStorageKind", "recordingDestinationContainerUrl"}, "externalStorage.")
        kind = storage.get("recordingStorageKind")
        if kind not in {"azureBlobStorage", "azureCommunicationServices"}:
            self.add("externalStorage.recordingStorageKind", "must be azureBlobStorage or azureCommunicationServices")
            return None
        place = storage.get("recordingDestinationContainerUrl")
        if kind == "azureCommunicationServices":
            return None
        if place is None:
            self.add(name, "is needed for azureBlobStorage")
        url = self.url(place, name)
        if url and (urlsplit(url).query or not urlsplit(url).path.strip("/")):
            self.add(name, "must name a container, without a query")
        return url


def _split(value: Any) -> SplitResult | None:
    """The parts of a URL; None: it is none."""
    try:
        return urlsplit(value) if isinstance(value, str) else None
    except ValueError:  # brackets without an address in them
        return None
