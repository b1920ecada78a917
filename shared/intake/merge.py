"""What an event makes of a recording. Pure; reports are folded in, nothing that was known is taken away.

Folding is the same in any order and any number of times: candidates are joined, the earliest plausible end of ACS's
window is the smallest that any report makes so, the latest one the largest. So a forged or a wrong first event costs a
genuine chunk nothing. Only the folder of a chunk is fixed, once its first fetch has begun.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from shared.domain import naming, places
from shared.domain.errors import TooManyUntried
from shared.domain.journal import alerted, is_raised, noted
from shared.domain.locations import ContainerUrl, Place, document_root, media_location
from shared.domain.recording import (
    CHECKED_STATES,
    IN_FALLBACK_STATES,
    IN_PLACE_STATES,
    MISSING_STATES,
    Chunk,
    ChunkState,
    Manifest,
    Recording,
    Source,
)

if TYPE_CHECKING:
    from shared.domain.locations import AllowList, BlobLocation
    from shared.domain.steps import Rules
    from shared.intake.event import ChunkClaim, RecordingFileStatus

_KEPT_EVENTS = 3
_MOST_SOURCES = 4
_MOST_NAMES = 4
_MOST_UNCONFIRMED = 64
_GRACE = timedelta(hours=1)
_LONGEST = timedelta(hours=72)
# The folder of a recording as ACS lays it out, at whatever place in the container.
_LAYOUT = re.compile(r"(?:.+/)?\d{8}/[^/]+/[^/]+")
# With the longest file name of ours below it, it is still a blob name in the destination and in the fallback.
_LONGEST_FOLDER = 800


@dataclass(frozen=True)
class Report:
    """An event about a recording, as it was received. `raw` has no secrets in it."""

    status: RecordingFileStatus
    raw: str
    received_at: datetime


class Merge:
    """Folds reports into recordings."""

    def __init__(self, *, allowed: AllowList, default_container: ContainerUrl, rules: Rules) -> None:
        self._allowed = allowed
        self._default = default_container
        self._rules = rules

    def merge(self, before: Recording | None, key: str, report: Report, *, is_unmatched: bool) -> Recording:
        """The recording with what the event reports; the same object where that is nothing new.

        TooManyUntried where there is no room before something was tried: the event is to be delivered again.
        """
        status, now = report.status, report.received_at
        fresh = Recording(key=key, container_url=str(self._container(status)), created_at=now)
        recording = self._described(before or fresh, status)
        for claim in status.chunks:
            recording = self._with_claim(recording, status, claim, now)
        if before is not None and recording == before:
            return before
        is_reopened = any(_is_under_way(before, chunk) for chunk in recording.chunks)
        if is_reopened and recording.closed_at is not None:
            recording = replace(recording, closed_at=None, manifest=Manifest("pending", recording.manifest.blob))
        if len(recording.events) < _KEPT_EVENTS and report.raw not in recording.events:
            recording = replace(recording, events=(*recording.events, report.raw))
        recording = noted(
            replace(recording, event_check_at=None), "reported", at=now, by="acs", detail=_described_in(status)
        )
        if is_unmatched:
            recording = noted(recording, "event_unmatched", at=now, detail="the event names no recording of this app")
        return self._with_doubts(recording, status, now)

    def _described(self, recording: Recording, status: RecordingFileStatus) -> Recording:
        """What the event says of the recording itself, where nothing was known."""
        started = recording.started
        container = recording.container_url
        # Bytes of it are in its container, or were: a file that is damaged is looked for where it was.
        is_fixed = started is not None or any(
            chunk.folder or chunk.is_safe or chunk.before_damage for chunk in recording.chunks
        )
        if not is_fixed and recording.chunks and self._claimed_place(status) is not None:
            container = str(self._container(status))
        described = replace(
            recording,
            container_url=container,
            recording_id=recording.recording_id or status.recording_id,
            call_id=recording.call_id or status.call_id or status.server_call_id,
            server_call_id=recording.server_call_id or status.server_call_id,
            recording_start=recording.recording_start or status.recording_start,
            duration=recording.duration or status.duration,
            content_type=recording.content_type or status.content_type or None,
            channel_type=recording.channel_type or status.channel_type or None,
            format_type=recording.format_type or status.format_type or (started.format if started else None),
            session_end_reason=recording.session_end_reason or status.session_end_reason,
        )
        if container != recording.container_url:
            chunks = tuple(replace(chunk, exports=(), metadata_exports=()) for chunk in described.chunks)
            described = replace(described, chunks=chunks, folder=None)
        folder = described.folder or self._sibling_folder(status, places.container_of(described))
        return replace(described, folder=folder)

    # --- one chunk

    def _with_claim(
        self, recording: Recording, status: RecordingFileStatus, claim: ChunkClaim, now: datetime
    ) -> Recording:
        key = naming.chunk_key(claim.document_id, claim.index)
        known = recording.chunk(key)
        claimed = self._reported(recording, status, claim, now)
        if known is not None:
            recording = recording.with_chunk(_folded(known, claimed, now))
            late = [name for name in claimed.exports if name not in (*known.exports, known.blob)]
            if known.is_safe and late:
                recording = noted(recording, "late_export", at=now, by="acs", chunk=known, detail=late[0])
            return recording
        recording = _with_room(recording, now)
        chunks = sorted((*recording.chunks, claimed), key=lambda chunk: (chunk.index, chunk.key))
        return replace(recording, chunks=tuple(chunks))

    def _reported(self, recording: Recording, status: RecordingFileStatus, claim: ChunkClaim, now: datetime) -> Chunk:
        """The chunk as this event alone would make it."""
        sources, deletions, metadata = self._at_acs(claim, now)
        export = self._export(recording, claim.content_location)
        metadata_export = self._export(recording, claim.metadata_location)
        at_risk_from, abandon_after = self._window(recording, status, now)
        has_metadata = bool(metadata or metadata_export)
        is_reported_at_acs = any(not source.is_derived for source in sources)
        return Chunk(
            key=naming.chunk_key(claim.document_id, claim.index),
            document_id=claim.document_id,
            index=claim.index,
            state=ChunkState.EXPECTED if export and not is_reported_at_acs else ChunkState.PENDING,
            at_risk_from=at_risk_from,
            abandon_after=abandon_after,
            reported_at=now,
            end_reason=claim.end_reason,
            sources=sources,
            exports=(export,) if export else (),
            metadata_sources=metadata,
            metadata_exports=(metadata_export,) if metadata_export else (),
            delete_locations=deletions,
            format_hint=status.format_type or None,
            metadata_state="pending" if has_metadata else "absent",
            next_attempt_at=now,
        )

    @staticmethod
    def _at_acs(claim: ChunkClaim, now: datetime) -> tuple[tuple[Source, ...], tuple[str, ...], tuple[str, ...]]:
        """URLs that may give the media, deletions and metadata: only those that name the chunk's own document.

        Any other is never fetched: it would store a stranger's call.
        """
        content, metadata, delete = (
            url
            for location in (claim.content_location, claim.metadata_location, claim.delete_location)
            for url in [media_location(location)]
        )
        sources: list[Source] = []
        if content and document_root(content, claim.document_id):
            sources.append(Source(content, now))
        for other in (delete, metadata):
            root = document_root(other, claim.document_id) if other else None
            if root and all(source.url != f"{root}/content/video" for source in sources):
                sources.append(Source(f"{root}/content/video", now, is_derived=True))
        own = [url for url in (delete, metadata) if url and document_root(url, claim.document_id)]
        kept = (metadata,) if metadata in own and metadata else ()
        if not kept and claim.metadata_location and sources:
            # Reported in the container only; where that does not hold, ACS has it beside the media.
            root = document_root(sources[0].url, claim.document_id)
            kept = (f"{root}/content/acsmetadata",)
        return tuple(sources), (delete,) if delete in own and delete else (), kept

    def _window(self, recording: Recording, status: RecordingFileStatus, now: datetime) -> tuple[datetime, datetime]:
        """The earliest and the latest plausible end of ACS's window (its start is not documented).

        Bounded by the receipt: no event is older than what it reports. What was started here ended after that.
        """
        event_time = min(status.event_time or now, now)
        end = event_time
        if status.recording_start is not None and status.duration is not None:
            end = min(status.recording_start + status.duration, now)
        earliest, latest = min(end, event_time), max(end, event_time)
        if recording.started is not None:
            earliest = max(earliest, min(recording.created_at, now))
            latest = max(latest, earliest)
        abandon_after = max(latest + self._rules.window + _GRACE, now + _GRACE)
        return earliest + self._rules.window, min(abandon_after, now + _LONGEST)

    # --- places

    def _claimed_place(self, status: RecordingFileStatus) -> BlobLocation | None:
        found = (self._allowed.locate(claim.content_location or "") for claim in status.chunks)
        return next((one for one in found if one), None)

    def _container(self, status: RecordingFileStatus) -> ContainerUrl:
        """For a recording not started here: where its exported chunks are, else the default."""
        found = self._claimed_place(status)
        if found is None or _is_in(self._default, found):
            return self._default
        return found.place

    def _sibling_folder(self, status: RecordingFileStatus, container: ContainerUrl) -> str | None:
        """The folder that ACS made for chunks of this recording: the others belong beside them.

        Only one within the recording's own place and laid out as ACS does it: an event names no other folder to us.
        """
        for claim in status.chunks:
            found = self._allowed.locate(claim.content_location or "")
            folder = found.name.rpartition("/")[0] if found and _is_in(container, found) else ""
            if _LAYOUT.fullmatch(folder) and len(folder) <= _LONGEST_FOLDER:
                return folder
        return None

    def _export(self, recording: Recording, location: str | None) -> str | None:
        """The blob name that `location` claims in the recording's own container, if it does."""
        found = self._allowed.locate(location or "")
        return found.name if found and _is_in(places.container_of(recording), found) else None

    # --- doubts

    def _with_doubts(self, recording: Recording, status: RecordingFileStatus, now: datetime) -> Recording:
        """Alerts on locations that this app does not go to for this recording, and disagreements for the timeline."""
        for claim in status.chunks:
            place = self._allowed.classify(claim.content_location)
            url = media_location(claim.content_location)
            name = None
            if place is Place.MEDIA and url and not document_root(url, claim.document_id):
                name = "location_of_another_document"
            elif claim.content_location and place in (Place.FOREIGN, Place.OTHER_BLOB):
                name = f"location_{place.value}"
            elif place is Place.DESTINATION and self._export(recording, claim.content_location) is None:
                name = "location_other_container"
            if name and not is_raised(recording, name):
                recording = alerted(
                    recording, name, at=now, chunk=recording.chunk(naming.chunk_key(claim.document_id, claim.index))
                )
            kind = (status.storage_type or "").lower()
            is_at_odds = (place is Place.MEDIA and "blob" in kind) or (
                place is Place.DESTINATION and ("acs" in kind or "communication" in kind)
            )
            if is_at_odds:
                recording = noted(recording, "storage_type_at_odds", at=now, code=status.storage_type)
        for fault in status.faults[:20]:
            recording = noted(recording, "event_fault", at=now, detail=fault)
        return recording


def _described_in(status: RecordingFileStatus) -> str:
    return f"{len(status.chunks)} chunks, event {status.event_id[:64]}"


def _is_in(container: ContainerUrl, found: BlobLocation) -> bool:
    """Whether the blob is in `container`, below its prefix."""
    return container.contains(replace(found.place, prefix=found.name))


def _is_under_way(before: Recording | None, chunk: Chunk) -> bool:
    known = before.chunk(chunk.key) if before else None
    return known is None or known.generation != chunk.generation


def _with_room(recording: Recording, now: datetime) -> Recording:
    """The recording with room for one more chunk that nothing confirmed yet; one that was tried makes room."""
    unconfirmed = [chunk for chunk in recording.chunks if not chunk.is_confirmed and not chunk.is_safe]
    if len(unconfirmed) < _MOST_UNCONFIRMED:
        return recording
    tried = [chunk for chunk in unconfirmed if chunk.attempts and not chunk.lease]
    if not tried:
        raise TooManyUntried(f"{len(unconfirmed)} chunks of this recording wait for their first attempt")
    out = max(tried, key=lambda chunk: (chunk.attempts, chunk.reported_at))
    left = tuple(chunk for chunk in recording.chunks if chunk.key != out.key)
    return noted(replace(recording, chunks=left), "unconfirmed_chunk_dropped", at=now, code=None)


def _folded(known: Chunk, claimed: Chunk, now: datetime) -> Chunk:
    """What is known of the chunk, and what this report adds."""
    sources = _joined_sources(known.sources, claimed.sources)
    is_new_source = {one.url for one in sources} != {one.url for one in known.sources}
    exports = _joined(known.exports, claimed.exports)
    has_metadata = bool(claimed.metadata_sources or claimed.metadata_exports)
    folded = replace(
        known,
        sources=sources,
        exports=exports,
        metadata_sources=_joined(known.metadata_sources, claimed.metadata_sources),
        metadata_exports=_joined(known.metadata_exports, claimed.metadata_exports),
        delete_locations=_joined(known.delete_locations, claimed.delete_locations),
        format_hint=known.format_hint or claimed.format_hint,
        end_reason=known.end_reason or claimed.end_reason,
    )
    if not known.is_in_place:
        latest = min(max(known.abandon_after, claimed.abandon_after), known.reported_at + _LONGEST)
        folded = replace(folded, at_risk_from=min(known.at_risk_from, claimed.at_risk_from), abandon_after=latest)
    if known.metadata_state == "absent" and has_metadata and not (known.metadata_sources or known.metadata_exports):
        folded = replace(folded, metadata_state="pending")
        if known.state in IN_PLACE_STATES:
            return folded.rescheduled(now)
    if known.state in CHECKED_STATES | IN_FALLBACK_STATES or known.lease is not None:
        return folded  # a report never moves the plan while a worker is at it
    return _hurried(known, folded, now, is_new_source=is_new_source, is_new_export=exports != known.exports)


def _hurried(known: Chunk, folded: Chunk, now: datetime, *, is_new_source: bool, is_new_export: bool) -> Chunk:
    """Planned now, where the report gives something new to try; a lost chunk is taken up again."""
    if not (is_new_source or is_new_export):
        return folded
    fresh = replace(folded, failures=0, is_last_attempt_done=False)
    if known.state in MISSING_STATES:
        if is_new_source and now < folded.abandon_after:
            return replace(fresh.to(ChunkState.PENDING), is_exhausted=False, finished_at=None).rescheduled(now)
        return replace(fresh, is_exhausted=True).rescheduled(now)
    is_over = folded.is_exhausted and now >= folded.abandon_after
    return replace(fresh, is_exhausted=is_over).rescheduled(now)


def _joined(known: tuple[str, ...], claimed: tuple[str, ...]) -> tuple[str, ...]:
    """Newest first; the oldest make room."""
    return tuple(dict.fromkeys((*(one for one in claimed if one not in known), *known)))[:_MOST_NAMES]


def _joined_sources(known: tuple[Source, ...], claimed: tuple[Source, ...]) -> tuple[Source, ...]:
    """Reported ones before derived ones, newest first. What failed makes room, what was never tried does not."""
    by_url = {source.url: source for source in known}
    for source in claimed:
        old = by_url.get(source.url)
        by_url[source.url] = replace(old, is_derived=old.is_derived and source.is_derived) if old else source
    sources = list(by_url.values())
    while len(sources) > _MOST_SOURCES:
        tried = [source for source in sources if source.failures]
        if not tried:
            raise TooManyUntried("a chunk has more untried locations than are kept")
        sources.remove(max(tried, key=lambda source: source.failures))
    newest_first = sorted(sources, key=lambda source: source.reported_at, reverse=True)
    return tuple(sorted(newest_first, key=lambda source: source.is_derived))
