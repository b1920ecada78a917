"""A recording's way over the fakes: events in, messages and sweeps until nothing is left to do, files out."""

from __future__ import annotations

import json
import struct
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from shared.domain.codec import format_time
from shared.ports import WorkItem
from tests.support.fakes import NOON, MediaFile, World

if TYPE_CHECKING:
    from shared.app import App
    from shared.domain.recording import Chunk, ChunkState, Recording, RecordingState
    from tests.support.fakes import Delivery

MEDIA = "https://eus-api.asm.skype.com/v1/objects"
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
# One frame of MPEG 1 layer III at 128 kbit/s and 44.1 kHz: 417 bytes.
_FRAME = b"\xff\xfb\x90\x00" + bytes(413)


def mp3(frames: int = 40) -> bytes:
    """Whole frames from the first byte to the last."""
    return _FRAME * frames


def wav(size: int = 4000, *, riff: int | None = None) -> bytes:
    """A whole wav of 16 kHz mono; `riff` misstates its size."""
    fmt = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, 16000, 32000, 2, 16)
    body = b"WAVE" + fmt + struct.pack("<4sI", b"data", size) + b"\x01\x02" * (size // 2)
    return struct.pack("<4sI", b"RIFF", len(body) if riff is None else riff) + body


def mp4() -> bytes:
    """ftyp, moov and mdat."""
    boxes = ((b"ftyp", b"isom" + bytes(12)), (b"moov", bytes(200)), (b"mdat", bytes(range(256)) * 20))
    return b"".join(struct.pack(">I4s", len(data) + 8, kind) + data for kind, data in boxes)


def claim(document: str = "doc-0", index: int = 0, **changes: Any) -> dict[str, Any]:
    """A chunk as an event about a failed export reports it."""
    plain = {
        "documentId": document,
        "index": index,
        "endReason": "SessionEnded",
        "contentLocation": f"{MEDIA}/{document}/content/video",
        "metadataLocation": f"{MEDIA}/{document}/content/acsmetadata",
        "deleteLocation": f"{MEDIA}/{document}/content/deletedata",
    }
    return {name: value for name, value in (plain | changes).items() if value is not None}


def event(
    *claims: dict[str, Any],
    subject: str = "/recording/call/call-1/serverCallId/server-1/recordingId/rec-1",
    at: datetime = NOON,
    **data: Any,
) -> str:
    """A RecordingFileStatusUpdated event of a call that ended at noon, after a second."""
    body = {
        "recordingStorageInfo": {"recordingChunks": list(claims or (claim(),))},
        "recordingStartTime": format_time(NOON - timedelta(seconds=1)),
        "recordingDurationMs": 1000,
        "recordingContentType": "Audio",
        "recordingChannelType": "Mixed",
        "recordingFormatType": "Mp3",
        "sessionEndReason": "CallEnded",
    } | data
    return json.dumps(
        {
            "id": "event-1",
            "topic": "/acs",
            "subject": subject,
            "eventType": "Microsoft.Communication.RecordingFileStatusUpdated",
            "eventTime": format_time(at),
            "dataVersion": "1.0",
            "data": {name: value for name, value in body.items() if value is not None},
        }
    )


class Rig(World):
    """The fakes and one process of the app; `key` is that of the only recording."""

    def __init__(self, **changes: Any) -> None:
        super().__init__(**changes)
        self.process: App = self.app()

    def put_media(self, document: str = "doc-0", data: bytes | None = None, **changes: Any) -> bytes:
        """ACS keeps the media of a chunk, and its metadata."""
        data = mp3() if data is None else data
        self.media.files[f"{MEDIA}/{document}/content/video"] = MediaFile(data, **changes)
        metadata = json.dumps({"chunkDocumentId": document, "callId": "call-1"}).encode()
        self.media.files[f"{MEDIA}/{document}/content/acsmetadata"] = MediaFile(metadata, "application/json")
        return data

    def drop_media(self, document: str = "doc-0") -> None:
        for name in [name for name in self.media.files if f"/{document}/" in name]:
            del self.media.files[name]

    def receive(self, raw: str) -> None:
        self.process.intake.handle(raw)

    @property
    def key(self) -> str:
        [key] = {*self.ledger.open, *self.ledger.closed}
        return key

    @property
    def recording(self) -> Recording:
        return self.ledger.recording(self.key)

    @property
    def chunk(self) -> Chunk:
        return self.recording.chunks[0]

    def state(self) -> ChunkState:
        """The chunk's, as it is now."""
        return self.chunk.state

    def recording_state(self) -> RecordingState:
        return self.recording.state

    @property
    def kinds(self) -> list[str]:
        """The kinds of the recording's timeline, in order."""
        return [entry.kind for entry in self.recording.timeline]

    def deliver_one(self) -> Delivery | None:
        """The next message, at its time."""
        return self.deliver_next(self.process)

    def run(self, *, until: timedelta = timedelta(0), most: int = 400) -> None:
        """Messages at their times, for so long from now; then the clock is there. 0: those that are due now."""
        end = self.clock.now() + until
        for _ in range(most):
            due = self.queue.next_due()
            if due is None or due > end:
                break
            self.deliver_one()
        else:
            raise AssertionError(f"no end after {most} messages: {self.kinds}")
        self.clock.moment = max(self.clock.moment, end)

    def sweep(self) -> None:
        self.process.sweep.run()

    def live(self, time: timedelta, *, step: timedelta = 5 * MINUTE) -> None:
        """Messages and sweeps for so long."""
        end = self.clock.now() + time
        while self.clock.now() < end:
            self.run(until=min(step, end - self.clock.now()))
            self.sweep()
        self.run()

    def at_once(self, part: str, generation: int, *, message_id: str = "other") -> None:
        """A message that the test makes itself."""
        self.process.worker.handle(WorkItem(self.key, part, generation), message_id=message_id)

    def files(self) -> dict[str, bytes]:
        """The destination's media by name."""
        ends = (".mp3", ".mp4", ".wav")
        return {name: blob.data for name, blob in self.destination.blobs.items() if name.endswith(ends)}

    def assert_at_rest(self) -> None:
        """Closed, nothing owed, no message, no copy left."""
        assert not self.ledger.open
        assert not self.queue.waiting
        assert not self.fallback.blobs
