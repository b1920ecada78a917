"""Calls, recordings and chunks: the emulator's state, and the plan of a recording's end."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from local.acs.formats import SHAPES
from local.acs.media import MAX_SIZE

if TYPE_CHECKING:
    from datetime import datetime

    from local.acs.event_form import EventForm
    from local.acs.media import Media
    from local.acs.request import StartRequest

# How an export can end. `ok` is success. The next four fail: nothing is written. The emulator itself notices a missing
# container; the others are scripted. The rest of them claim what is not so.
EXPORT_KINDS = (
    "ok",
    "container-missing",
    "role-missing",
    "firewall",
    "service-outage",
    "ok-but-media-url",
    "claimed-missing",
    "claimed-empty",
    "claimed-truncated",
    "claimed-one-byte",
    "claimed-zeros",
    "claimed-html",
)
_SHAPES = {shape for shapes in SHAPES.values() for shape in shapes}
# The service's longest chunk has 4 h; at the highest rate (wav of five channels) this much still is under MAX_SIZE.
_LONGEST = timedelta(hours=7)


@dataclass(frozen=True)
class ChunkPlan:
    """How big one chunk becomes: by bytes, by duration, or both. ValueError: no media can be made of that.

    `shape`: one of its format's `formats.SHAPES`; empty: the first.
    """

    size: int | None = None
    duration: timedelta | None = None
    shape: str = ""

    def __post_init__(self) -> None:
        if self.size is not None and not 0 <= self.size <= MAX_SIZE:
            raise ValueError(f"a chunk has from 0 to {MAX_SIZE} bytes, not {self.size}")
        if self.duration is not None and not timedelta(0) <= self.duration <= _LONGEST:
            raise ValueError(f"a chunk lasts from 0 s to {_LONGEST}, not {self.duration}")
        if self.shape and self.shape not in _SHAPES:
            raise ValueError(f"a chunk's shape is one of {', '.join(sorted(_SHAPES))}")


@dataclass(frozen=True)
class EndPlan:
    """What comes of a recording when it ends.

    `chunks` empty: as many as the recording's duration needs. `export`: one of `EXPORT_KINDS`;
    `export_failed_chunks`: the failure strikes only these (with `export` ok: as a service outage).
    `export_bytes`: how much of a chunk a `claimed-truncated` export writes (default: half). `keep_media`: ACS keeps
    the media of exports that it claims, too. `event_delay` None: the emulator's own. `duplicate_events`: how often the
    event comes again.
    `session_end_reason` None: `CallEnded`, or `InitiatorLeft` after a stop. `event_form` None: the emulator's own.
    """

    chunks: tuple[ChunkPlan, ...] = ()
    export: str = "ok"
    export_failed_chunks: frozenset[int] | None = None
    export_bytes: int | None = None
    keep_media: bool = False
    event_delay: timedelta | None = None
    duplicate_events: int = 0
    publish_event: bool = True
    session_end_reason: str | None = None
    event_form: EventForm | None = None

    def __post_init__(self) -> None:
        if self.export not in EXPORT_KINDS:
            raise ValueError(f"export must be one of {', '.join(EXPORT_KINDS)}")

    def export_of(self, chunk: int) -> str:
        """The kind of export that the chunk with this index gets."""
        if self.export_failed_chunks is None:
            return self.export
        if chunk not in self.export_failed_chunks:
            return "ok"
        return "service-outage" if self.export == "ok" else self.export


@dataclass
class Call:
    """One call. `state`: connecting, established or terminated."""

    call_id: str
    call_connection_id: str
    server_call_id: str
    group_call_id: str | None
    room_id: str | None
    participants: tuple[str, ...]
    state: str
    plan: EndPlan
    created_at: datetime
    ended_at: datetime | None = None
    has_begun: bool = False


@dataclass
class Chunk:
    """One finished piece of a recording, and what has happened to it since."""

    index: int
    media: Media
    started_at: datetime
    duration: timedelta
    end_reason: str
    content_location: str = ""
    metadata_location: str = ""
    delete_location: str | None = None
    export: str = "none"
    held: bool = True
    deleted: bool = False
    blob_urls: list[str] = field(default_factory=list)
    requests: dict[str, int] = field(default_factory=dict)

    @property
    def document_id(self) -> str:
        """The name under which the media store keeps the chunk."""
        return self.media.document_id

    @property
    def claims_export(self) -> bool:
        """Whether the service holds this chunk for exported, rightly or not."""
        return self.export.startswith(("ok", "claimed", "late"))


@dataclass
class Recording:
    """One recording. `state`: active, paused or ended; failed: its start was answered, and then it never was."""

    recording_id: str
    call: Call
    request: StartRequest
    folder_guid: str
    state: str
    started_at: datetime
    plan: EndPlan
    pauses: list[tuple[datetime, datetime | None]] = field(default_factory=list)
    ended_at: datetime | None = None
    session_end_reason: str = "CallEnded"
    chunks: list[Chunk] = field(default_factory=list)
    events: list[dict[str, object]] = field(default_factory=list)
    requests: dict[str, int] = field(default_factory=dict)
    published: bool = False

    @property
    def service_state(self) -> str:
        """The state as the service answers it: inactive while paused and after the end."""
        return "active" if self.state in {"active", "failed"} else "inactive"
