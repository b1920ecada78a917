"""What the security tests and the fuzz targets share: events of any shape, a world that notes every request and write,
and what must hold whatever came in.
"""

from __future__ import annotations

import json
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import requests
import urllib3.util

from shared import app as root
from shared.domain.errors import RecorderError
from shared.domain.locations import ContainerUrl
from shared.domain.naming import recording_key
from shared.domain.recording import Recording, Started
from tests.support.fakes import ACCOUNT, NOON, MediaFile, World, settings, watched

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from shared.app import App
    from shared.settings import Settings
    from tests.support.fakes import FakeContainer

MEDIA = "https://us-storage.asm.skype.com/v1/objects"
DOCUMENT = "0-eus-d12-801b3f3fc462fe8a01e6810cbff729b8"
RECORDING_ID = "eyJQbGF0Zm9ybUVuZHBvaW50SWQiOiIxIn0"
CALL_ID = "41006220-1a1f-4fae-b3a2-1c8d8b7f0b4d"
MP3 = b"ID3" + bytes(range(256)) * 40
TEAM_A = ContainerUrl.parse(f"{ACCOUNT}/recordings/team-a")
ARCHIVE = ContainerUrl.parse(f"{ACCOUNT}/archive")
_MEDIA_SUFFIXES = (".asm.skype.com", ".asyncgw.teams.microsoft.com", ".ams.gov.teams.microsoft.us")


def metadata_of(document: str) -> bytes:
    """A chunk's metadata file as ACS writes it, as far as this app reads it."""
    return json.dumps({"chunkDocumentId": document, "participants": []}).encode()


def chunk(*, document: str = DOCUMENT, index: int = 0, **locations: Any) -> dict[str, Any]:
    """An entry of `recordingChunks`, at ACS unless `locations` (as in the event) say otherwise."""
    plain = {
        "documentId": document,
        "index": index,
        "endReason": "SessionEnded",
        "contentLocation": f"{MEDIA}/{document}/content/video",
        "metadataLocation": f"{MEDIA}/{document}/content/acsmetadata",
        "deleteLocation": f"{MEDIA}/{document}",
    }
    return {name: value for name, value in (plain | locations).items() if value is not None}


def data(*chunks: dict[str, Any], **more: Any) -> dict[str, Any]:
    """The event's `data`."""
    plain = {
        "recordingStorageInfo": {"recordingChunks": list(chunks)},
        "recordingStartTime": "2026-11-22T11:40:00.1234567Z",
        "recordingDurationMs": 600_000,
        "recordingContentType": "Audio",
        "recordingChannelType": "Mixed",
        "recordingFormatType": "Mp3",
        "sessionEndReason": "CallEnded",
        "recordingId": RECORDING_ID,
    }
    return {name: value for name, value in (plain | more).items() if value is not None}


def event(*chunks: dict[str, Any], time: str = "2026-11-22T11:51:00Z", **more: Any) -> dict[str, Any]:
    """An event in Event Grid's schema."""
    return {
        "id": "831e1650-001e-001b-66ab-eeb76e069631",
        "topic": "/subscriptions/0/resourceGroups/rg/providers/Microsoft.Communication/communicationServices/name",
        "subject": f"/recording/call/{CALL_ID}/recordingId/{RECORDING_ID}",
        "eventType": "Microsoft.Communication.RecordingFileStatusUpdated",
        "eventTime": time,
        "dataVersion": "1.0",
        "metadataVersion": "1",
        "data": data(*(chunks or (chunk(),)), **more),
    }


def cloud_event(*chunks: dict[str, Any], **more: Any) -> dict[str, Any]:
    """The same as a CloudEvent."""
    plain = event(*chunks, **more)
    return {
        "specversion": "1.0",
        "id": plain["id"],
        "source": plain["topic"],
        "subject": plain["subject"],
        "type": plain["eventType"],
        "time": plain["eventTime"],
        "data": plain["data"],
    }


def started_recording(container: ContainerUrl, *, check_at: datetime) -> Recording:
    """A recording that was started here an hour before noon, of which no event has come."""
    began = NOON - timedelta(hours=1)
    return Recording(
        key=recording_key(RECORDING_ID),
        container_url=str(container),
        created_at=began,
        started=Started("serverCallId", "the-call", "audio", "mixed", "mp3", began),
        recording_id=RECORDING_ID,
        call_id=CALL_ID,
        recording_start=began,
        event_check_at=check_at,
    )


class Watchtower:
    """The app over fakes, with every location that was asked of ACS's media host.

    Containers: `places` on the allow-list (the first is the default), and one that is on none, `stranger`.
    """

    def __init__(self, *places: ContainerUrl, given: Settings | None = None) -> None:
        self.world = World(given or settings(places=places or (TEAM_A, ARCHIVE)))
        self.asked: list[str] = []
        self.errors: list[RecorderError] = []
        self.stranger = self.world.containers.at(
            ContainerUrl.parse("https://stranger.blob.core.windows.net/recordings")
        )
        self.stranger.exists = True
        self.app = self.world.app(media=watched(self.world.media, self._note))

    def _note(self, name: str, call: Callable[[], Any], arguments: tuple[Any, ...]) -> Any:
        if name in ("open", "read_all", "delete"):
            self.asked.append(arguments[0])
        return call()

    def has_at_acs(self, document: str = DOCUMENT, *, media: bytes = MP3) -> None:
        """Puts a chunk's files where ACS keeps them."""
        files = self.world.media.files
        files[f"{MEDIA}/{document}/content/video"] = MediaFile(media)
        files[f"{MEDIA}/{document}/content/acsmetadata"] = MediaFile(
            metadata_of(document), content_type="application/json"
        )

    def hears(self, *events: Any) -> None:
        """Hands events over as the trigger does; a text as it is, all else as JSON."""
        for one in events:
            self.app.intake.handle(one if isinstance(one, str) else json.dumps(one))

    def was_started(self, *, check_at: datetime = NOON + timedelta(hours=3)) -> Recording:
        """Puts a recording into the ledger that was started here, into the default container."""
        made = started_recording(self.world.settings.default_container, check_at=check_at)
        written = self.app.store.commit(made.key, None, lambda _: made)
        assert written is not None
        return written.recording

    def documents(self) -> dict[str, bytes]:
        """Every recording's document as it is written, open or closed, by key."""
        ledger = self.world.ledger
        closed = {f"closed/{key}": data for key, (data, _) in ledger.closed.items()}
        return closed | {f"open/{key}": data for key, (data, _, _) in ledger.open.items()}

    def works(self, *, messages: int = 40) -> None:
        """Runs the queue, the clock jumping to each message's time, and a sweep at the end."""
        for _ in range(messages):
            try:
                if self.world.deliver_next(self.app) is None:
                    break
            except RecorderError as error:
                # The host's part: the message comes again. Only the ledger's own failures may come this far.
                self.errors.append(error)
                break
        self.world.clock.advance(timedelta(minutes=5))
        self.app.sweep.run()

    def check(self) -> None:
        """What must hold whatever came in."""
        assert not self.errors
        for location in self.asked:
            assert is_sent_to_acs(location), location
        for (account, name), container in self.world.containers.places.items():
            for blob in _names(container):
                assert self._is_allowed(account, name, blob), f"{account}/{name}/{blob}"
        assert not _names(self.stranger)
        for name in _names(self.world.fallback):
            assert_plain(name)

    def _is_allowed(self, account: str, container: str, blob: str) -> bool:
        assert_plain(blob)
        return any(
            (place.account_url, place.container) == (account, container)
            and (not place.prefix or blob.startswith(place.prefix + "/"))
            for place in self.world.settings.allowed.places
        )


@contextmanager
def serving(app: App) -> Iterator[None]:
    """`app` as the process's own, which the functions find."""
    root._built[:] = [app]
    try:
        yield
    finally:
        root._built.clear()


def _names(container: FakeContainer) -> list[str]:
    return [*container.blobs, *container.uncommitted]


def assert_plain(name: str) -> None:
    """`name` is a blob name that stays what it is in any URL, at any server."""
    assert 0 < len(name) <= 1024
    assert name.isprintable()
    assert "\\" not in name
    segments = name.split("/")
    assert len(segments) < 254
    assert all(one not in ("", ".", "..") and not one.endswith(".") for one in segments), name


def is_sent_to_acs(location: str) -> bool:
    """Whether a request for `location` goes to ACS's media hosts over TLS, as the HTTP library itself reads it."""
    sent = requests.Request("GET", location).prepare()
    parts = urllib3.util.parse_url(str(sent.url))
    return parts.scheme == "https" and parts.port in (None, 443) and (parts.host or "").endswith(_MEDIA_SUFFIXES)
