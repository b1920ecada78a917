"""Two at once: workers on one chunk, a replay or an event while a step runs, files that come meanwhile."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from shared.domain import facts as f
from shared.domain import places
from shared.domain.errors import MediaUnavailable, StorageAccessDenied, StorageUnavailable
from shared.domain.recording import ChunkState, RecordingState
from shared.ports import WorkItem
from tests.support.fakes import lies, watched
from tests.unit.rig import HOUR, MEDIA, MINUTE, Rig, claim, event, mp3, wav

if TYPE_CHECKING:
    from collections.abc import Callable

    from shared.ports import MediaResponse
    from tests.support.fakes import MediaFile

VIDEO = f"{MEDIA}/doc-0/content/video"
FOLDER = "20261122/call-1/rec-1-guid"


@pytest.fixture
def rig() -> Rig:
    return Rig()


def meanwhile(action: Callable[[], None]) -> lies.Answer:
    """An honest answer; `action` happens before its bytes come."""

    def answer(file: MediaFile, start: int, length: int) -> MediaResponse:
        whole = replace(lies.whole(file, start, length))

        def pieces() -> Any:
            action()
            yield from whole.pieces

        return replace(whole, pieces=pieces())

    return answer


def test_two_workers_on_one_chunk_make_one_blob(rig: Rig) -> None:
    """The lease of the first is over (its process slept), and the second fetches beside it."""
    data = rig.put_media()
    rig.receive(event())
    other = rig.app()

    def sleep() -> None:
        rig.media.lies.clear()
        rig.clock.advance(HOUR)
        other.worker.handle(WorkItem(rig.key, rig.chunk.key, rig.chunk.generation), message_id="second")
        while rig.queue.waiting:
            rig.deliver_next(other)

    rig.media.lie(VIDEO, meanwhile(sleep))
    [first] = rig.queue.waiting
    rig.queue.waiting.clear()
    rig.process.worker.handle(first.item, message_id="first")
    rig.live(HOUR)
    assert list(rig.files().values()) == [data]
    assert (rig.state(), rig.recording_state()) == (ChunkState.RESCUED, RecordingState.COMPLETE)
    rig.assert_at_rest()


def test_a_replay_while_the_bytes_are_under_way_leaves_them_their_way(rig: Rig) -> None:
    rig.put_media()
    rig.receive(event())
    held: list[Any] = []
    rig.media.lie(VIDEO, meanwhile(lambda: held.append(rig.process.replay.replay(rig.key))))
    rig.run()
    assert [one.outcome for one in held] == ["held"]
    assert [part.outcome for part in held[0].chunks] == ["held"]
    assert (rig.state(), rig.chunk.last_error, rig.chunk.crashes) == (ChunkState.RESCUED, None, 0)
    rig.assert_at_rest()


def test_an_event_that_comes_while_a_fetch_runs_is_kept_and_moves_no_plan(rig: Rig) -> None:
    """Its location is tried by the next attempt."""
    rig.put_media()
    other = f"{MEDIA.replace('eus', 'weu')}/doc-0/content/video"
    rig.receive(event())
    generations: list[int] = []

    def more() -> None:
        generations.append(rig.chunk.generation)
        rig.clock.advance(MINUTE)
        rig.receive(event(claim(contentLocation=other)))
        generations.append(rig.chunk.generation)

    rig.media.lie(VIDEO, meanwhile(more), *[lies.failing(MediaUnavailable("reset"))] * 9)
    rig.run()
    assert generations[0] == generations[1]
    assert [source.url for source in rig.chunk.sources][:1] == [other]
    assert rig.state() is ChunkState.RESCUED


def test_a_chunk_of_an_event_that_comes_during_the_close_keeps_the_recording_open(rig: Rig) -> None:
    """The manifest tells of one chunk; by then there are two."""
    rig.put_media("doc-0")
    data = rig.put_media("doc-1", wav())
    rig.receive(event(claim("doc-0", 0)))
    done: list[bool] = []

    def late(name: str, call: Callable[[], Any], arguments: tuple[Any, ...]) -> Any:
        if name == "put" and str(arguments[0]).endswith("manifest.json") and not done:
            done.append(True)
            rig.receive(event(claim("doc-1", 1)))
        return call()

    class Watching:
        def destination(self, container: Any) -> Any:
            return watched(rig.containers.destination(container), late)

        def fallback(self) -> Any:
            return rig.containers.fallback()

    rig.process = rig.app(containers=Watching())
    rig.live(HOUR)
    assert done
    assert data in rig.files().values()
    manifest = next(blob.data for name, blob in rig.destination.blobs.items() if name.endswith("manifest.json"))
    assert manifest.count(b'"documentId"') == 2
    rig.assert_at_rest()


def test_what_is_held_for_the_close_is_written_though_that_fails_or_another_was_faster(rig: Rig) -> None:
    rig.put_media()
    rig.receive(event())

    def broken(recording: Any) -> Any:
        rig.process.store.commit(rig.key, None, lambda now: now and replace(now, links=("other",)))
        raise KeyError("a bug")

    rig.process.worker._steps.finish.finish = broken  # type: ignore[method-assign]  # a mistake of ours
    with pytest.raises(KeyError):
        rig.deliver_one()
    assert (rig.state(), rig.chunk.metadata_state, rig.recording.links) == (ChunkState.RESCUED, "saved", ("other",))


def test_two_that_finish_at_once_close_it_once(rig: Rig) -> None:
    rig.put_media()
    rig.receive(event())
    rig.deliver_one()
    closed = rig.recording
    fact = f.Finished(closed.manifest.blob, closed.revision - 1)
    version = rig.ledger.version(rig.key)
    rig.process.store.record(version, fact)
    assert rig.recording.timeline == closed.timeline


def test_what_acs_exports_during_a_long_rescue_is_left_alone(rig: Rig) -> None:
    """Before the commit the destination is looked at once more: one copy, ACS's own."""
    data = rig.put_media()
    rig.receive(event())
    name = f"{FOLDER}/0-audiomp3.doc-0.mp3"

    def exported() -> None:
        rig.clock.advance(MINUTE)
        rig.destination.put(name, data, content_type="audio/mpeg", overwrite=False)

    rig.media.lie(VIDEO, meanwhile(exported))
    rig.run()
    assert list(rig.files()) == [name]
    assert (rig.state(), rig.chunk.blob) == (ChunkState.EXPORTED, name)


def test_a_file_that_comes_to_the_chunks_name_during_the_transfer_is_kept_and_the_bytes_are_safe(rig: Rig) -> None:
    data = rig.put_media()
    rig.receive(event())
    name = places.media_name(rig.recording, rig.chunk, "mp3")
    rig.media.lie(VIDEO, meanwhile(lambda: put_other(rig, name)))
    rig.live(3 * HOUR)
    assert rig.destination.blobs[name].data == b"another's"
    assert rig.state() is ChunkState.IN_FALLBACK
    assert data in [blob.data for blob in rig.fallback.blobs.values()]
    assert "destination_conflict" in rig.notifier.names
    # A person moves the other file away.
    del rig.destination.blobs[name]
    rig.live(3 * HOUR)
    assert list(rig.files().values()) == [data]
    rig.assert_at_rest()


def put_other(rig: Rig, name: str) -> None:
    rig.destination.put(name, b"another's", content_type="audio/mpeg", overwrite=False)


def test_two_workers_that_deliver_at_once_deliver_once(rig: Rig) -> None:
    data = rig.put_media()
    rig.destination.refusal = StorageAccessDenied("403")
    rig.receive(event())
    rig.run(until=MINUTE)
    assert rig.state() is ChunkState.IN_FALLBACK
    rig.destination.refusal = None
    other = rig.app()
    is_done: list[bool] = []
    rig.ledger.version(rig.key)
    item = WorkItem(rig.key, rig.chunk.key, rig.chunk.generation)

    def both(name: str, call: Callable[[], Any], _arguments: tuple[Any, ...]) -> Any:
        if name == "read" and not is_done:
            is_done.append(True)
            rig.clock.advance(HOUR)
            other.worker.handle(item, message_id="second")
            while rig.queue.waiting:
                rig.deliver_next(other)
        return call()

    class Watching:
        def destination(self, container: Any) -> Any:
            return rig.containers.destination(container)

        def fallback(self) -> Any:
            return watched(rig.containers.fallback(), both)

    rig.queue.waiting.clear()
    rig.app(containers=Watching()).worker.handle(item, message_id="first")
    rig.live(HOUR)
    assert is_done
    assert list(rig.files().values()) == [data]
    assert rig.state() is ChunkState.DELIVERED
    rig.assert_at_rest()


def test_when_both_containers_refuse_the_attempt_fails_and_both_are_told(rig: Rig) -> None:
    data = rig.put_media()
    rig.destination.refusal = StorageAccessDenied("403")
    rig.fallback.refusal = StorageUnavailable("500")
    rig.receive(event())
    rig.deliver_one()
    assert rig.state() is ChunkState.PENDING
    assert rig.chunk.last_error is not None
    assert rig.chunk.last_error.code == "storage_unavailable"
    assert "alert.storage_access_denied" in rig.kinds
    rig.destination.refusal = rig.fallback.refusal = None
    rig.live(HOUR)
    assert list(rig.files().values()) == [data]


def test_a_ledger_that_fails_goes_to_the_host_which_delivers_again(rig: Rig) -> None:
    rig.put_media()
    rig.receive(event())

    def failing(name: str, _call: Callable[[], Any], _arguments: tuple[Any, ...]) -> Any:
        raise StorageUnavailable(name)

    item = rig.queue.waiting[0].item
    with pytest.raises(StorageUnavailable):
        rig.app(ledger=watched(rig.ledger, failing)).worker.handle(item, message_id="1")
    rig.run()
    assert rig.state() is ChunkState.RESCUED


def test_a_chunk_that_kills_its_worker_each_time_goes_slowly_and_raises_an_alert(rig: Rig) -> None:
    rig.put_media(data=mp3())
    rig.receive(event())

    class Killed(BaseException):
        pass

    def killed() -> None:
        raise Killed

    rig.media.lie(VIDEO, *[meanwhile(killed)] * 6)
    begun = rig.clock.now()
    for _ in range(6):
        with pytest.raises(Killed):
            rig.run(until=HOUR)
        # The same message again: its worker died.
        rig.clock.advance(11 * MINUTE)
    rig.live(2 * HOUR)
    assert rig.chunk.crashes >= 3
    assert "worker_crashing" in rig.notifier.names
    assert rig.state() is ChunkState.RESCUED
    assert rig.clock.now() - begun > HOUR
