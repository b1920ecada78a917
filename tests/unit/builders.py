"""Recordings and chunks for tests, and Hypothesis's ways to make any."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from shared.domain import naming
from shared.domain.errors import Blame
from shared.domain.journal import Entry, PendingAlert
from shared.domain.media import Proof
from shared.domain.recording import Chunk, ChunkState, Lease, Manifest, Plan, Problem, Recording, Source, Spare, Step

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
ACCOUNT = "https://customer.blob.core.windows.net"
CONTAINER_URL = f"{ACCOUNT}/recordings"
MEDIA = "https://us-api.asm.skype.com/v1/objects/{}/content/video"
METADATA = "https://us-api.asm.skype.com/v1/objects/{}/content/acsmetadata"
DELETE = "https://us-api.asm.skype.com/v1/objects/{}/content/deletedata"
FOLDER = "20261122/call-1/eyJQbGF0-guid"


def chunk(index: int = 0, state: ChunkState = ChunkState.PENDING, **changes: Any) -> Chunk:
    """A chunk as an event about a failed export makes it, or as it is lost."""
    document = f"0-eus-d1-{index:08x}"
    plain = Chunk(
        key=naming.chunk_key(document, index),
        document_id=document,
        index=index,
        state=state,
        at_risk_from=NOON + 24 * HOUR,
        abandon_after=NOON + 25 * HOUR,
        reported_at=NOON,
        sources=(Source(MEDIA.format(document), NOON),),
        metadata_sources=(METADATA.format(document),),
        delete_locations=(DELETE.format(document),),
        next_attempt_at=None if state in (ChunkState.LOST, ChunkState.UNCONFIRMED) else NOON,
    )
    return replace(plain, **changes)


def recording(*chunks: Chunk, **changes: Any) -> Recording:
    """A recording that ended at noon."""
    plain = Recording(
        key=naming.recording_key("recording-1"),
        container_url=CONTAINER_URL,
        created_at=NOON - HOUR,
        recording_id="recording-1",
        call_id="call-1",
        folder=FOLDER,
        recording_start=NOON - HOUR,
        duration=HOUR,
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


_PROBLEMS = st.builds(Problem, _TEXTS, st.sampled_from(Blame), _TEXTS, _TIMES, trace_id=_maybe(_TEXTS))
_CHUNKS = st.builds(
    Chunk,
    key=_TEXTS,
    document_id=_TEXTS,
    index=st.integers(0, 10**6),
    state=st.sampled_from(ChunkState),
    at_risk_from=_TIMES,
    abandon_after=_TIMES,
    reported_at=_TIMES,
    sources=st.lists(st.builds(Source, _TEXTS, _TIMES, st.booleans(), st.integers(0, 99)), max_size=3).map(tuple),
    exports=st.lists(_TEXTS, max_size=2).map(tuple),
    proof=st.sampled_from(Proof),
    spare=_maybe(st.builds(Spare, st.sampled_from(("destination", "fallback")), _TEXTS, st.integers(0, 2**40))),
    lease=_maybe(st.builds(Lease, st.sampled_from(Step), _TEXTS, _TIMES)),
    warned=_maybe(_DURATIONS),
    blob=_maybe(_TEXTS),
    size=_maybe(st.integers(0, 2**53)),
    attempts=st.integers(0, 10**6),
    generation=st.integers(1, 2**53),
    next_attempt_at=_maybe(_TIMES),
    last_error=_maybe(_PROBLEMS),
    finished_at=_maybe(_TIMES),
)
_PLANS = st.builds(Plan, _maybe(_TIMES), st.integers(0, 9))
RECORDINGS = st.builds(
    Recording,
    key=_TEXTS,
    container_url=_TEXTS,
    created_at=_TIMES,
    recording_id=_maybe(_TEXTS),
    duration=_maybe(_DURATIONS),
    events=st.lists(_TEXTS, max_size=3).map(tuple),
    timeline=st.lists(st.builds(Entry, _TEXTS, _TIMES, _TEXTS), max_size=3).map(tuple),
    outbox=st.lists(st.builds(PendingAlert, st.integers(1, 99), _TEXTS, _TEXTS, _TIMES), max_size=3).map(tuple),
    chunks=st.lists(_CHUNKS, max_size=3).map(tuple),
    event_check_at=_maybe(_TIMES),
    manifest=st.builds(Manifest, st.sampled_from(("pending", "written", "given_up")), _maybe(_TEXTS)),
    finishing=_PLANS,
    closed_at=_maybe(_TIMES),
    revision=st.integers(0, 2**40),
)
