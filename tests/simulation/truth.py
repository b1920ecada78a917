"""What really happened in one simulated world: calls, recordings, their bytes, and what ACS does with them.

Only the simulation knows this; the app is told by events, answers and containers. `Truth.draw` makes it from a seed.
"""

from __future__ import annotations

import base64
import json
import uuid
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from tests.support.fakes import MediaFile

if TYPE_CHECKING:
    from random import Random

    from shared.domain.locations import ContainerUrl

MAGIC = {"mp3": b"ID3\x04\x00\x00", "mp4": b"\x00\x00\x00\x18ftypisom", "wav": b"RIFF\x00\x00\x00\x00WAVEfmt "}
MEDIA_HOST = "https://eus-api.asm.skype.com/v1/objects"
EXPORTS = (
    "failed",  # ACS did not export it and says so
    "exported",  # it did, and says so
    "silent",  # it did, and the event gives the ACS location all the same
    "claimed_late",  # the event says exported; the blob comes later
    "claimed_never",  # the event says exported; the blob never comes
    "claimed_empty",  # the event says exported; the blob has no bytes
    "late",  # not exported when the event came; exported later after all
)
_EXPORT_WEIGHTS = (50, 15, 6, 6, 6, 4, 13)


def minutes(count: float) -> timedelta:
    return timedelta(minutes=count)


@dataclass
class TrueChunk:
    """One file of a recording. `versions`: what ACS gives, and from when; each of them is a right answer."""

    index: int
    document_id: str
    form: str
    versions: list[tuple[datetime, MediaFile]]
    metadata: bytes
    export: str
    export_name: str
    export_metadata_name: str
    ready_at: datetime
    early: str  # what ACS answers before that: missing | empty
    has_delete_location: bool
    event_number: int
    changes_quietly: bool = False  # its versions have one length and no ETag: only their first blocks tell them apart
    export_at: datetime | None = None
    exported_at: datetime | None = None  # when a blob of ACS's with bytes stood in the container
    accepted_at: datetime | None = None  # when an event with this chunk was acknowledged

    @property
    def location(self) -> str:
        return f"{MEDIA_HOST}/{self.document_id}/content/video"

    @property
    def metadata_location(self) -> str:
        return f"{MEDIA_HOST}/{self.document_id}/content/acsmetadata"

    @property
    def delete_location(self) -> str | None:
        return f"{MEDIA_HOST}/{self.document_id}" if self.has_delete_location else None

    def version(self, now: datetime) -> MediaFile:
        """What ACS has of it."""
        return [file for since, file in self.versions if since <= now][-1]

    @property
    def right_answers(self) -> list[bytes]:
        return [file.data for _, file in self.versions]


@dataclass
class TrueRecording:
    """One recording. `gone_at`: when ACS drops its media."""

    number: int
    recording_id: str
    call_id: str
    server_call_id: str
    container: ContainerUrl
    start: datetime
    end: datetime
    form: str
    is_started_here: bool
    is_event_lost: bool
    names_recording: bool
    is_cloud_event: bool
    gone_at: datetime
    chunks: list[TrueChunk] = field(default_factory=list)
    event_delays: list[timedelta] = field(default_factory=list)

    def was_started_by_others(self, default: ContainerUrl) -> None:
        """This app could not start it after all."""
        self.is_started_here = self.is_event_lost = False
        old, self.container = self.container.prefix, default
        for chunk in self.chunks:
            chunk.export_name = chunk.export_name.removeprefix(old).strip("/")
            chunk.export_metadata_name = chunk.export_metadata_name.removeprefix(old).strip("/")

    def event_times(self) -> list[datetime]:
        """When ACS sends each of its events."""
        return [self.end + delay for delay in self.event_delays]

    def event(self, number: int, *, is_claimed: dict[int, bool]) -> str:
        """The body of event `number`; `is_claimed` says of each chunk index whether ACS calls it exported."""
        chunks = [
            self._claim(chunk, is_claimed=is_claimed[chunk.index])
            for chunk in self.chunks
            if chunk.event_number == number
        ]
        data = {
            "recordingStorageInfo": {"recordingChunks": chunks},
            "recordingStartTime": _seven_digits(self.start),
            "recordingDurationMs": round((self.end - self.start).total_seconds() * 1000),
            "recordingContentType": "AudioVideo" if self.form == "mp4" else "Audio",
            "recordingChannelType": "Mixed",
            "recordingFormatType": self.form.title(),
            "sessionEndReason": "CallEnded",
        }
        subject = f"/recording/call/{self.call_id}/serverCallId/{self.server_call_id}"
        if self.names_recording:
            subject += f"/recordingId/{self.recording_id}"
        event = {"id": f"event-{self.number}-{number}", "subject": subject, "data": data}
        kind, time = "Microsoft.Communication.RecordingFileStatusUpdated", _seven_digits(self.event_times()[number])
        if self.is_cloud_event:
            return json.dumps(event | {"specversion": "1.0", "source": "acs", "type": kind, "time": time})
        return json.dumps(event | {"eventType": kind, "eventTime": time, "topic": "acs", "dataVersion": "1.0"})

    def _claim(self, chunk: TrueChunk, *, is_claimed: bool) -> dict[str, object]:
        claim: dict[str, object] = {
            "documentId": chunk.document_id,
            "index": chunk.index,
            "endReason": "SessionEnded",
            "contentLocation": self.container.blob_url(chunk.export_name) if is_claimed else chunk.location,
            "metadataLocation": self.container.blob_url(chunk.export_metadata_name)
            if is_claimed
            else chunk.metadata_location,
        }
        return claim | ({"deleteLocation": chunk.delete_location} if chunk.delete_location else {})


def _seven_digits(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%f0Z")


def draw_recording(
    random: Random,
    *,
    number: int,
    begins: datetime,
    container: ContainerUrl,
    default: ContainerUrl,
    block_bytes: int,
    neighbour: TrueRecording | None = None,
) -> TrueRecording:
    """A recording that starts near `begins`: by this app into `container`, or by somebody else into `default`.

    Some begin with a `neighbour`, within seconds: by its start alone nobody can tell one from the other.
    """
    start = begins + minutes(random.random() * 20)
    is_beside = neighbour is not None and random.random() < 0.25
    if neighbour and is_beside:
        start = neighbour.start + timedelta(seconds=20 * random.random())
    end = start + minutes(random.choice((1, 5, 40, 170)) * (0.5 + random.random() / 2))
    is_started_here = random.random() < 0.5
    place = container if is_started_here else default
    two_events = random.random() < 0.2
    recording = TrueRecording(
        number=number,
        recording_id=base64.b64encode(json.dumps({"PlatformEndpointId": _guid(random), "n": number}).encode()).decode(),
        call_id=_guid(random),
        server_call_id=base64.urlsafe_b64encode(f"https://conv/{_guid(random)}".encode()).decode().rstrip("="),
        container=place,
        start=start,
        end=end,
        form=random.choice(("mp3", "mp3", "mp4", "wav")),
        is_started_here=is_started_here,
        is_event_lost=is_started_here and random.random() < (0.5 if is_beside else 0.15),
        names_recording=random.random() < 0.7,
        is_cloud_event=random.random() < 0.5,
        gone_at=end + timedelta(hours=24) + minutes(random.choice((0, 0, 5, 60))),
        event_delays=[minutes(1 + random.random() * 4)],
    )
    if two_events:
        recording.event_delays.append(
            recording.event_delays[0] + minutes(random.choice((1, 30, 400)) * random.random())
        )
    count = random.choice((1, 1, 1, 2, 3)) + two_events
    folder = _folder(random, recording)
    for index in range(count):
        event_number = int(two_events and index == count - 1)
        recording.chunks.append(
            _draw_chunk(
                random, recording, index=index, folder=folder, event_number=event_number, block_bytes=block_bytes
            )
        )
    return recording


def _guid(random: Random) -> str:
    return str(uuid.UUID(int=random.getrandbits(128), version=4))


def _folder(random: Random, recording: TrueRecording) -> str:
    """Where ACS exports to: the day of the start, in UTC or in another time zone."""
    day = recording.start + timedelta(days=random.choice((0,) * 10 + (-1, 1)))
    parts = (
        recording.container.prefix,
        f"{day:%Y%m%d}",
        recording.call_id,
        f"{recording.recording_id[:8]}-{_guid(random)}",
    )
    return "/".join(part for part in parts if part)


def _draw_chunk(
    random: Random, recording: TrueRecording, *, index: int, folder: str, event_number: int, block_bytes: int
) -> TrueChunk:
    document_id = f"{index}-eus-d12-{random.getrandbits(128):032x}"
    export = random.choices(EXPORTS, _EXPORT_WEIGHTS)[0]
    is_short = random.random() < 0.3
    kind = ("audiovideo" if recording.form == "mp4" else "audio") + recording.form
    tail = "" if is_short else f".{document_id}"
    end, ready_at = recording.end, recording.end
    if random.random() < 0.15:
        ready_at += minutes(random.choice((3, 10, 60)) * random.random())
    metadata = {
        "callId": recording.call_id,
        "chunkDocumentId": document_id,
        "chunkIndex": index,
        "chunkStartTime": _seven_digits(recording.start + minutes(index)),
    }
    versions = [(end, _file(random, recording.form, block_bytes, version=1))]
    if random.random() < 0.2:
        told = recording.event_times()[event_number]
        since = max(ready_at, told + minutes(random.random() * random.choice((-4, 0.5, 2, 20))))
        versions.append((since, _changed(random, versions[0][1], recording.form, block_bytes)))
    is_quiet = len(versions) > 1 and random.getrandbits(2) == 0
    if is_quiet:
        versions = [(since, _quietly(random, file, versions[0][1])) for since, file in versions]
    chunk = TrueChunk(
        index=index,
        document_id=document_id,
        form=recording.form,
        versions=versions,
        metadata=json.dumps(metadata).encode(),
        export=export,
        export_name=f"{folder}/{index}-{kind}{tail}.{recording.form}",
        export_metadata_name=f"{folder}/{index}-acsmetadata{tail}.json",
        ready_at=ready_at,
        early=random.choice(("missing", "empty")),
        has_delete_location=random.random() < 0.8,
        event_number=event_number,
        changes_quietly=is_quiet,
    )
    if export in ("exported", "silent", "claimed_empty"):
        chunk.export_at = end + minutes(random.random())
    elif export in ("late", "claimed_late"):
        sent = recording.event_times()[event_number]
        chunk.export_at = sent + minutes(random.choice((1, 1, 10, 60, 600, 1300)) * random.random())
    return chunk


def _file(random: Random, form: str, block_bytes: int, *, version: int) -> MediaFile:
    """Small, and often of a length at the edge of a block."""
    edges = (1, 2, 3, 5)
    size = random.choice(edges) * block_bytes + random.choice((-1, 0, 1)) if random.random() < 0.5 else 0
    size = size or random.randrange(40, 4 * block_bytes)
    etag = None if version == 1 and random.random() < 0.2 else f'"{version}"'
    kind = {"mp3": "audio/mpeg", "mp4": "video/mp4", "wav": "audio/wav"}[form]
    return MediaFile(MAGIC[form] + random.randbytes(size - len(MAGIC[form])), random.choice((kind, "")), etag)


def _changed(random: Random, file: MediaFile, form: str, block_bytes: int) -> MediaFile:
    """What ACS gives in its place later, under another ETag: another file, or one that begins as the first did."""
    kind = random.choice(("another", "grown", "same beginning", "same beginning"))
    if kind == "another":
        return _file(random, form, block_bytes, version=2)
    if kind == "grown":
        return replace(file, data=file.data + random.randbytes(random.randrange(1, 2 * block_bytes)), etag='"2"')
    file.etag = '"1"'  # with neither another length nor another ETag nobody could tell in the midst of it
    kept = file.data[: block_bytes // 2]  # the first request's
    return replace(file, data=kept + random.randbytes(len(file.data) - len(kept)), etag='"2"')


def _quietly(random: Random, file: MediaFile, first: MediaFile) -> MediaFile:
    """As long as the first, without an ETag, and other bytes soon after the beginning."""
    head, size = file.data[:16], len(first.data)
    return MediaFile(head + random.randbytes(size - len(head)), first.content_type, None)
