"""A bounded walk over decisions from new chunks: every fact at three moments, until `MOST` shapes.

Which recording goes next is drawn (from a fixed seed): breadth first the walk would end before it met deliveries.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest

from shared.domain import facts as f
from shared.domain.context import Context
from shared.domain.errors import Blame
from shared.domain.lifecycle import decide
from shared.domain.media import Proof
from shared.domain.recording import IN_PLACE_STATES, Chunk, ChunkState, Lease, Problem, Recording, Step
from shared.domain.steps import Rules, chunk_due, chunk_step, next_due
from tests.unit.builders import FOLDER, NOON, chunk, recording

RULES = Rules()
# Within the window; after it; after the days of delivery and of late looks.
MOMENTS = tuple(NOON + timedelta(hours=hours) for hours in (1, 26, 300))
MOST = 2500


def failure(code: str, *, is_persons: bool = False) -> f.Failure:
    return f.Failure(code, Blame.ACS, "m", needs_person=is_persons)


def all_facts(of: Recording) -> list[f.Fact]:
    one = of.chunks[0]
    key, plan = one.key, one.generation
    export, kept = f"{FOLDER}/0-audiomp3.x.mp3", f"{of.key}/{FOLDER}/0-audiomp3.x.mp3"
    there = one.placed.name if one.placed else one.blob or export
    facts: list[f.Fact] = [
        f.StepStarted(key, plan, chunk_step(one) or Step.FETCH, "m", NOON + timedelta(hours=2)),
        f.LeaseKept(key, plan, one.lease.step if one.lease else Step.FETCH, "m", NOON + timedelta(hours=3)),
        f.ExportFound(key, plan, export, 9, '"1"', Proof.NONE),
        f.ExportFound(key, plan - 1, export, 9, '"1"', Proof.LENGTH, metadata_blob="m.json"),
        f.ExportDoubtful(key, plan, export, 9, failure("export_broken")),
        f.Stored(key, plan, export, is_fallback=False, size=9, proof=Proof.LENGTH, sha256="aa"),
        f.Stored(key, plan - 1, kept, is_fallback=True, size=9, proof=Proof.LENGTH),
        f.Stored(key, plan, kept, is_fallback=True, size=9, proof=Proof.NONE, refusal=failure("media_unproven")),
        f.Copied(key, plan, export, '"2"'),
        f.Copied(key, plan, export, '"2"', is_same=True),
        f.Copied(key, plan, export, '"2"', is_ours=True),
        f.CopyMissing(key, plan, failure("fallback_missing")),
        f.Continued(key, plan, chunk_step(one) or Step.FETCH),
        f.WorkerDied(key, plan, one.lease or Lease(Step.FETCH, "m", NOON)),
        f.Overdue(key, plan),
        f.NowhereFound(key, plan),
        f.MetadataSaved(key, plan, "m.json"),
        f.MetadataAbsent(key, plan),
        f.Proved(key, plan, there, '"3"', 9, "aa", is_media=True),
        f.Proved(key, plan, there, '"3"', 8, "bb", is_media=False),
        f.FileChecked(key, plan, one.blob or export),
        f.FileChecked(key, plan, one.blob or export, 8, '"4"'),
        f.FileChecked(key, plan, one.blob or export, 9, one.etag, one.sha256),
        f.FileChecked(key, plan, one.blob or export, 9, '"5"', failure=failure("storage_unavailable")),
        f.MetadataChecked(key, plan, one.metadata_blob or "m.json", is_there=False),
        f.MetadataChecked(key, plan, one.metadata_blob or "m.json", is_there=True),
        f.VerificationAsked((f.FileChecked(key, plan, one.blob or one.fallback_blob or export, 9, one.etag),)),
        f.LengthConfirmed(key, plan, one.blob or export),
        f.Cleaned(key, plan, one.leftovers),
        f.Deleted(key, plan),
        f.Finished("manifest.json", of.revision),
        f.Warned(),
        f.Replayed(),
        f.ActionTaken("paused"),
        f.Linked("other"),
        f.Published(tuple(alert.seq for alert in of.outbox)),
        f.AcsAnswered("inactive"),
        f.StartAnswered("rid"),
    ]
    for step in (Step.VERIFY, Step.FETCH, Step.LAST_LOOK, Step.DELIVER, Step.METADATA, Step.PROVE, Step.CHECK):
        facts += [f.Failed(key, plan, step, failure(code)) for code in ("media_unavailable", "export_not_found")]
        facts.append(f.Failed(key, plan, step, failure("storage_refused", is_persons=True), progress=1))
    facts += [
        f.StepFailed(step, failure("storage_unavailable"))
        for step in (Step.FINISH, Step.CLEAN, Step.DELETE_AT_ACS, Step.PUBLISH, Step.ASK_ACS)
    ]
    return facts


def shape(of: Recording) -> tuple[object, ...]:
    """What of a recording decides how it goes on: counters and moments are left out, or cut short."""
    one = of.chunks[0]
    return (
        one.state, one.is_exhausted, one.is_last_attempt_done, one.metadata_state, one.digest_state,
        one.placed and one.placed.is_ours,
        one.spare and one.spare.where, one.lease and one.lease.step, one.is_confirmed, min(one.failures, 2),
        min(one.crashes, 3), min(one.digest_attempts, 3), bool(one.leftovers), one.next_attempt_at is None,
        one.sha256 is None, of.closed_at is None, of.manifest.state, one.is_check_due, one.before_damage,
    )  # fmt: skip


def is_stuck(of: Recording) -> bool:
    for one in of.chunks:
        if chunk_step(one) is not None and chunk_due(one) is None:
            return True
    return of.closed_at is None and next_due(of, RULES) is None


def assert_explained(one: Chunk) -> None:
    """Bytes that nothing more is to be done for have a size, and a SHA-256 or the reason why not."""
    if one.is_safe and chunk_step(one) is None:
        assert one.size is not None, one
        assert one.sha256 or one.digest_problem, one


NEW: tuple[Chunk, ...] = (
    chunk(state=ChunkState.EXPECTED, exports=(f"{FOLDER}/0-audiomp3.x.mp3",)),
    chunk(state=ChunkState.EXPECTED, sources=(), metadata_sources=(), exports=(f"{FOLDER}/0-audiomp3.x.mp3",)),
    chunk(),
    chunk(sources=(), metadata_sources=(), metadata_state="absent"),
    chunk(last_error=Problem("media_not_found", Blame.ACS, "m", NOON), is_exhausted=True),
)


@pytest.mark.parametrize("new", NEW, ids=["expected", "expected-only", "pending", "no-source", "exhausted"])
def test_no_reachable_recording_is_stuck_and_finished_stays_finished(new: Chunk) -> None:
    start = recording(new)
    seen, edge, order = {shape(start)}, [start], random.Random(1)  # noqa: S311 - an order, no secret
    gone_on: Counter[ChunkState] = Counter()
    while edge and len(seen) < MOST:
        # Of the state that was gone on from least often: no state of many shapes crowds out the others.
        rarest = min({one.chunks[0].state for one in edge}, key=lambda state: (gone_on[state], state))
        before = order.choice([one for one in edge if one.chunks[0].state is rarest])
        edge.remove(before)
        gone_on[rarest] += 1
        for now in MOMENTS:
            context = Context(now=now, random=0.5, rules=RULES)
            for fact in all_facts(before):
                after = decide(before, fact, context)
                if after is before:
                    continue
                assert not is_stuck(after), f"{fact} after {before.chunks[0]} gives {after.chunks[0]}"
                assert_explained(after.chunks[0])
                if before.chunks[0].state in IN_PLACE_STATES:
                    is_look = isinstance(fact, f.FileChecked | f.Proved | f.VerificationAsked)
                    allowed = {before.chunks[0].state} | ({ChunkState.DAMAGED} if is_look else set())
                    assert after.chunks[0].state in allowed, fact
                # Timelines and outboxes only grow: they are no part of the walk.
                known = replace(after, timeline=(), outbox=())
                if shape(known) not in seen:
                    seen.add(shape(known))
                    edge.append(known)
    assert {state for state, *_ in seen} >= {
        ChunkState.EXPORTED,
        ChunkState.RESCUED,
        ChunkState.DELIVERED,
        ChunkState.DAMAGED,
    }
