"""ACS's recording API and its media host."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from shared.domain.locations import ContainerUrl


@dataclass(frozen=True)
class ChannelAffinity:
    """Which participant (raw id) speaks on which channel (0 to 4) of an unmixed recording."""

    participant: str
    channel: int


@dataclass(frozen=True)
class StartRequest:
    """A start that can be carried out. `locator` is serverCallId, groupCallId, roomId or callConnectionId.

    Enumerations in ACS's spelling.
    """

    locator: str
    locator_id: str
    container: ContainerUrl
    content: str
    channel: str
    format: str
    pause_on_start: bool | None = None
    callback_url: str | None = None
    ordering: tuple[str, ...] = ()
    affinity: tuple[ChannelAffinity, ...] = field(default=())


@dataclass(frozen=True)
class StartedRecording:
    """What ACS answered to a start. `state`: active or inactive; `kind`: who records."""

    recording_id: str
    state: str
    kind: str | None


class Acs(Protocol):
    """The recording REST API. Errors: AcsError and below."""

    def start_recording(
        self, request: StartRequest, *, container: ContainerUrl, repeatability_id: str
    ) -> StartedRecording:
        """Starts it; a second call with the same id gives the same recording. Errors as in `errors`."""
        ...

    def recording_state(self, recording_id: str) -> str:
        """`active` or `inactive`; RecordingNotFound."""
        ...

    def stop_recording(self, recording_id: str) -> None:
        """Ends it. RecordingNotFound where it has ended, or never was."""
        ...

    def pause_recording(self, recording_id: str) -> None:
        """Pauses it. RecordingNotFound; ActionNotAllowed where it is paused."""
        ...

    def resume_recording(self, recording_id: str) -> None:
        """Goes on. RecordingNotFound; ActionNotAllowed where it is not paused."""
        ...

    def server_call_id(self, call_connection_id: str) -> str | None:
        """The server call id of a call connection, while the call lasts; None where ACS does not say."""
        ...


@dataclass(frozen=True)
class MediaResponse:
    """The head of an answer. `status` 200 or 206; `content_range` as sent; `pieces` yields bytes until the end.

    `pieces` raises MediaUnavailable when the connection breaks off, MediaTruncated when fewer bytes came than were
    announced. `is_delimited`: the body says where it ends (Content-Length, or chunks and a last one), so that a
    connection that breaks off is noticed.
    """

    status: int
    content_type: str
    content_length: int | None
    content_range: str | None
    etag: str | None
    pieces: Iterator[bytes]
    is_delimited: bool = True


class Media(Protocol):
    """The ACS media host. Errors: MediaError and below. Redirects lead to media hosts only (MediaRedirected)."""

    def open(self, location: str, *, start: int, length: int) -> AbstractContextManager[MediaResponse]:
        """Asks for `length` bytes from `start`; what comes back is checked by `ranges`, not here."""
        ...

    def total(self, location: str) -> int | None:
        """How many bytes ACS has there, by a request for one byte; None where its answer does not say."""
        ...

    def read_all(self, location: str, *, limit: int) -> bytes:
        """A small file (metadata) whole; MediaTooLarge above `limit` bytes."""
        ...

    def delete(self, location: str) -> None:
        """Deletes at ACS; one that is gone already is no error."""
        ...
