"""What really is: the calls of a world, the media that ACS made of them, and what may be said of each.

ACS keeps media for 24 hours after the end, writes files into containers (early, late, broken, or never), and tells of
them by events that come early, late, twice, in parts, in two schemas, with ids missing or spelt otherwise, or forged.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from shared.domain.codec import format_time
from shared.domain.locations import ContainerUrl
from shared.domain.media import Proof
from shared.domain.recording import IN_PLACE_STATES, MISSING_STATES, Chunk, ChunkState, Recording
from tests.simulation.scheduler import ViolationError
from tests.simulation.services import metadata_of
from tests.support.fakes import MediaFile, lies
from tests.unit.rig import MEDIA, claim

if TYPE_CHECKING:
    from tests.simulation.world import World

# {day}/{call}/{recording}/{file}, below the container's prefix.
_LAYOUT = re.compile(r"\d{8}/[^/]+/[^/]+/[^/]+")
# With so much time without any trouble, while ACS has it, nothing may be lost.
ENOUGH = timedelta(hours=2)
# What becomes of a file, by how often it is drawn.
WAYS = {
    "failed": 40,
    "not_ready": 5,
    "exported": 8,
    "exported_only": 8,
    "silent": 8,
    "claimed_late": 6,
    "claimed_late_only": 4,
    "claimed_never": 7,
    "late": 8,
    "broken": 6,
    "gone": 2,
}


@dataclass
class Piece:
    """A chunk as it really is. `versions`: the bytes that ACS ever gave for it; `gone_at`: when ACS drops them.

    `export`: the name of the file that ACS wrote whole; `known_at`: when an event about it was first acknowledged.
    """

    document: str
    index: int
    versions: list[bytes]
    way: str
    gone_at: datetime | None = None
    export: str | None = None
    known_at: datetime | None = None
    is_stubborn: bool = False
    is_hopeless: bool = False  # the host never says how long it is, and breaks off


@dataclass
class Call:
    """One call that is recorded. `container`: where it was asked for; `recording_id` as ACS knows it."""

    number: int
    begin: datetime
    end: datetime
    container: ContainerUrl
    pieces: list[Piece]
    locator: str | None = None  # this app starts it by that
    recording_id: str | None = None
    has_events: bool = True
    container_is_certain: bool = True

    @property
    def ids(self) -> dict[str, str]:
        """Every id of the call."""
        n = self.number
        return {
            "call": f"call-{n}",
            "serverCallId": f"server-{n}",
            "groupCallId": f"group-{n}",
            "roomId": f"room-{n}",
            "callConnectionId": f"connection-{n}",
        }

    @property
    def folder(self) -> str:
        """Where ACS writes."""
        own = f"{self.begin:%Y%m%d}/{self.ids['call']}/{(self.recording_id or 'unknown')[:8]}-acs-{self.number}"
        return f"{self.container.prefix}/{own}" if self.container.prefix else own


@dataclass
class Truth:
    """All calls of a world. `spoiled`: files that people changed or deleted, as they were; `touched`: their chunks;
    `squatted`: names under which people put another file.
    """

    calls: list[Call] = field(default_factory=list)
    spoiled: dict[str, bytes] = field(default_factory=dict)
    touched: set[str] = field(default_factory=set)
    squatted: set[str] = field(default_factory=set)

    @property
    def pieces(self) -> dict[str, Piece]:
        """By document id."""
        return {piece.document: piece for call in self.calls for piece in call.pieces}

    # --- what ACS does

    def produce(self, world: World, call: Call) -> None:
        """The recording has ended: its media are at ACS, or in the container, or on the way."""
        now = world.scheduler.now
        for piece in call.pieces:
            at_acs = piece.way not in ("exported_only", "gone", "claimed_late_only")
            if at_acs:
                late = timedelta(minutes=world.rng.choice((1, 20))) if piece.way == "not_ready" else timedelta(0)
                world.scheduler.at(now + late, lambda piece=piece: self._put_media(world, piece))  # type: ignore[misc]
                piece.gone_at = now + world.settings.window + timedelta(minutes=world.rng.choice((0, 1, 50)))
                world.scheduler.at(piece.gone_at, lambda piece=piece: _drop_media(world, piece))  # type: ignore[misc]
            if piece.way in ("exported", "exported_only", "silent"):
                self._export(world, call, piece, timedelta(0))
            elif piece.way in ("late", "claimed_late", "claimed_late_only"):
                self._export(world, call, piece, timedelta(minutes=world.rng.choice((1, 4, 30, 300))))
            elif piece.way == "broken":
                data = piece.versions[-1]
                # Not between two frames: such an mp3 is whole by its structure (docs/proofs.md).
                cut = b"" if world.rng.random() < 0.3 else data[: len(data) * 2 // 3 // 417 * 417 - 7]
                _write(world, call, piece, cut)

    def _put_media(self, world: World, piece: Piece) -> None:
        location = f"{MEDIA}/{piece.document}/content/video"
        world.media.files[location] = MediaFile(piece.versions[0], etag='"1"')
        world.media.files[f"{MEDIA}/{piece.document}/content/acsmetadata"] = MediaFile(metadata_of(piece.document))
        if len(piece.versions) > 1:

            def change() -> None:
                if location in world.media.files:
                    world.media.files[location] = MediaFile(piece.versions[1], etag='"2"')

            world.scheduler.at(world.scheduler.now + timedelta(seconds=world.rng.choice((2, 70, 130))), change)
        if piece.is_stubborn:
            answers = (lies.whole, lies.whole_without_length, lies.whole_without_end, lies.whole_broken_off)
            world.media.stubborn[location] = answer = world.rng.choice(answers)
            piece.is_hopeless = answer is lies.whole_broken_off

    def _export(self, world: World, call: Call, piece: Piece, delay: timedelta) -> None:
        def write() -> None:
            if world.containers.at(call.container).exists:
                piece.export = _write(world, call, piece, piece.versions[-1])

        world.scheduler.at(world.scheduler.now + delay, write)

    def event(self, world: World, call: Call, pieces: list[Piece], **changes: Any) -> str:
        """What Event Grid delivers about these pieces."""
        rng = world.rng
        claims = []
        for piece in pieces:
            said: dict[str, Any] = {}
            if piece.way in (
                "exported",
                "exported_only",
                "claimed_late",
                "claimed_late_only",
                "claimed_never",
                "broken",
            ):
                said["contentLocation"] = call.container.blob_url(_name(call, piece))
                if rng.random() < 0.5:
                    metadata = f"{call.folder}/{piece.index}-acsmetadata.{piece.document}.json"
                    said["metadataLocation"] = call.container.blob_url(metadata)
                if rng.random() < 0.3 and piece.way.startswith("exported"):
                    said["deleteLocation"] = None
            elif rng.random() < 0.2:
                said["contentLocation"] = rng.choice((None, f"{MEDIA}/another-document/content/video"))
            elif rng.random() < 0.2:
                said["deleteLocation"] = f"{MEDIA}/{piece.document}"
            if rng.random() < 0.1:
                said["metadataLocation"] = None
            claims.append(claim(piece.document, piece.index, **said))
        return envelope(world, call, claims, **changes)

    def starts_anew(self, document: str, now: datetime) -> None:
        """A person removed the only copy: there is as much time as ACS has it from now on."""
        piece = self.pieces.get(document)
        if piece is not None:
            piece.known_at = max(piece.known_at or now, now)

    # --- what may be said

    def check_deletion(self, world: World, document: str) -> None:
        """A whole copy is in its container before ACS is asked to delete."""
        piece = self.pieces.get(document)
        if piece is not None and document not in self.touched:
            stored = [blob.data for place in world.containers.places.values() for blob in place.blobs.values()]
            if not any(version in stored for version in piece.versions):
                raise ViolationError(f"{document} is deleted at ACS, and not whole")

    def check(self, world: World) -> None:
        """After everything: no byte is lost that could be had in time, and nothing is misreported."""
        recordings = world.ledger.recordings()
        known: dict[str, list[tuple[Recording, Chunk]]] = {}
        for recording in recordings:
            for chunk in recording.chunks:
                known.setdefault(chunk.document_id, []).append((recording, chunk))
                self._check_said(world, recording, chunk)
        for call in self.calls:
            for piece in call.pieces:
                found = known.get(piece.document, [])
                if piece.known_at is None:
                    continue
                assert found, f"no record of {piece.document}"
                is_safe = any(chunk.state in IN_PLACE_STATES for _, chunk in found) or piece.document in self.touched
                is_safe = is_safe or any("alert.location_other_container" in kinds_of(one) for one, _ in found)
                # Only its own container is looked through: no event named another.
                is_near = any(recording.container_url == str(call.container) for recording, _ in found)
                could_be_had = self._could_be_had(world, piece, is_near=is_near)
                assert is_safe or not could_be_had, f"{piece.document} ({piece.way}) is lost"
                for recording, _ in found:
                    is_joined = recording.started is not None and recording.recording_id == call.recording_id
                    if is_joined and call.container_is_certain:
                        assert recording.container_url == str(call.container), "in another container than was asked for"

    @staticmethod
    def _could_be_had(world: World, piece: Piece, *, is_near: bool) -> bool:
        if piece.export is not None and is_near:
            return True
        if piece.gone_at is None or piece.known_at is None or piece.is_hopeless:
            return False
        return world.troubles.quiet(piece.known_at, piece.gone_at) >= ENOUGH

    def _check_said(self, world: World, recording: Recording, chunk: Chunk) -> None:
        said = {entry.kind for entry in recording.timeline if entry.chunk == chunk.index}
        if chunk.state in MISSING_STATES:
            assert f"alert.{chunk.state.value}" in said, f"{chunk.document_id} is missing, and no alert says so"
            return
        if chunk.state is ChunkState.DAMAGED:
            self._check_damaged(world, recording, chunk)
            return
        assert chunk.state in IN_PLACE_STATES, f"{chunk.document_id} is {chunk.state}"
        place = ContainerUrl.parse(recording.container_url)
        assert _LAYOUT.fullmatch((chunk.blob or "").removeprefix(f"{place.prefix}/" if place.prefix else "")), (
            chunk.blob
        )
        blob = world.containers.at(place).blobs.get(chunk.blob or "")
        assert blob is not None, f"{chunk.blob} is said to be there, and is not"
        assert chunk.size == len(blob.data), f"{chunk.size} bytes are said, {len(blob.data)} are there"
        assert chunk.sha256 in (None, digest(blob.data)), "the SHA-256 is of other bytes"
        piece = self.pieces.get(chunk.document_id)
        assert piece is not None, f"{chunk.document_id} never was, and is said to be there"
        # Open (docs/proofs.md): a second record takes the first one's unproven file for its own, and for proved.
        is_doubtful = piece.is_hopeless or chunk.blob in self.spoiled
        is_second = is_doubtful and sum(one.chunk(chunk.key) is not None for one in world.ledger.recordings()) > 1
        if chunk.proof is not Proof.NONE and not is_second:
            assert blob.data in piece.versions, f"{piece.document} ({piece.way}) has other bytes, proof {chunk.proof}"
        # Open, too: the copy is gone, and a person's file under its name is taken for ACS's export, unproven.
        elif blob.data not in piece.versions and not is_second and chunk.blob not in self.squatted:
            assert said & {"alert.unproven", "alert.export_broken"}, f"{piece.document} is not whole, and none says so"
            is_near = any(
                piece in call.pieces and str(call.container) == recording.container_url for call in self.calls
            )
            could_be_had = self._could_be_had(world, piece, is_near=is_near)
            is_all_there_is = piece.document in self.touched  # ACS's broken export, after a person lost the whole file
            assert is_all_there_is or not could_be_had, f"{piece.document} ({piece.way}) is not whole"

    def _check_damaged(self, world: World, recording: Recording, chunk: Chunk) -> None:
        kinds = {entry.kind for entry in recording.timeline if entry.chunk == chunk.index}
        assert "alert.damaged" in kinds, f"{chunk.document_id} is damaged, and no alert says so"
        blob = world.containers.at(ContainerUrl.parse(recording.container_url)).blobs.get(chunk.blob or "")
        is_whole = blob is not None and digest(blob.data) == chunk.sha256
        assert not is_whole, f"{chunk.blob} is said to be damaged, and is not"


def envelope(world: World, call: Call, claims: list[dict[str, Any]], **changes: Any) -> str:
    """A RecordingFileStatusUpdated event, in one of its forms."""
    rng, now = world.rng, world.scheduler.now
    subject = f"/recording/call/{call.ids['call']}/serverCallId/{call.ids['serverCallId']}"
    spelt = (call.recording_id or "").replace("=", "%3D") if rng.random() < 0.2 else call.recording_id or ""
    if changes.pop("names_recording", True):
        subject += f"/recordingId/{spelt}"
    body = {
        "recordingStorageInfo": {"recordingChunks": claims},
        "recordingStartTime": format_time(call.begin),
        "recordingDurationMs": rng.choice((1000, 1000, 1000, None)),
        "recordingContentType": "Audio",
        "recordingChannelType": "Mixed",
        "recordingFormatType": rng.choice(("Mp3", "mp3", None)),
        "sessionEndReason": "CallEnded",
        "storageType": rng.choice((None, None, "Acs", "AzureBlob")),
    } | changes
    body = {name: value for name, value in body.items() if value is not None}
    kind, at = "Microsoft.Communication.RecordingFileStatusUpdated", format_time(now)
    plain = {"id": f"event-{rng.randrange(10**6)}", "subject": subject, "data": body}
    if rng.random() < 0.3:
        cloud = plain | {"specversion": "1.0", "type": kind, "time": at, "source": "/acs"}
        return json.dumps([cloud] if rng.random() < 0.5 else cloud)
    return json.dumps(plain | {"topic": "/acs", "eventType": kind, "eventTime": at, "dataVersion": "1.0"})


def call_started(call: Call, at: datetime) -> str:
    """A CallStarted event: the call's server id and its group or room."""
    other = {"group": {"id": call.ids["groupCallId"]}, "room": {"id": call.ids["roomId"]}}
    data = {"serverCallId": call.ids["serverCallId"]} | other
    kind = "Microsoft.Communication.CallStarted"
    return json.dumps({"id": "1", "subject": "x", "eventType": kind, "eventTime": format_time(at), "data": data})


def kinds_of(recording: Recording) -> set[str]:
    """What the timeline tells of."""
    return {entry.kind for entry in recording.timeline}


def digest(data: bytes) -> str:
    """SHA-256 in hex."""
    import hashlib  # noqa: PLC0415 - beside its use

    return hashlib.sha256(data).hexdigest()


def form_of(data: bytes) -> str:
    """The extension of these bytes."""
    return "wav" if data.startswith(b"RIFF") else "mp4" if data[4:8] == b"ftyp" else "mp3"


def _name(call: Call, piece: Piece) -> str:
    form = form_of(piece.versions[-1])
    kind = "audiovideo" if form == "mp4" else "audio"
    return f"{call.folder}/{piece.index}-{kind}{form}.{piece.document}.{form}"


def _write(world: World, call: Call, piece: Piece, data: bytes) -> str:
    container = world.containers.at(call.container)
    name = _name(call, piece)
    if name not in container.blobs:
        refusal, container.refusal = container.refusal, None
        was, container.exists = container.exists, True
        container.put(name, data, content_type="audio/mpeg", overwrite=True)
        if world.rng.random() < 0.9:
            metadata = f"{call.folder}/{piece.index}-acsmetadata.{piece.document}.json"
            container.put(metadata, metadata_of(piece.document), content_type="application/json", overwrite=True)
        container.exists, container.refusal = was, refusal
    return name


def _drop_media(world: World, piece: Piece) -> None:
    for name in [name for name in world.media.files if f"/objects/{piece.document}/" in name]:
        del world.media.files[name]
