"""Decisions on facts about bytes: true whenever they arrive, at any generation, in any state, any number of times."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from shared.domain import facts as f
from shared.domain import naming, places
from shared.domain.damage import damaged
from shared.domain.journal import alerted, noted
from shared.domain.media import Proof
from shared.domain.plan_facts import attempt_failed, deliver_failed
from shared.domain.planning import alert_once, cause_alerted, going_on, noted_failure, slowly
from shared.domain.recording import IN_FALLBACK_STATES, Check, CheckResult, ChunkState, Placed, Spare, Step

_DIGEST_ATTEMPTS = 3

if TYPE_CHECKING:
    from shared.domain.context import Context
    from shared.domain.recording import Chunk, Recording


def export_found(recording: Recording, chunk: Chunk, fact: f.ExportFound, c: Context) -> Recording:
    """ACS's file is what the destination has of the chunk; a copy of ours in the fallback is of no more use."""
    if chunk.state is ChunkState.DAMAGED and fact.name == chunk.blob:
        return recording  # a look at that very file came to another result (`checking.py`)
    if chunk.is_in_place:
        is_known = fact.name == chunk.blob
        return recording if is_known else noted(recording, "late_export", at=c.now, chunk=chunk, detail=fact.name)
    if _is_another_file(chunk, fact):
        return recording.with_chunk(places.beside(recording, chunk, fact.etag).rescheduled(c.now))
    sha256 = fact.sha256 or (chunk.sha256 if chunk.before_damage and fact.name == chunk.blob else None)
    digest = "done" if sha256 else "pending" if c.rules.digests_exports else "none"
    found = _in_place(
        recording,
        chunk,
        ChunkState.EXPORTED,
        c,
        blob=fact.name,
        size=fact.size,
        etag=fact.etag,
        proof=fact.proof,
        format=fact.format,
        sha256=sha256,
        digest_state=digest,
        is_check_due=sha256 != fact.sha256,
        proved_at=c.now if fact.proof is not Proof.NONE else None,
    )
    if fact.metadata_blob:
        found = replace(found, metadata_state="saved", metadata_blob=fact.metadata_blob)
    elif chunk.state in IN_FALLBACK_STATES and chunk.metadata_state == "saved":
        # What was saved of it is in the fallback, and the export has none beside it.
        found = replace(found, metadata_state="pending" if chunk.metadata_sources else "absent", metadata_blob=None)
    found = going_on(found, c, is_same_plan=fact.generation == chunk.generation)
    return noted(recording.with_chunk(found), "exported", at=c.now, chunk=chunk, detail=fact.detail or fact.name)


def export_doubtful(recording: Recording, chunk: Chunk, fact: f.ExportDoubtful, c: Context) -> Recording:
    """Kept in case nothing better comes; ACS's own copy is fetched, beside it."""
    if not chunk.is_missing:
        return recording
    if _is_another_file(chunk, fact):
        return recording.with_chunk(places.beside(recording, chunk, fact.etag).rescheduled(c.now))
    spare = Spare("destination", fact.name, fact.size)
    kept = chunk if chunk.spare and chunk.spare.size >= fact.size else replace(chunk, spare=spare)
    if kept.folder is None or fact.name.startswith(f"{kept.folder}/"):
        kept = places.in_own_folder(recording, kept)
    return attempt_failed(recording.with_chunk(kept), kept, fact, fact.failure, c)


def stored(recording: Recording, chunk: Chunk, fact: f.Stored, c: Context) -> Recording:
    """This app wrote the bytes. What it wrote in vain (another worker was faster) is to be cleaned up."""
    is_damaged = chunk.state is ChunkState.DAMAGED and fact.name == chunk.blob
    if (chunk.is_in_place or is_damaged) and not fact.is_fallback:
        return recording
    if chunk.is_in_place:
        return recording.with_chunk(replace(chunk, leftovers=_joined(chunk.leftovers, fact.name)))
    if chunk.state in IN_FALLBACK_STATES and fact.proof is Proof.NONE:
        # A copy that is better is kept already.
        is_other = fact.is_fallback and fact.name != chunk.fallback_blob
        left = _joined(chunk.leftovers, fact.name) if is_other else chunk.leftovers
        return recording.with_chunk(replace(chunk, leftovers=left))
    if fact.proof is Proof.NONE and not chunk.is_exhausted:
        return _unproven(recording, chunk, fact, c)
    return _taken(recording, chunk, fact, c)


def _taken(recording: Recording, chunk: Chunk, fact: f.Stored, c: Context) -> Recording:
    """The chunk with those bytes; where they were found, not fetched, only if they are what a damaged file was."""
    is_found = fact.source is None and not fact.is_fallback
    if is_found and _is_another_file(chunk, fact):
        return recording.with_chunk(places.beside(recording, chunk, fact.etag).rescheduled(c.now))
    is_back = is_found and chunk.before_damage is not None and fact.name == chunk.blob
    sha256 = fact.sha256 or (chunk.sha256 if is_back else None)
    facts: dict[str, Any] = {
        "size": fact.size,
        "sha256": sha256,
        "etag": fact.etag,
        "format": fact.format,
        "proof": fact.proof,
        "is_confirmed": True,
        "digest_state": "done" if sha256 else "pending",
        "proved_at": c.now,
    }
    if fact.is_fallback:
        return _kept_in_fallback(recording, chunk, fact, c, facts)
    done = _in_place(
        recording, chunk, ChunkState.RESCUED, c, blob=fact.name, is_check_due=sha256 != fact.sha256, **facts
    )
    done = going_on(done, c, is_same_plan=fact.generation == chunk.generation)
    return noted(recording.with_chunk(done), "rescued", at=c.now, chunk=chunk, detail=fact.name)


def _kept_in_fallback(
    recording: Recording, chunk: Chunk, fact: f.Stored, c: Context, facts: dict[str, Any]
) -> Recording:
    if chunk.state in IN_FALLBACK_STATES:
        return recording
    # Where it is in the fallback says nothing of its place: it may have been taken for unproven at first.
    blob = places.media_name(recording, chunk, fact.format)
    kept = replace(chunk.to(ChunkState.IN_FALLBACK, **facts), blob=blob, fallback_blob=fact.name)
    kept = replace(kept, is_exhausted=False, failures=0, failing_since=None, finished_at=c.now, safe_at=c.now)
    kept = replace(kept, attempts=kept.attempts + 1, staged=None, check=None, before_damage=None)
    if fact.refusal:
        kept = kept.failed(fact.refusal.at(c.now, step=Step.FETCH))
    recording = noted(recording.with_chunk(kept.rescheduled(c.now)), "kept_in_fallback", at=c.now, chunk=chunk)
    return cause_alerted(recording, kept, fact.refusal, c) if fact.refusal else recording


def _unproven(recording: Recording, chunk: Chunk, fact: f.Stored, c: Context) -> Recording:
    """Bytes of which nothing says that they are all: kept, and asked for again while the window lasts."""
    spare = Spare("fallback", fact.name, fact.size, fact.sha256, fact.format)
    old, kept = chunk.spare, replace(chunk, is_confirmed=True)
    if old is None or old.where != "fallback" or old.size < fact.size:
        kept = replace(kept, spare=spare)
        if old is not None and old.where == "fallback":
            kept = replace(kept, leftovers=_joined(kept.leftovers, old.name))
    elif old.name != fact.name:
        kept = replace(kept, leftovers=_joined(kept.leftovers, fact.name))
    recording = noted(recording.with_chunk(kept), "kept_unproven", at=c.now, chunk=chunk, detail=f"{fact.size} bytes")
    return attempt_failed(recording, kept, fact, fact.refusal, c) if fact.refusal else recording


def copied(recording: Recording, chunk: Chunk, fact: f.Copied, c: Context) -> Recording:
    """Delivered where the bytes were compared on the way; else that is a separate step."""
    if chunk.state not in IN_FALLBACK_STATES:
        return recording
    if not fact.is_same or chunk.sha256 is None:
        waits = replace(chunk.to(ChunkState.IN_FALLBACK), placed=Placed(fact.name, fact.etag, fact.is_ours), failures=0)
        return recording.with_chunk(replace(waits, digest_attempts=0).rescheduled(c.now))
    return _delivered(recording, chunk, fact.name, fact.etag, c, is_same_plan=fact.generation == chunk.generation)


def _delivered(
    recording: Recording, chunk: Chunk, name: str, etag: str, c: Context, *, is_same_plan: bool, **changes: Any
) -> Recording:
    digest = "done" if changes.get("sha256") or chunk.sha256 else "unavailable"
    if chunk.metadata_state == "saved" and chunk.metadata_blob:
        # It was placed beside the media, wherever that is: ACS may have exported it elsewhere meanwhile.
        changes["metadata_blob"] = f"{name.rpartition('/')[0]}/{chunk.metadata_blob.rpartition('/')[2]}"
    done = _in_place(
        recording, chunk, ChunkState.DELIVERED, c, **{"blob": name, "etag": etag, "digest_state": digest} | changes
    )
    done = going_on(done, c, is_same_plan=is_same_plan)
    return noted(recording.with_chunk(done), "delivered", at=c.now, chunk=chunk, detail=name)


def proved(recording: Recording, chunk: Chunk, fact: f.Proved, c: Context) -> Recording:
    """All bytes were read back from where they are."""
    is_same_plan = fact.generation == chunk.generation
    if chunk.placed and chunk.placed.name == fact.name and chunk.state is ChunkState.IN_FALLBACK:
        # Without a digest of the copy only a file that was written from it is known to be the same.
        is_same = chunk.sha256 == fact.sha256 if chunk.sha256 else chunk.placed.is_ours
        if chunk.size == fact.size and is_same:
            # The same as the copy: that proves no more than was known of the copy.
            proof = Proof.DIGEST if chunk.sha256 and chunk.proof is not Proof.NONE else chunk.proof
            return _delivered(
                recording, chunk, fact.name, fact.etag, c, is_same_plan=is_same_plan, sha256=fact.sha256, proof=proof
            )
        message = f"{fact.name} is not known to have the bytes of the copy in the fallback"
        return _delivered_elsewhere(recording, chunk, Placed(fact.name, fact.etag), c, message)
    kept = places.fallback_copy(recording, chunk) if chunk.state is ChunkState.UNDELIVERABLE else None
    if fact.name != (chunk.blob if chunk.is_in_place else kept) or chunk.digest_state != "pending":
        return recording
    if chunk.size is not None and fact.size != chunk.size:
        return damaged(recording, chunk, Check(CheckResult.DIFFERS, c.now, fact.size, fact.etag, fact.sha256), c)
    proof = chunk.proof
    if fact.is_media and proof is Proof.NONE:
        proof = Proof.STRUCTURE
    if fact.is_media is False and proof is Proof.STRUCTURE:
        proof = Proof.NONE
    known = replace(
        chunk, sha256=fact.sha256, digest_state="done", proof=proof, proved_at=c.now, failures=0, lease=None
    )
    recording = recording.with_chunk(going_on(known, c, is_same_plan=is_same_plan))
    if fact.is_media is False and chunk.state is ChunkState.EXPORTED and proof is Proof.NONE:
        recording = alerted(
            recording, "export_broken", at=c.now, level="warning", chunk=chunk, message=fact.detail or fact.name
        )
    return noted(recording, "digest", at=c.now, chunk=chunk, detail=fact.sha256)


def _delivered_elsewhere(recording: Recording, chunk: Chunk, placed: Placed, c: Context, message: str) -> Recording:
    """The file in the destination is not known to be the copy in the fallback: kept, and delivered elsewhere."""
    apart = places.in_own_folder(recording, replace(chunk, placed=None, lease=None))
    file = (chunk.blob or "").rpartition("/")[2]
    blob = f"{apart.folder}/{file}"
    if blob == placed.name:
        blob = f"{apart.folder}/{naming.apart(file, placed.etag)}"
    others = _joined(chunk.other_files, placed.name)
    again = slowly(replace(apart, blob=blob, other_files=others, failures=chunk.failures + 1), c)
    recording = recording.with_chunk(again)
    return alerted(recording, "destination_conflict", at=c.now, chunk=chunk, message=message)


def prove_failed(recording: Recording, chunk: Chunk, failure: f.Failure, fact: f.Failed, c: Context) -> Recording:
    """Three attempts; then the digest is unavailable, with the reason. What this app delivered counts by its length."""
    again = replace(noted_failure(chunk, failure, c), digest_attempts=chunk.digest_attempts + 1)
    is_gone = failure.code in ("blob_missing", "precondition_failed")
    if chunk.placed and is_gone:
        return deliver_failed(recording, replace(chunk, placed=None), failure, fact, c)
    if is_gone and chunk.is_in_place and failure.code == "blob_missing":
        return damaged(recording, chunk, Check(CheckResult.MISSING, c.now), c)
    if again.digest_attempts < _DIGEST_ATTEMPTS and not (is_gone or failure.code == "blob_archived"):
        return recording.with_chunk(slowly(again, c))
    reason = {"digest_problem": failure.code, "failures": 0}
    if chunk.placed and not chunk.placed.is_ours:
        # Its size is all that is known of it: the copy stays until another place has the bytes.
        message = f"{chunk.placed.name} cannot be read ({failure.code}) to be compared with the copy in the fallback"
        return _delivered_elsewhere(recording, chunk, chunk.placed, c, message)
    if chunk.placed:
        return _delivered(
            recording, again, chunk.placed.name, chunk.placed.etag, c, is_same_plan=True,
            **reason, proof=Proof.LENGTH if chunk.proof is not Proof.NONE else Proof.NONE,
        )  # fmt: skip
    given_up = replace(again, digest_state="unavailable", lease=None, **reason)  # type: ignore[arg-type]  # a mapping
    recording = recording.with_chunk(going_on(given_up, c, is_same_plan=True))
    recording = noted(recording, "digest_unavailable", at=c.now, chunk=chunk, code=failure.code)
    return alert_once(recording, chunk, failure, c) if failure.needs_person else recording


def copy_missing(recording: Recording, chunk: Chunk, fact: f.CopyMissing, c: Context) -> Recording:
    """The bytes are in no place of ours any more: back to ACS, as long as that may have them, and an alert."""
    if chunk.state not in IN_FALLBACK_STATES:
        return recording
    waits = "pending" if chunk.metadata_sources else chunk.metadata_state
    gone = (
        replace(
            chunk.to(ChunkState.PENDING),
            size=None,
            sha256=None,
            proof=Proof.NONE,
            digest_state="none",
            fallback_blob=None,
            placed=None,
            finished_at=None,
            failures=0,
            metadata_state=waits,
            is_last_attempt_done=False,
            safe_at=None,
        )
        .failed(fact.failure.at(c.now, step=Step.DELIVER))
        .rescheduled(c.now)
    )
    recording = alerted(recording.with_chunk(gone), fact.failure.code, at=c.now, chunk=chunk)
    return noted(recording, "copy_missing", at=c.now, chunk=chunk)


def metadata_saved(recording: Recording, chunk: Chunk, fact: f.MetadataSaved, c: Context) -> Recording:
    """The metadata is beside the media, in the destination or in the fallback."""
    if chunk.metadata_state == "saved":
        return recording
    saved = replace(chunk, metadata_state="saved", metadata_blob=fact.name, failures=0, is_confirmed=True)
    if chunk.state in IN_FALLBACK_STATES:
        return recording.with_chunk(saved)
    return recording.with_chunk(going_on(saved, c, is_same_plan=fact.generation == chunk.generation))


def metadata_absent(recording: Recording, chunk: Chunk, fact: f.MetadataAbsent, c: Context) -> Recording:
    """No event said where metadata would be; a later one still may (`intake/merge.py`)."""
    if chunk.metadata_state != "pending":
        return recording
    absent = replace(chunk, metadata_state="absent")
    if chunk.state in IN_FALLBACK_STATES:
        return recording.with_chunk(absent)
    return recording.with_chunk(going_on(absent, c, is_same_plan=fact.generation == chunk.generation))


def length_confirmed(recording: Recording, chunk: Chunk, fact: f.LengthConfirmed, c: Context) -> Recording:
    """ACS has exactly as many bytes as the file in the destination."""
    if not chunk.is_in_place or fact.name != chunk.blob or chunk.proof in (Proof.LENGTH, Proof.DIGEST):
        return recording
    return recording.with_chunk(replace(chunk, proof=Proof.LENGTH, proved_at=c.now))


def cleaned(recording: Recording, chunk: Chunk, fact: f.Cleaned, _c: Context) -> Recording:
    """Nothing of these names is in the fallback."""
    left = tuple(name for name in chunk.leftovers if name not in fact.names)
    return recording.with_chunk(replace(chunk, leftovers=left))


def deleted(recording: Recording, chunk: Chunk, fact: f.Deleted, c: Context) -> Recording:
    """Deleted at ACS, or left to ACS's own window."""
    done = replace(chunk, deletion="failed" if fact.is_refused else "done")
    kind = "deletion_refused" if fact.is_refused else "deleted_at_acs"
    return noted(recording.with_chunk(done), kind, at=c.now, chunk=chunk, code=fact.code)


# --- helpers


def _is_another_file(chunk: Chunk, fact: f.ExportFound | f.ExportDoubtful | f.Stored) -> bool:
    """Whether a file that was found where a damaged one was is not the one that was there."""
    if chunk.before_damage is None or not chunk.is_at_risk or fact.name != chunk.blob:
        return False
    sha256 = None if isinstance(fact, f.ExportDoubtful) else fact.sha256
    return fact.size != chunk.size or (None not in (sha256, chunk.sha256) and sha256 != chunk.sha256)


def _in_place(recording: Recording, chunk: Chunk, state: ChunkState, c: Context, **changes: Any) -> Chunk:
    """The chunk in the destination. What earlier attempts may have left in the fallback is to be cleaned up."""
    left = chunk.leftovers
    if chunk.fallback_blob:
        left = _joined(left, chunk.fallback_blob)
    if chunk.spare and chunk.spare.where == "fallback":
        left = _joined(left, chunk.spare.name)
    if chunk.attempts or chunk.crashes or chunk.continuations or chunk.state in IN_FALLBACK_STATES:
        names = [*places.possible_names(recording, chunk), places.metadata_name(recording, chunk)]
        if chunk.metadata_blob:  # saved before the chunk got another place
            names.append(chunk.metadata_blob)
        left = _joined(left, *(places.fallback_name(recording, name) for name in names))
    has_metadata = chunk.metadata_sources or chunk.metadata_exports
    waits = chunk.metadata_state if has_metadata or chunk.metadata_state == "saved" else "absent"
    return replace(
        chunk.to(state, **changes),
        leftovers=left,
        metadata_state=waits,
        fallback_blob=None,
        placed=None,
        spare=None,
        staged=None,
        check=None,
        is_check_due=changes.get("is_check_due", False),
        before_damage=None,
        is_exhausted=False,
        is_last_attempt_done=False,
        is_confirmed=True,
        failures=0,
        failing_since=None,
        digest_attempts=0,
        attempts=chunk.attempts + 1,
        finished_at=c.now,
        safe_at=chunk.safe_at or c.now,
        lease=None,
        next_attempt_at=None,
    )


def _joined(names: tuple[str, ...], *more: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*names, *more)))
