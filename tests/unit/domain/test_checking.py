"""Looks at files that are in place, as tables: what each says, what follows, and what a replay does about damage."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from shared.domain import facts as f
from shared.domain import places
from shared.domain.context import Context
from shared.domain.errors import Blame
from shared.domain.lifecycle import decide
from shared.domain.media import Proof
from shared.domain.recording import (
    Check,
    CheckResult,
    Chunk,
    ChunkState,
    Lease,
    Manifest,
    Recording,
    RecordingState,
    Step,
)
from shared.domain.steps import Rules, chunk_due, chunk_step
from tests.unit.builders import FOLDER, HOUR, NOON, chunk, recording

R, S = CheckResult, ChunkState
NAME = f"{FOLDER}/0-audiomp3.x.mp3"
NO_ANSWER = f.Failure("storage_unavailable", Blame.DESTINATION, "503")
REFUSED = f.Failure("storage_access_denied", Blame.DESTINATION, "403", needs_person=True)


def context(hours: float = 2, *, by: str = "app") -> Context:
    return Context(now=NOON + hours * HOUR, random=0.5, rules=Rules(), by=by)


def in_place(state: ChunkState = S.EXPORTED, **changes: object) -> Chunk:
    plain: dict[str, object] = {
        "blob": NAME, "size": 9, "etag": "1", "sha256": "aa", "digest_state": "done", "metadata_state": "saved",
        "is_confirmed": True, "next_attempt_at": None, "finished_at": NOON,
    }  # fmt: skip
    return chunk(0, state, **(plain | changes))


def closed(one: Chunk) -> Recording:
    return recording(one, closed_at=NOON, manifest=Manifest("written", f"{FOLDER}/manifest.json"))


def look(one: Chunk, size: int | None = 9, etag: str | None = "1", sha256: str | None = None) -> f.FileChecked:
    return f.FileChecked(one.key, one.generation, NAME, size, etag if size is not None else None, sha256)


def hurt(result: CheckResult = R.MISSING, **changes: Any) -> Chunk:
    found = Check(result, NOON, None if result is R.MISSING else 8, None if result is R.MISSING else "7")
    return in_place(S.DAMAGED, **({"before_damage": S.RESCUED, "check": found} | changes))


# What is known (digest, state), what is found (size, etag, digest), what that says.
LOOKS = [
    ("aa", S.EXPORTED, (None, None, None), R.MISSING),
    (None, S.EXPORTED, (None, None, None), R.MISSING),
    ("aa", S.RESCUED, (8, "1", None), R.DIFFERS),
    ("aa", S.RESCUED, (9, "2", "bb"), R.DIFFERS),
    ("aa", S.RESCUED, (9, "1", "bb"), R.DIFFERS),
    ("aa", S.DELIVERED, (9, "2", "aa"), R.INTACT),
    ("aa", S.DELIVERED, (9, "1", None), R.INTACT),
    ("aa", S.DELIVERED, (9, "2", None), R.UNKNOWN),
    (None, S.EXPORTED, (9, "1", None), R.INTACT),
    (None, S.EXPORTED, (9, "2", None), R.UNKNOWN),
    ("aa", S.DAMAGED, (9, "1", None), R.UNKNOWN),
    ("aa", S.DAMAGED, (9, "2", "aa"), R.INTACT),
    (None, S.DAMAGED, (9, "1", None), R.INTACT),
    (None, S.DAMAGED, (9, "2", None), R.UNKNOWN),
]


@pytest.mark.parametrize(("known", "state", "found", "result"), LOOKS)
def test_what_a_look_says_and_what_follows(
    known: str | None, state: ChunkState, found: tuple[int | None, str | None, str | None], result: CheckResult
) -> None:
    one = hurt(sha256=known) if state is S.DAMAGED else in_place(state, sha256=known)
    after = decide(closed(one), look(one, *found), context(by="key:night"))
    [entry] = [entry for entry in after.timeline if entry.kind == "checked"]
    assert (entry.code, entry.by, entry.at, entry.chunk) == (result, "key:night", NOON + 2 * HOUR, 0)
    [now] = after.chunks
    if result in (R.MISSING, R.DIFFERS):
        assert (now.state, now.before_damage, after.state) == (S.DAMAGED, state, RecordingState.DAMAGED)
        assert [(alert.name, alert.code, alert.chunk) for alert in after.outbox] == [("damaged", result, 0)]
        # What the file was stays known, and the manifest is written again.
        assert (now.blob, now.size, now.sha256, after.manifest.state) == (NAME, 9, known, "pending")
    elif state is S.DAMAGED:
        assert (now.state, after.outbox) == (S.RESCUED if result is R.INTACT else S.DAMAGED, ())
    else:
        assert (now.state, after.outbox, after.closed_at) == (state, (), NOON)


def test_damage_is_alerted_once_and_again_when_it_becomes_another() -> None:
    one = in_place()
    names = []
    given = closed(one)
    for found in (look(one, None), look(one, None), look(one, 8), look(one, 8), look(one, None)):
        given = decide(given, replace(found, generation=given.chunks[0].generation), context())
        names.append([alert.code for alert in given.outbox])
    assert [len(each) for each in names] == [1, 1, 2, 2, 3]
    assert given.chunks[0].before_damage is S.EXPORTED


@pytest.mark.parametrize(
    "state", [one for one in ChunkState if one not in (S.EXPORTED, S.RESCUED, S.DELIVERED, S.DAMAGED)]
)
def test_a_look_at_what_is_not_in_place_changes_nothing(state: ChunkState) -> None:
    given = recording(chunk(0, state, blob=NAME, size=9, fallback_blob="elsewhere"))
    assert decide(given, look(given.chunks[0], None), context()) is given


def test_a_look_at_an_earlier_file_changes_nothing() -> None:
    one = in_place(blob=f"{FOLDER}/other.mp3")
    given = closed(one)
    assert decide(given, look(one, None), context()) is given


def test_damage_ends_the_plan_of_a_worker_that_is_at_the_chunk() -> None:
    one = in_place(digest_state="pending", lease=Lease(Step.PROVE, "m", NOON + 3 * HOUR), next_attempt_at=NOON)
    after = decide(closed(one), look(one, None), context())
    assert (after.chunks[0].lease, after.chunks[0].next_attempt_at, chunk_step(after.chunks[0])) == (None, None, None)
    stale = f.Failed(one.key, one.generation, Step.PROVE, NO_ANSWER)
    assert decide(after, stale, context()) is after
    late = f.Proved(one.key, one.generation, NAME, "1", 9, "aa", is_media=True)
    assert decide(after, late, context()) is after


@pytest.mark.parametrize(
    ("fact", "result"),
    [
        (f.Proved("", 1, NAME, "2", 8, "bb", is_media=True), R.DIFFERS),
        (f.Failed("", 1, Step.PROVE, f.Failure("blob_missing", Blame.DESTINATION, "gone")), R.MISSING),
    ],
)
def test_a_first_digest_that_finds_the_file_gone_or_of_another_size_is_damage(
    fact: f.ChunkFact, result: CheckResult
) -> None:
    one = in_place(digest_state="pending", sha256=None)
    after = decide(closed(one), replace(fact, chunk_key=one.key), context())
    assert (after.chunks[0].state, [alert.code for alert in after.outbox]) == (S.DAMAGED, [result])


# The digest that is known, its state, what is found, and the step that follows in the background.
ASKED = [
    ("aa", "done", (9, "1"), Step.CHECK),
    ("aa", "done", (9, "2"), Step.CHECK),
    (None, "none", (9, "1"), Step.PROVE),
    (None, "none", (9, "2"), None),  # a digest taken now would prove bytes that may have been changed
    (None, "unavailable", (9, "1"), None),
    ("aa", "done", (None, None), None),
    ("aa", "done", (8, "1"), None),
]


@pytest.mark.parametrize(("sha256", "digest", "found", "step"), ASKED)
def test_a_verification_has_digests_compared_in_the_background(
    sha256: str | None, digest: str, found: tuple[int | None, str | None], step: Step | None
) -> None:
    one = in_place(sha256=sha256, digest_state=digest)
    after = decide(closed(one), f.VerificationAsked((look(one, *found),)), context(by="entra:42"))
    assert chunk_step(after.chunks[0]) is step
    assert after.verified_at == NOON + 2 * HOUR
    assert (after.timeline[0].kind, after.timeline[0].by) == ("verification", "entra:42")
    if step is not None:
        assert after.chunks[0].generation > one.generation
        assert chunk_due(after.chunks[0]) == NOON + 2 * HOUR


def test_a_container_that_gives_no_answer_is_asked_again_in_the_background() -> None:
    one = in_place()
    unanswered = replace(look(one, None), failure=NO_ANSWER)
    after = decide(closed(one), f.VerificationAsked((unanswered,)), context())
    assert (after.chunks[0].state, after.outbox, chunk_step(after.chunks[0])) == (S.EXPORTED, (), Step.CHECK)


@pytest.mark.parametrize(
    ("failure", "attempts", "alerts"),
    [
        (NO_ANSWER, 3, []),
        (f.Failure("blob_archived", Blame.DESTINATION, "archived"), 1, []),
        (REFUSED, 3, ["storage_access_denied"]),
    ],
)
def test_bytes_that_cannot_be_read_say_nothing_against_the_file(
    failure: f.Failure, attempts: int, alerts: list[str]
) -> None:
    given = closed(in_place(is_check_due=True))
    for number in range(1, attempts + 1):
        one = given.chunks[0]
        assert chunk_step(one) is Step.CHECK, number
        given = decide(given, f.Failed(one.key, one.generation, Step.CHECK, failure), context(number))
    [one] = given.chunks
    assert (one.state, one.is_check_due, chunk_step(one)) == (S.EXPORTED, False, None)
    assert [alert.name for alert in given.outbox] == alerts
    assert ("checked", "unreachable") in [(entry.kind, entry.code) for entry in given.timeline]


def test_a_copy_that_is_gone_from_the_fallback_is_fetched_again() -> None:
    one = chunk(0, S.UNDELIVERABLE, blob=NAME, fallback_blob="k/a.mp3", size=9, sha256="aa")
    gone = f.FileChecked(one.key, one.generation, "k/a.mp3")
    after = decide(recording(one), f.VerificationAsked((gone,)), context())
    assert (after.chunks[0].state, [alert.name for alert in after.outbox]) == (S.PENDING, ["fallback_missing"])
    there = replace(gone, size=9, etag="5")
    assert decide(recording(one), f.VerificationAsked((there,)), context()).chunks[0].state is S.UNDELIVERABLE


# --- what a replay does about damage


@pytest.mark.parametrize(
    ("changes", "hours", "step"),
    [
        ({}, 2, Step.FETCH),
        ({}, 30, Step.LAST_LOOK),
        ({"sources": ()}, 2, Step.LAST_LOOK),
        ({"deletion": "done"}, 2, Step.LAST_LOOK),
    ],
)
def test_a_replay_brings_damaged_bytes_again_from_where_they_may_be(
    changes: dict[str, Any], hours: float, step: Step
) -> None:
    given = closed(hurt(**changes))
    after = decide(given, f.Replayed(), context(hours, by="key:night"))
    [one] = after.chunks
    assert (one.state, chunk_step(one), after.closed_at) == (S.PENDING, step, None)
    assert after.timeline[-1].kind == "replayed"
    # No deadline alert where ACS has nothing any more.
    warned = decide(after, f.Warned(), context(hours))
    assert [alert.name for alert in warned.outbox] == []


def test_what_differs_is_kept_and_the_bytes_are_stored_beside_it() -> None:
    own = decide(closed(hurt(R.DIFFERS)), f.Replayed(), context()).chunks[0].folder
    assert own
    assert own != FOLDER
    again = hurt(R.DIFFERS, blob=f"{own}/0-audiomp3.x.mp3")
    after = decide(closed(again), f.Replayed(), context()).chunks[0]
    assert after.folder not in (None, own)
    assert after.other_files == (again.blob,)
    assert decide(closed(hurt(R.MISSING)), f.Replayed(), context()).chunks[0].folder is None


def test_damage_that_nothing_could_mend_stays_damage_and_is_no_loss() -> None:
    given = decide(closed(hurt()), f.Replayed(), context(30))
    one = given.chunks[0]
    after = decide(given, f.NowhereFound(one.key, one.generation), context(30))
    [now] = after.chunks
    assert (now.state, now.before_damage, now.size, now.sha256) == (S.DAMAGED, S.RESCUED, 9, "aa")
    assert [alert.name for alert in after.outbox] == []
    assert after.timeline[-1].kind == "still_damaged"
    # And a file that was put back is known by its digest, at its old name.
    back = decide(after, replace(look(now, 9, "5", "aa"), generation=now.generation), context(31))
    assert (back.chunks[0].state, back.chunks[0].before_damage) == (S.RESCUED, None)


def test_no_event_sets_a_damaged_chunk_going() -> None:
    one = hurt()
    export = f.ExportFound(one.key, one.generation, NAME, 9, "1", one.proof)
    assert decide(closed(one), export, context()).chunks[0].state is S.DAMAGED
    elsewhere = replace(export, name=f"{FOLDER}-2/0-audiomp3.x.mp3")
    assert decide(closed(one), elsewhere, context()).chunks[0].state is S.EXPORTED


# A file is found where the damaged one was: its size and its digest, and what it is taken for.
FOUND_AGAIN = [
    (9, "aa", S.EXPORTED, None),
    (9, None, S.EXPORTED, Step.CHECK),  # the known digest decides, as soon as its bytes are read
    (8, None, S.PENDING, Step.FETCH),
    (9, "bb", S.PENDING, Step.FETCH),
]


@pytest.mark.parametrize(("size", "sha256", "state", "step"), FOUND_AGAIN)
@pytest.mark.parametrize("is_ours", [True, False])
def test_a_replay_takes_no_other_file_for_the_one_that_was_there(
    size: int, sha256: str | None, state: ChunkState, step: Step | None, *, is_ours: bool
) -> None:
    given = decide(closed(hurt()), f.Replayed(), context())
    one = given.chunks[0]
    found: f.Fact = f.ExportFound(one.key, one.generation, NAME, size, "7", one.proof, sha256=sha256)
    if is_ours:
        found = f.Stored(
            one.key, one.generation, NAME, is_fallback=False, size=size, proof=Proof.LENGTH, sha256=sha256, etag="7"
        )
    after = decide(given, found, context()).chunks[0]
    assert after.state is (S.RESCUED if is_ours and state is S.EXPORTED else state)
    assert chunk_step(after) is step
    if state is S.PENDING:
        assert (after.other_files, after.folder) == ((NAME,), places.beside(given, one, "7").folder)
    else:
        assert (after.sha256, after.digest_state, after.before_damage) == ("aa", "done", None)


def test_what_a_replay_fetches_from_acs_counts_whatever_was_there_before() -> None:
    given = decide(closed(hurt()), f.Replayed(), context())
    one = given.chunks[0]
    fetched = f.Stored(
        one.key, one.generation, NAME, is_fallback=False, size=7, proof=Proof.LENGTH, sha256="cc", source="https://x"
    )
    after = decide(given, fetched, context()).chunks[0]
    assert (after.state, after.size, after.sha256) == (S.RESCUED, 7, "cc")


@pytest.mark.parametrize("is_for_a_person", [True, False])
def test_a_digest_that_waits_for_a_person_is_an_alert(*, is_for_a_person: bool) -> None:
    """Nothing else says that a role was taken away since."""
    held = recording(in_place(sha256=None, digest_state="pending", next_attempt_at=NOON))
    failure = f.Failure("storage_access_denied", Blame.DESTINATION, "403", needs_person=is_for_a_person)
    for _ in range(9):
        one = held.chunks[0]
        held = decide(held, f.Failed(one.key, one.generation, Step.PROVE, failure), context())
    assert held.chunks[0].digest_state == "unavailable"
    assert [alert.name for alert in held.outbox if alert.is_alert] == ["storage_access_denied"] * is_for_a_person
