"""ACS by its real SDK: the recording REST API, and the media host.

Quirks of azure-communication-callautomation 1.6.0 that live here and nowhere else:
`download_recording` returns an HttpResponse whatever it is annotated with; it sends no Range for offset 0, so the
header is given; it follows redirects without looking where to, so they are switched off and followed here, on the
allow-list; it asks for compressed bodies and hands them over compressed, so none is asked for, nor taken; a new
Repeatability-Request-ID for each call, so ours is given.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin

from azure.communication.callautomation import (
    AzureBlobContainerRecordingStorage,
    CallAutomationClient,
    ChannelAffinity,
    CommunicationUserIdentifier,
    MicrosoftTeamsUserIdentifier,
    PhoneNumberIdentifier,
    UnknownIdentifier,
)
from azure.core.credentials import AzureKeyCredential
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError

from shared.adapters.translate import acs_errors, media_errors
from shared.adapters.transport import LocalOriginTransport, Transport, pooled_transport
from shared.domain.errors import (
    CallNotFound,
    MediaDistrusted,
    MediaError,
    MediaLocationRefused,
    MediaRedirected,
    MediaTooLarge,
    RecordingNotFound,
)
from shared.domain.locations import is_media_location
from shared.ports import MediaResponse, StartedRecording
from shared.transfer import ranges

if TYPE_CHECKING:
    from collections.abc import Iterator

    from azure.core.credentials import TokenCredential
    from azure.core.pipeline.transport import HttpTransport

    from shared.domain.locations import ContainerUrl
    from shared.ports import StartRequest
    from shared.settings import Settings

_MOST_REDIRECTS = 3
_QUICK: dict[str, Any] = {"connection_timeout": 10, "read_timeout": 20}
_SMALL_FILE: dict[str, Any] = {"read_timeout": 20}
_LENGTH = re.compile(r"[0-9]{1,18}")
_LOCATOR_ARGUMENTS = {
    "serverCallId": "server_call_id",
    "groupCallId": "group_call_id",
    "roomId": "room_id",
    "callConnectionId": "call_connection_id",
}


def _transport(settings: Settings, *, read_bytes: int) -> Transport:
    connections = settings.blocks_in_flight + 4
    if settings.local_acs_origin:
        return LocalOriginTransport(
            settings.local_acs_origin,
            acs_endpoint=settings.acs_endpoint,
            connections=connections,
            read_bytes=read_bytes,
            keep_bytes=settings.memory_bytes,
        )
    return pooled_transport(connections, read_bytes=read_bytes, keep_bytes=settings.memory_bytes)


def acs_client(
    settings: Settings,
    credential: TokenCredential | None,
    *,
    for_media: bool,
    transport: HttpTransport[Any, Any] | None = None,
) -> CallAutomationClient:
    """The SDK's client; `credential` where no key is used. Nothing is retried inside: it would sleep for as long as a
    Retry-After says, in the middle of an HTTP call or a rescue. Retries are the use cases' (`start.py`, `backoff.py`).
    """
    uses_key = settings.acs_key is not None and (not for_media or settings.acs_media_auth == "key")
    if uses_key and settings.acs_key is not None:
        chosen: Any = AzureKeyCredential(settings.acs_key.reveal())
    else:
        chosen = credential
    return CallAutomationClient(
        settings.acs_endpoint,
        chosen,
        transport=transport or _transport(settings, read_bytes=settings.block_bytes if for_media else 65_536),
        retry_total=0,
        permit_redirects=False,
    )


class AcsRecordings:
    """Port `Acs` on the SDK."""

    def __init__(self, client: CallAutomationClient) -> None:
        self._client = client

    def start_recording(
        self, request: StartRequest, *, container: ContainerUrl, repeatability_id: str
    ) -> StartedRecording:
        """See the port."""
        arguments: dict[str, Any] = {_LOCATOR_ARGUMENTS[request.locator]: request.locator_id}
        if request.ordering:
            arguments["audio_channel_participant_ordering"] = [_identifier(p) for p in request.ordering]
        if request.affinity:
            arguments["channel_affinity"] = [
                ChannelAffinity(_identifier(item.participant), item.channel) for item in request.affinity
            ]
        if request.pause_on_start is not None:
            arguments["pause_on_start"] = request.pause_on_start
        if request.callback_url:
            arguments["recording_state_callback_url"] = request.callback_url
        with acs_errors():
            answer = self._client.start_recording(
                recording_content_type=request.content,
                recording_channel_type=request.channel,
                recording_format_type=request.format,
                recording_storage=AzureBlobContainerRecordingStorage(str(container)),
                headers={"Repeatability-Request-ID": repeatability_id},
                connection_timeout=10,
                read_timeout=30,
                **arguments,
            )
            if not answer.recording_id:
                raise ValueError("ACS answered a start without a recordingId")
        return StartedRecording(
            answer.recording_id, _word(answer.recording_state) or "active", _word(answer.recording_kind)
        )

    def recording_state(self, recording_id: str) -> str:
        """See the port."""
        with _recording_errors():
            answer = self._client.get_recording_properties(recording_id, **_QUICK)
        return _word(answer.recording_state) or "inactive"

    def stop_recording(self, recording_id: str) -> None:
        """See the port."""
        with _recording_errors():
            self._client.stop_recording(recording_id, **_QUICK)

    def pause_recording(self, recording_id: str) -> None:
        """See the port."""
        with _recording_errors():
            self._client.pause_recording(recording_id, **_QUICK)

    def resume_recording(self, recording_id: str) -> None:
        """See the port."""
        with _recording_errors():
            self._client.resume_recording(recording_id, **_QUICK)

    def server_call_id(self, call_connection_id: str) -> str | None:
        """See the port."""
        with acs_errors():
            connection = self._client.get_call_connection(call_connection_id)
            answer = connection.get_call_properties(connection_timeout=5, read_timeout=10)
        return answer.server_call_id or None


@contextmanager
def _recording_errors() -> Iterator[None]:
    """As `acs_errors`. ACS's code for what it does not know is the same for calls and recordings (8522)."""
    try:
        with acs_errors():
            yield
    except CallNotFound as error:
        raise RecordingNotFound(
            str(error),
            status=error.status,
            service_code=error.service_code,
            retry_after=error.retry_after,
            trace_id=error.trace_id,
        ) from error


def _identifier(raw_id: str) -> Any:
    """The SDK's identifier of a raw id; the SDK's own function for this is not public."""
    head, _, tail = raw_id.partition(":")
    if head == "4":
        return PhoneNumberIdentifier(tail, raw_id=raw_id)
    if raw_id.startswith("8:acs:"):
        return CommunicationUserIdentifier(raw_id)
    if raw_id.startswith("8:orgid:"):
        return MicrosoftTeamsUserIdentifier(raw_id.removeprefix("8:orgid:"), raw_id=raw_id)
    return UnknownIdentifier(raw_id)


def _word(value: Any) -> str | None:
    return None if value is None else str(getattr(value, "value", value))


class AcsMedia:
    """Port `Media` on the SDK."""

    def __init__(self, client: CallAutomationClient) -> None:
        self._client = client

    @contextmanager
    def open(self, location: str, *, start: int, length: int) -> Iterator[MediaResponse]:
        """See the port."""
        response = self._get(location, headers={"Range": f"bytes={start}-{start + length - 1}"})
        try:
            headers = response.headers
            size = headers.get("Content-Length")
            yield MediaResponse(
                status=response.status_code,
                content_type=headers.get("Content-Type") or "",
                content_length=int(size) if size and _LENGTH.fullmatch(size) else None,
                content_range=headers.get("Content-Range"),
                etag=headers.get("ETag"),
                pieces=_pieces(response),
                is_delimited=_is_delimited(headers),
            )
        finally:
            response.close()

    def _get(self, location: str, *, headers: dict[str, str], **options: Any) -> Any:
        """The answer's head; redirects followed here, on the allow-list only, each request signed anew."""
        for _ in range(1 + _MOST_REDIRECTS):
            if not is_media_location(location):
                raise MediaLocationRefused
            try:
                with media_errors():
                    response = self._client.download_recording(
                        location, headers={"Accept-Encoding": "identity"} | headers, **options
                    )
                return _as_it_is(response)
            except MediaError as error:
                target = _closed(error.__cause__)
                if not isinstance(error, MediaRedirected):
                    raise
                location = urljoin(location, target or "")
                if not target or not is_media_location(location):
                    raise MediaRedirected("redirected to a host that is not an ACS media host") from error
        raise MediaRedirected("redirected too often")

    def total(self, location: str) -> int | None:
        """See the port."""
        one = ranges.Span(0, 1)
        with self.open(location, start=one.start, length=one.length) as response:
            return ranges.accept(response, one, total=None, etag=None).total

    def read_all(self, location: str, *, limit: int) -> bytes:
        """See the port."""
        response = self._get(location, headers={}, **_SMALL_FILE)
        try:
            data = bytearray()
            for piece in _pieces(response):
                data += piece
                if len(data) > limit:
                    raise MediaTooLarge(f"more than {limit} bytes")
            return bytes(data)
        finally:
            response.close()

    def delete(self, location: str) -> None:
        """See the port."""
        if not is_media_location(location):
            raise MediaLocationRefused
        with media_errors():
            try:
                self._client.delete_recording(location, **_SMALL_FILE)
            except ResourceNotFoundError:
                return


def _is_delimited(headers: Any) -> bool:
    """Whether the answer says where its body ends: by its length, or by its last chunk (RFC 9112, 6.3)."""
    coding = (headers.get("Transfer-Encoding") or "").strip().lower()
    if coding:
        return bool(coding.rpartition(",")[2].strip() == "chunked")
    return _LENGTH.fullmatch(headers.get("Content-Length") or "") is not None


def _closed(cause: BaseException | None) -> str | None:
    """Gives back the connection that a refused answer still holds (the SDK does not); its Location, if any."""
    response: Any = cause.response if isinstance(cause, HttpResponseError) else None
    if response is None:
        return None
    target = response.headers.get("Location")
    response.close()
    return str(target) if target else None


def _as_it_is(response: Any) -> Any:
    """The answer, unless it is compressed without being asked for: its bytes are not the recording's."""
    coding = (response.headers.get("Content-Encoding") or "identity").strip().lower()
    if coding != "identity":
        response.close()
        raise MediaDistrusted(f"the answer is encoded ({coding[:20]}), and that was not asked for")
    return response


def _pieces(response: Any) -> Iterator[bytes]:
    """The raw body. What breaks in the middle is a MediaError."""
    with media_errors():
        yield from response.iter_raw()
