"""Decisions on looks at files that are in place: whether each of them is still there, and still the same.

    found                                   result      what follows
    no file, no container                   missing     damaged, with an alert
    another size, another SHA-256           differs     damaged, with an alert
    the same SHA-256                        intact      a damaged chunk is as it was before
    the same size and ETag, not read        intact      so far: the SHA-256 is compared in the background
    the same size, another ETag, not read   unknown     the same; without a known SHA-256 it stays unknown
    no answer                               unreachable asked again three times, in the background

An ETag alone proves no damage: setting a blob's metadata changes it. Nor does it heal: bytes that were found to
differ are believed again only by their SHA-256, where one is known.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from shared.domain import facts as f
from shared.domain import places
from shared.domain.byte_facts import copy_missing
from shared.domain.damage import damaged, described
from shared.domain.errors import Blame
from shared.domain.journal import alerted, noted
from shared.domain.planning import alert_once, going_on, later
from shared.domain.recording import CHECKED_STATES, IN_FALLBACK_STATES, Check, CheckResult, ChunkState, Manifest, Step
from shared.domain.steps import chunk_step

if TYPE_CHECKING:
    from shared.domain.context import Context
    from shared.domain.recording import Chunk, Recording

_ATTEMPTS = 3
BROKEN = frozenset({CheckResult.MISSING, CheckResult.DIFFERS})


def result_of(chunk: Chunk, fact: f.FileChecked) -> CheckResult:
    """What was found, compared with what is known of the chunk's file."""
    if fact.failure is not None:
        return CheckResult.UNREACHABLE
    if fact.size is None:
        return CheckResult.MISSING
    if chunk.size is not None and fact.size != chunk.size:
        return CheckResult.DIFFERS
    if fact.sha256 and chunk.sha256:
        return CheckResult.INTACT if fact.sha256 == chunk.sha256 else CheckResult.DIFFERS
    is_doubted = chunk.state is ChunkState.DAMAGED and chunk.sha256 is not None
    is_same = fact.etag is not None and fact.etag == chunk.etag
    return CheckResult.INTACT if is_same and not is_doubted else CheckResult.UNKNOWN


def file_checked(recording: Recording, chunk: Chunk, fact: f.FileChecked, c: Context) -> Recording:
    """The result in the timeline; damage, or its end. A look at what is no longer the chunk's file changes nothing."""
    if chunk.state in IN_FALLBACK_STATES:
        return _copy_checked(recording, chunk, fact, c)
    if chunk.state not in CHECKED_STATES or fact.name != chunk.blob:
        return recording
    result = result_of(chunk, fact)
    if fact.failure is not None:
        return noted(recording, "checked", at=c.now, by=c.by, chunk=chunk, code=result, detail=fact.failure.message)
    found = Check(result, c.now, fact.size, fact.etag, fact.sha256)
    recording = noted(recording, "checked", at=c.now, by=c.by, chunk=chunk, code=result, detail=described(chunk, found))
    if result in BROKEN:
        return damaged(recording, chunk, found, c)
    if result is CheckResult.UNKNOWN and chunk.state is ChunkState.DAMAGED:
        found = chunk.check or found  # what the damage is stays known until a SHA-256 ends it
    known = replace(chunk, check=found)
    if result is CheckResult.INTACT and chunk.state is ChunkState.DAMAGED:
        healed = known.to(chunk.before_damage or ChunkState.EXPORTED)
        known = replace(healed, before_damage=None, other_files=_without(chunk.other_files, chunk.blob))
        recording = noted(recording, "intact_again", at=c.now, by=c.by, chunk=chunk)
    if fact.sha256 or chunk.sha256 is None:
        etag = fact.etag if fact.sha256 and result is CheckResult.INTACT else chunk.etag
        done = replace(known, is_check_due=False, check_attempts=0, etag=etag)
        is_at_it = chunk.lease is None or chunk.lease.step is Step.CHECK
        known = going_on(done, c, is_same_plan=fact.generation == chunk.generation) if is_at_it else done
    return recording.with_chunk(known)


def _copy_checked(recording: Recording, chunk: Chunk, fact: f.FileChecked, c: Context) -> Recording:
    """The copy in the fallback: one that is gone sets the chunk going again, as when its delivery misses it."""
    if fact.name != places.fallback_copy(recording, chunk):
        return recording
    result = result_of(chunk, fact)
    detail = fact.failure.message if fact.failure else f"{fact.name} in the fallback: {fact.size} bytes"
    recording = noted(recording, "checked", at=c.now, by=c.by, chunk=chunk, code=result, detail=detail)
    if result not in BROKEN:
        return recording
    failure = f.Failure("fallback_missing", Blame.APP, f"a verification found {result.value} bytes in the fallback")
    return copy_missing(recording, chunk, f.CopyMissing(chunk.key, chunk.generation, failure), c)


def verification_asked(recording: Recording, fact: f.VerificationAsked, c: Context) -> Recording:
    """Every look counts at once; digests are compared in the background, where one is known, else taken."""
    recording = noted(replace(recording, verified_at=c.now), "verification", at=c.now, by=c.by)
    for look in fact.looks:
        chunk = recording.chunk(look.chunk_key)
        if chunk is None:
            continue
        recording = file_checked(recording, chunk, look, c)
        looked_at = recording.chunk(look.chunk_key)
        if looked_at is not None:
            recording = recording.with_chunk(_to_be_read(looked_at, look, c))
    for one in fact.metadata:
        chunk = recording.chunk(one.chunk_key)
        if chunk is not None:
            recording = metadata_checked(recording, chunk, one, c)
    if fact.has_manifest is False and recording.manifest.state == "written":
        again = replace(recording, manifest=Manifest("pending", recording.manifest.blob))
        recording = noted(again, "manifest_missing", at=c.now, by=c.by)
    return recording


def metadata_checked(recording: Recording, chunk: Chunk, fact: f.MetadataChecked, c: Context) -> Recording:
    """Metadata that is gone is a warning: the media is what it was. A replay fetches it while ACS has it."""
    if chunk.state not in CHECKED_STATES or fact.name != chunk.metadata_blob:
        return recording
    if fact.is_there and chunk.metadata_state == "missing":
        back = recording.with_chunk(replace(chunk, metadata_state="saved"))
        return noted(back, "metadata_there_again", at=c.now, by=c.by, chunk=chunk)
    if fact.is_there or chunk.metadata_state != "saved":
        return recording
    gone = recording.with_chunk(replace(chunk, metadata_state="missing"))
    return alerted(gone, "metadata_missing", at=c.now, level="warning", chunk=chunk, message=f"{fact.name} is gone")


def _to_be_read(chunk: Chunk, look: f.FileChecked, c: Context) -> Chunk:
    if chunk.state not in CHECKED_STATES or look.name != chunk.blob:
        return chunk
    result = result_of(chunk, look)
    if result in BROKEN:
        return chunk
    if chunk.sha256 is not None or result is CheckResult.UNREACHABLE:
        due = replace(chunk, is_check_due=True, check_attempts=0)
    elif result is CheckResult.INTACT and chunk.is_in_place and chunk.digest_state == "none":
        due = replace(chunk, digest_state="pending", digest_attempts=0)
    else:
        return chunk
    is_under_way = chunk.lease is not None or chunk_step(chunk) in (Step.METADATA, Step.PROVE)
    return due if is_under_way else due.rescheduled(c.now)


def check_failed(recording: Recording, chunk: Chunk, failure: f.Failure, c: Context) -> Recording:
    """The bytes could not be read: three attempts, then the timeline says why. It says nothing against the file."""
    attempts = chunk.check_attempts + 1
    if attempts < _ATTEMPTS and failure.code != "blob_archived":
        return recording.with_chunk(replace(chunk, check_attempts=attempts).rescheduled(later(c, attempts)))
    given_up = going_on(replace(chunk, is_check_due=False, check_attempts=0), c, is_same_plan=True)
    recording = noted(
        recording.with_chunk(given_up), "checked", at=c.now, chunk=chunk, code=CheckResult.UNREACHABLE,
        detail=f"{failure.code}: {failure.message}",
    )  # fmt: skip
    return alert_once(recording, chunk, failure, c) if failure.needs_person else recording


def _without(names: tuple[str, ...], gone: str | None) -> tuple[str, ...]:
    return tuple(name for name in names if name != gone)
