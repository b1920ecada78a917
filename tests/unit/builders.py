"""Recordings and chunks for tests, and Hypothesis's ways to make any."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from shared.domain import naming
from shared.domain.errors import Blame
from shared.domain.recording import Chunk, ChunkState, LastError, Manifest, Recording

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
ACCOUNT = "https://customer.blob.core.windows.net"
CONTAINER_URL = f"{ACCOUNT}/recordings"
MEDIA = "https://us-api.asm.skype.com/v1/objects/{}/content/video"
METADATA = "https://us-api.asm.skype.com/v1/objects/{}/content/acsmetadata"
DELETE = "https://us-api.asm.skype.com/v1/objects/{}"
FOLDER = "20261122/call-1/eyJQbGF0-guid"


def chunk(index: int = 0, state: ChunkState = ChunkState.PENDING, **changes: Any) -> Chunk:
    """A chunk as an event about a failed export makes it, or as it is lost."""
    document = f"0-eus-d1-{index:08x}"
    plain = Chunk(
        key=naming.chunk_key(document, index),
        document_id=document,
        index=index,
        state=state,
        media_location=MEDIA.format(document),
        metadata_location=METADATA.format(document),
        delete_location=DELETE.format(document),
        blob=f"{FOLDER}/{index}-audiomp3.{document}.mp3",
        metadata_blob=f"{FOLDER}/{index}-acsmetadata.{document}.json",
        next_try_at=None if state is ChunkState.LOST else NOON,
        first_seen_at=NOON,
    )
    return replace(plain, **changes)


def recording(*chunks: Chunk, **changes: Any) -> Recording:
    """A recording that ended at noon."""
    plain = Recording(
        key=naming.recording_key("recording-1"),
        container_url=CONTAINER_URL,
        created_at=NOON - HOUR,
        deadline=NOON + 24 * HOUR,
        recording_id="recording-1",
        call_id="call-1",
        folder=FOLDER,
        recording_start=NOON - HOUR,
        duration=HOUR,
        event_time=NOON,
        chunks=chunks,
    )
    return replace(plain, **changes)


_TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
# The ledger keeps milliseconds.
_TIMES = st.datetimes(datetime(2000, 1, 1), datetime(9000, 1, 1), timezones=st.just(UTC)).map(  # noqa: DTZ001 - Hypothesis wants naive bounds
    lambda moment: moment.replace(microsecond=moment.microsecond // 1000 * 1000)
)
_DURATIONS = st.integers(0, 10**10).map(lambda ms: timedelta(milliseconds=ms))


def _maybe(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | strategy


_LAST_ERRORS = st.builds(LastError, _TEXTS, st.sampled_from(Blame), _TEXTS, _TIMES, trace_id=_maybe(_TEXTS))
_CHUNKS = st.builds(
    Chunk,
    key=_TEXTS,
    document_id=_TEXTS,
    index=st.integers(0, 10**6),
    state=st.sampled_from(ChunkState),
    media_location=_maybe(_TEXTS),
    blob=_maybe(_TEXTS),
    size=_maybe(st.integers(0, 2**53)),
    tries=st.integers(0, 10**6),
    ticket=st.integers(1, 2**53),
    next_try_at=_maybe(_TIMES),
    tried_after_deadline=st.booleans(),
    last_error=_maybe(_LAST_ERRORS),
    finished_at=_maybe(_TIMES),
)
_MANIFESTS = st.builds(Manifest, st.sampled_from(("pending", "written", "given_up")), st.integers(0, 9), _maybe(_TIMES))
RECORDINGS = st.builds(
    Recording,
    key=_TEXTS,
    container_url=_TEXTS,
    created_at=_TIMES,
    deadline=_TIMES,
    recording_id=_maybe(_TEXTS),
    started_here=st.booleans(),
    duration=_maybe(_DURATIONS),
    events=st.lists(_TEXTS, max_size=3).map(tuple),
    alerts=st.lists(_TEXTS, max_size=3).map(tuple),
    chunks=st.lists(_CHUNKS, max_size=3).map(tuple),
    check_at=_maybe(_TIMES),
    manifest=_MANIFESTS,
    closed_at=_maybe(_TIMES),
)
