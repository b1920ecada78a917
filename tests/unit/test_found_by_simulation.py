"""Mistakes that the simulation found, each as short as it could be made."""

from __future__ import annotations

from dataclasses import replace

import pytest

from shared import index
from shared.domain import facts as f
from shared.domain import places
from shared.domain.context import Context
from shared.domain.errors import MediaUnavailable, StorageAccessDenied, StorageUnavailable
from shared.domain.lifecycle import decide
from shared.domain.locations import ContainerUrl
from shared.domain.media import Proof
from shared.domain.recording import ChunkState, Placed, Step
from shared.domain.steps import Rules
from shared.ports import WorkItem
from shared.worker import deliver, prove
from shared.worker.message import encode_message
from tests.support.fakes import ACCOUNT, CONTAINER, lies, settings
from tests.unit.builders import NOON, chunk, recording
from tests.unit.rig import DAY, HOUR, MEDIA, MINUTE, Rig, claim, event, mp3

_VIDEO = f"{MEDIA}/doc-0/content/video"


@pytest.fixture
def rig() -> Rig:
    return Rig()


def test_a_broken_file_under_the_chunks_own_name_keeps_no_bytes_out_of_the_fallback(rig: Rig) -> None:
    """The look before the commit met that file again, on the way to the fallback too: 24 hours of failed attempts."""
    data = rig.put_media()
    rig.media.lie(_VIDEO, *[lies.failing(MediaUnavailable("503"))] * 3)
    rig.receive(event())
    rig.run()
    name = places.media_name(rig.recording, rig.chunk, "mp3")
    rig.destination.put(name, data[:-100], content_type="audio/mpeg", overwrite=True)
    rig.live(HOUR)
    assert rig.state() is ChunkState.IN_FALLBACK
    assert rig.fallback.blobs[rig.chunk.fallback_blob or ""].data == data
    assert "destination_conflict" in rig.notifier.names


def test_a_late_export_is_found_behind_the_first_page_of_its_folder(rig: Rig) -> None:
    """Storage answers with as few names as it likes; the rest was never looked at, and the chunk was called lost."""
    rig.destination.find_limit = 1
    rig.receive(event())
    folder = "20261122/call-1/rec-1-guid"
    rig.destination.put(f"{folder}/0-acsmetadata.doc-0.json", b"{}", content_type="application/json", overwrite=True)
    rig.destination.put(f"{folder}/0-audiomp3.doc-0.mp3", mp3(), content_type="audio/mpeg", overwrite=True)
    rig.live(HOUR)
    assert rig.state() is ChunkState.EXPORTED


def test_what_an_attempt_left_in_the_fallback_is_found_behind_the_first_page(rig: Rig) -> None:
    data = rig.put_media()
    rig.receive(event())
    folder = places.fallback_name(rig.recording, places.folder_of(rig.recording, rig.chunk))
    rig.fallback.find_limit = 1
    rig.fallback.put(f"{folder}/0-a.json", b"{}", content_type="application/json", overwrite=True)
    name = places.fallback_name(rig.recording, places.media_name(rig.recording, rig.chunk, "mp3"))
    rig.fallback.put(name, data, content_type="audio/mpeg", overwrite=True, sha256="00" * 32)
    rig.drop_media()
    rig.live(2 * DAY)
    assert rig.chunk.size == len(data)


def test_an_id_is_known_by_every_page_of_its_index(rig: Rig) -> None:
    """A room's id is known by each recording of its calls: the newest may be behind the first page."""
    rig.ledger.page = 2
    for number in range(5):
        index.remember(rig.ledger, "room-1", key=f"{number:032x}", at=NOON + number * HOUR, role=index.STARTED)
        index.remember_alias(rig.ledger, "server-1", f"room-{number}", at=NOON)
    assert len(index.known_by(rig.ledger, "room-1")) == 5
    assert len(index.known_by_alias(rig.ledger, "server-1")) == 5


def test_no_lease_is_taken_for_a_step_that_is_done_already() -> None:
    """A second worker on the same plan, a moment late, left its lease on the finished chunk for good."""
    done = chunk(state=ChunkState.RESCUED, metadata_state="saved", next_attempt_at=None)
    before = recording(done)
    started = f.StepStarted(done.key, done.generation, Step.FETCH, "late", NOON + HOUR)
    assert decide(before, started, Context(now=NOON, random=0.5, rules=Rules())) is before


def test_one_look_follows_however_many_messages_of_a_recording_failed(rig: Rig) -> None:
    rig.receive(event())
    item = WorkItem(rig.key, rig.chunk.key, 1)
    rig.queue.waiting.clear()
    rig.queue.poison = [encode_message(replace(item, generation=number)) for number in range(7)]
    rig.sweep()
    assert len(rig.queue.waiting) == 1


def test_an_export_into_another_allowed_container_is_an_alert() -> None:
    """It was passed over in silence, and the chunk called unconfirmed while its file lay in the customer's account."""
    other = ContainerUrl.parse(f"{ACCOUNT}/others")
    rig = Rig(given=settings(places=(CONTAINER, other)))
    rig.put_media()
    rig.receive(event())
    rig.run()
    rig.receive(
        event(claim("doc-1", 1, contentLocation=other.blob_url("20261122/call-1/rec-1-guid/1-audiomp3.doc-1.mp3")))
    )
    rig.run(until=MINUTE)
    assert "location_other_container" in rig.notifier.names


def test_what_was_unproven_for_a_moment_is_delivered_to_its_own_place(rig: Rig) -> None:
    """The second answer has its length: the copy lay under `unproven/`, and went to such a folder at the customer."""
    data = rig.put_media()
    rig.media.lie(_VIDEO, lies.whole_without_end, lies.whole)
    rig.destination.refusal = StorageAccessDenied("403")
    rig.receive(event())
    rig.run(until=MINUTE)
    rig.destination.refusal = None
    rig.live(2 * HOUR)
    assert (rig.chunk.state, rig.chunk.proof) == (ChunkState.DELIVERED, Proof.LENGTH)
    assert rig.files() == {places.media_name(rig.recording, rig.chunk, "mp3"): data}
    rig.assert_at_rest()


def test_an_unproven_copy_that_the_ledger_does_not_know_is_cleaned_up(rig: Rig) -> None:
    rig.put_media()
    rig.media.lie(_VIDEO, *[lies.failing(MediaUnavailable("503"))] * 3)
    rig.receive(event())
    left = f"{places.unproven_prefix(rig.recording, rig.chunk)}7/0-audiomp3.doc-0.mp3"
    rig.fallback.put(left, b"half", content_type="audio/mpeg", overwrite=False)
    rig.live(HOUR)
    assert rig.state() is ChunkState.RESCUED
    rig.assert_at_rest()


def test_a_copy_of_which_nothing_shows_that_it_is_whole_is_not_proved_by_its_copy() -> None:
    """It was said to be proved by its digest, and ACS's own could have been deleted because of that."""
    sha256 = "ab" * 32
    kept = chunk(
        state=ChunkState.IN_FALLBACK,
        proof=Proof.NONE,
        sha256=sha256,
        size=9,
        digest_state="done",
        placed=Placed("b", "e"),
    )
    fact = f.Proved(kept.key, kept.generation, "b", "e", 9, sha256, is_media=True)
    after = decide(recording(kept), fact, Context(now=NOON, random=0.5, rules=Rules(deletes_at_acs=True)))
    assert (after.chunks[0].state, after.chunks[0].proof) == (ChunkState.DELIVERED, Proof.NONE)


def test_metadata_that_are_in_the_fallback_alone_come_beside_the_media(rig: Rig) -> None:
    """A person removed the copy of the media: ACS had those still, the metadata no more, and ours were cleaned away."""
    data = rig.put_media()
    rig.destination.refusal = StorageAccessDenied("403")
    rig.receive(event())
    rig.run(until=MINUTE)
    metadata = rig.media.files.pop(f"{MEDIA}/doc-0/content/acsmetadata").data
    rig.fallback.blobs.pop(rig.chunk.fallback_blob or "")
    rig.destination.refusal = None
    rig.live(2 * DAY)
    assert rig.files() == {places.media_name(rig.recording, rig.chunk, "mp3"): data}
    assert rig.chunk.metadata_state == "saved"
    assert rig.destination.blobs[rig.chunk.metadata_blob or ""].data == metadata
    rig.assert_at_rest()


@pytest.mark.parametrize("trouble", ["archived", "no answer"])
def test_a_file_that_cannot_be_read_is_not_taken_for_the_copy(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, trouble: str
) -> None:
    """Another file of that size, in the archive tier: it was taken for the copy, and the only copy was removed."""
    monkeypatch.setattr(deliver, "_COMPARED_AT_ONCE", 10)
    data = rig.put_media()
    rig.destination.refusal = StorageAccessDenied("403")
    rig.receive(event())
    rig.run(until=MINUTE)
    rig.drop_media()
    rig.destination.refusal = None
    name = rig.chunk.blob or ""
    rig.destination.put(name, b"\x01" * len(data), content_type="audio/mpeg", overwrite=False)
    if trouble == "archived":
        rig.destination.archived.add(name)
    else:
        monkeypatch.setattr(prove, "read_back", _no_answer)
    rig.live(12 * DAY)
    kept = [blob.data for blobs in (rig.destination.blobs, rig.fallback.blobs) for blob in blobs.values()]
    assert data in kept
    assert not (rig.chunk.is_in_place and rig.chunk.blob == name)


def _no_answer(*_given: object, **_named: object) -> None:
    raise StorageUnavailable("500")


@pytest.mark.parametrize("is_ours", [True, False])
def test_a_file_is_not_taken_for_a_copy_whose_digest_is_unknown(*, is_ours: bool) -> None:
    """A transfer in parts knows no digest: any file of that size was taken for it, and the only copy was removed."""
    kept = chunk(
        state=ChunkState.IN_FALLBACK, proof=Proof.LENGTH, size=9, blob="d/b.mp3", placed=Placed("d/b.mp3", "e", is_ours)
    )
    fact = f.Proved(kept.key, kept.generation, "d/b.mp3", "e", 9, "ab" * 32, is_media=True)
    after = decide(recording(kept), fact, Context(now=NOON, random=0.5, rules=Rules())).chunks[0]
    assert after.state is (ChunkState.DELIVERED if is_ours else ChunkState.IN_FALLBACK)
    assert after.other_files == (() if is_ours else ("d/b.mp3",))


def test_an_unproven_copy_gives_way_to_the_whole_export(rig: Rig) -> None:
    """The cut copy was delivered against it: a conflict for days, and a person who cleared the way removed the file."""
    data = rig.put_media()
    rig.media.lie(_VIDEO, *[lies.whole_broken_off] * 9000)
    rig.destination.refusal = StorageAccessDenied("403")
    rig.receive(event())
    rig.live(26 * HOUR)
    assert (rig.chunk.state, rig.chunk.proof) == (ChunkState.IN_FALLBACK, Proof.NONE)
    rig.destination.refusal = None
    name = rig.chunk.blob or ""
    rig.destination.put(name, data, content_type="audio/mpeg", overwrite=True)
    rig.live(8 * HOUR)
    assert (rig.chunk.state, rig.chunk.blob, rig.files()) == (ChunkState.EXPORTED, name, {name: data})
    assert "destination_conflict" not in rig.notifier.names
    rig.assert_at_rest()


def test_metadata_in_the_fallback_are_cleaned_up_where_the_chunk_got_another_place_since() -> None:
    kept = chunk(state=ChunkState.IN_FALLBACK, sha256="ab" * 32, size=9, blob="own/b.mp3")
    kept = replace(kept, metadata_state="saved", metadata_blob="acs/0-acsmetadata.x.json")
    before = recording(kept)
    fact = f.Copied(kept.key, kept.generation, "own/b.mp3", "e", is_same=True)
    after = decide(before, fact, Context(now=NOON, random=0.5, rules=Rules())).chunks[0]
    assert places.fallback_name(before, "acs/0-acsmetadata.x.json") in after.leftovers
