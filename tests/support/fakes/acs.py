"""ACS in memory: recordings by call, and media files by location."""

from __future__ import annotations

import base64
import json
import uuid
from collections import deque
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from shared.domain.errors import (
    ActionNotAllowed,
    CallNotFound,
    MediaLocationRefused,
    MediaNotFound,
    MediaTooLarge,
    MediaWrongRange,
    RecordingInProgress,
    RecordingNotFound,
)
from shared.domain.locations import is_media_location
from shared.ports import MediaResponse, StartedRecording
from shared.transfer import ranges

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from shared.domain.locations import ContainerUrl
    from shared.ports import StartRequest


class FakeAcs:
    """Port `Acs`. `calls`: ids (of any locator) that can be recorded; `states`: recording id to its state."""

    def __init__(self) -> None:
        self.calls: set[str] = set()
        self.states: dict[str, str] = {}
        self.paused: set[str] = set()
        self.containers: dict[str, ContainerUrl] = {}
        self.connections: dict[str, str] = {}
        self._by_call: dict[str, str] = {}
        self._by_repeatability: dict[str, StartedRecording] = {}

    def start_recording(
        self, request: StartRequest, *, container: ContainerUrl, repeatability_id: str
    ) -> StartedRecording:
        if repeatability_id in self._by_repeatability:
            return self._by_repeatability[repeatability_id]
        if request.locator_id not in self.calls:
            raise CallNotFound(status=404, service_code="8522")
        running = self._by_call.get(request.locator_id)
        if running and self.states[running] == "active":
            raise RecordingInProgress(status=400, service_code="8553")
        recording_id = recording_id_of(len(self.states) + 1)
        self.states[recording_id] = "active"
        self.containers[recording_id] = container
        self._by_call[request.locator_id] = recording_id
        started = StartedRecording(recording_id, "active", "AzureCommunicationServices")
        self._by_repeatability[repeatability_id] = started
        return started

    def recording_of(self, locator_id: str) -> str | None:
        """The id of the newest recording of that call."""
        return self._by_call.get(locator_id)

    def recording_state(self, recording_id: str) -> str:
        if recording_id not in self.states:
            raise RecordingNotFound(status=404)
        return self.states[recording_id]

    def stop_recording(self, recording_id: str) -> None:
        self._running(recording_id)
        self.states[recording_id] = "inactive"
        self.paused.discard(recording_id)

    def pause_recording(self, recording_id: str) -> None:
        self._running(recording_id)
        if recording_id in self.paused:
            raise ActionNotAllowed(status=400, service_code="8573")
        self.states[recording_id] = "inactive"
        self.paused.add(recording_id)

    def resume_recording(self, recording_id: str) -> None:
        self._running(recording_id)
        if recording_id not in self.paused:
            raise ActionNotAllowed(status=400, service_code="8573")
        self.states[recording_id] = "active"
        self.paused.discard(recording_id)

    def _running(self, recording_id: str) -> None:
        if self.states.get(recording_id) != "active" and recording_id not in self.paused:
            raise RecordingNotFound(status=404, service_code="8522")

    def server_call_id(self, call_connection_id: str) -> str | None:
        return self.connections.get(call_connection_id)


def recording_id_of(number: int) -> str:
    """An id of the service's form: base64 of two guids as JSON."""
    ids = {"PlatformEndpointId": str(uuid.UUID(int=1)), "ResourceSpecificId": str(uuid.UUID(int=number))}
    return base64.b64encode(json.dumps(ids, separators=(",", ":")).encode()).decode()


@dataclass
class MediaFile:
    """What ACS keeps at a location."""

    data: bytes
    content_type: str = "audio/mpeg"
    etag: str | None = '"1"'


@dataclass
class FakeMedia:
    """Port `Media`. `files` by location; `lies`: for the next requests of a location, one each, in order."""

    files: dict[str, MediaFile] = field(default_factory=dict)
    lies: dict[str, deque[Callable[[MediaFile, int, int], MediaResponse]]] = field(default_factory=dict)
    asked: list[tuple[str, int, int]] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)

    def lie(self, location: str, *answers: Callable[[MediaFile, int, int], MediaResponse]) -> None:
        """The next requests for `location` get these answers."""
        self.lies.setdefault(location, deque()).extend(answers)

    def _file(self, location: str) -> MediaFile:
        if not is_media_location(location):
            raise MediaLocationRefused
        if location not in self.files:
            raise MediaNotFound("404")
        return self.files[location]

    @contextmanager
    def open(self, location: str, *, start: int, length: int) -> Iterator[MediaResponse]:
        file = self._file(location)
        self.asked.append((location, start, length))
        lies = self.lies.get(location)
        yield (lies.popleft() if lies else honest)(file, start, length)

    def total(self, location: str) -> int | None:
        one = ranges.Span(0, 1)
        with self.open(location, start=one.start, length=one.length) as response:
            return ranges.accept(response, one, total=None, etag=None).total

    def read_all(self, location: str, *, limit: int) -> bytes:
        data = self._file(location).data
        if len(data) > limit:
            raise MediaTooLarge(f"more than {limit} bytes")
        return data

    def delete(self, location: str) -> None:
        if not is_media_location(location):
            raise MediaLocationRefused
        self.deleted.append(location)
        for name in [name for name in self.files if name.startswith(f"{location}/")]:
            del self.files[name]


def honest(file: MediaFile, start: int, length: int) -> MediaResponse:
    """The range that was asked for; a file without bytes has none."""
    if start >= len(file.data):
        raise MediaWrongRange("416")
    data = file.data[start : start + length]
    content_range = f"bytes {start}-{start + len(data) - 1}/{len(file.data)}"
    return MediaResponse(206, file.content_type, len(data), content_range, file.etag, iter((data,)))
