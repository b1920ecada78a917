"""Leases: one worker at a time, for as long as it moves bytes; nobody counts a crash while it does."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from shared.domain import facts as f
from shared.domain.errors import StorageAccessDenied, StorageUnavailable
from shared.domain.recording import ChunkState, Lease, Step
from shared.ports import RECORDING_PART, MediaResponse, WorkItem
from tests.support.fakes import CONTAINER, lies, watched
from tests.unit.rig import HOUR, MEDIA, MINUTE, Rig, claim, event, mp3, wav

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.fakes import MediaFile

VIDEO = f"{MEDIA}/doc-0/content/video"
EXPORT = "20261122/call-1/rec-1-guid/0-audiowav.doc-0.wav"
MIB = 1024 * 1024


def slowly(rig: LeaseRig, pieces: Iterator[bytes], takes: timedelta) -> Iterator[bytes]:
    """The same pieces, `takes` between two of them; a sweep and its messages, by another process, at each."""
    other = rig.app()
    for piece in pieces:
        rig.clock.advance(takes)
        other.sweep.run()
        other.worker.handle(rig.item, message_id="doubled")
        # What the sweep sends, and what its look plans anew.
        while rig.queue.waiting:
            rig.deliver_next(other)
        yield piece


class LeaseRig(Rig):
    """Messages are handled by the test's own hands: the queue holds what others send meanwhile."""

    def __init__(self, **changes: Any) -> None:
        super().__init__(**changes)
        self.item = WorkItem("", "")

    def handle_next(self) -> None:
        """The chunk's message, as one whose host renews its visibility; what else waits is lost."""
        [delivery] = [one for one in self.queue.waiting if one.item.part == self.chunk.key]
        self.queue.waiting.clear()
        self.clock.moment = max(self.clock.moment, delivery.due)
        self.item = delivery.item
        self.process.worker.handle(delivery.item, message_id=str(delivery.id))


@pytest.fixture
def rig() -> LeaseRig:
    return LeaseRig()


def assert_one_worker(rig: Rig) -> None:
    assert rig.chunk.crashes == 0
    assert "worker_died" not in rig.kinds
    assert "rescheduled" not in rig.kinds


@pytest.mark.parametrize("minutes", [1, 2.5])
def test_a_source_without_ranges_is_fetched_once_however_long_it_takes(rig: LeaseRig, minutes: float) -> None:
    """The lease was of six minutes: the sweep counted a crash and began a second transfer beside the first."""
    data = rig.put_media(data=mp3(int(25 / minutes) * 3))
    piece = len(data) // int(25 / minutes)

    def answer(file: MediaFile, start: int, length: int) -> MediaResponse:
        cut = (file.data[at : at + piece] for at in range(0, len(file.data), piece))
        return replace(lies.whole(file, start, length), pieces=slowly(rig, cut, minutes * MINUTE))

    rig.media.lie(VIDEO, answer)
    rig.receive(event())
    rig.handle_next()
    assert rig.media.asked == [(VIDEO, 0, rig.media.asked[0][2])]
    assert (rig.state(), list(rig.files().values())) == (ChunkState.RESCUED, [data])
    assert_one_worker(rig)


def test_a_digest_is_read_once_however_long_it_takes(rig: LeaseRig) -> None:
    rig.destination.put(EXPORT, wav(5 * MIB), content_type="audio/wav", overwrite=False)
    at = CONTAINER.blob_url(EXPORT)
    rig.receive(event(claim(contentLocation=at, metadataLocation=None), recordingDurationMs=None))
    rig.handle_next()
    reads: list[str] = []
    real = rig.destination.pieces

    def pieces(name: str, *, etag: str | None = None) -> Iterator[bytes]:
        reads.append(name)
        return slowly(rig, real(name, etag=etag), MINUTE / 4)

    rig.destination.pieces = pieces  # type: ignore[method-assign]  # 20 minutes for 80 pieces
    rig.handle_next()
    assert reads == [EXPORT]
    assert rig.chunk.digest_state == "done"
    assert_one_worker(rig)


def test_a_delivery_is_made_once_however_long_it_takes(rig: LeaseRig) -> None:
    """The bytes, the metadata beside them and the comparison take five minutes each."""
    data = rig.put_media()
    rig.destination.refusal = StorageAccessDenied("403")
    rig.receive(event())
    rig.handle_next()
    assert rig.state() is ChunkState.IN_FALLBACK
    rig.destination.refusal = None
    other = rig.app()

    def late(name: str, call: Callable[[], Any], _arguments: tuple[Any, ...]) -> Any:
        if name in ("put", "pieces"):
            rig.clock.advance(5 * MINUTE)
            other.sweep.run()
            while rig.queue.waiting:
                rig.deliver_next(other)
        return call()

    containers = _Slow(rig, late)
    rig.process = rig.app(containers=containers)
    rig.handle_next()
    rig.live(HOUR)
    assert (rig.state(), list(rig.files().values())) == (ChunkState.DELIVERED, [data])
    assert_one_worker(rig)


class _Slow:
    """`Containers` whose destination is watched."""

    def __init__(self, rig: Rig, around: Any) -> None:
        self._rig = rig
        self._around = around

    def destination(self, container: Any) -> Any:
        return watched(self._rig.containers.destination(container), self._around)

    def fallback(self) -> Any:
        return self._rig.containers.fallback()


def test_a_transfer_in_ranges_renews_nothing_within_its_budget(rig: LeaseRig) -> None:
    """A lease costs one write; only what outlasts it costs more."""
    rig.put_media()
    rig.receive(event())
    before = rig.recording.revision
    rig.handle_next()
    # The lease; the bytes, the metadata and the close in one.
    assert rig.recording.revision - before == 2


def test_of_two_that_take_a_lease_at_the_same_moment_one_works(rig: LeaseRig) -> None:
    """A message that is delivered twice at once: the second overwrote the lease of the first, and both fetched."""
    rig.put_media()
    rig.receive(event())
    [delivery] = rig.queue.waiting
    rig.queue.waiting.clear()
    lease = Lease(Step.FETCH, "2", rig.clock.now() + 5 * MINUTE)
    version = rig.ledger.version(rig.key)
    started = f.StepStarted(rig.chunk.key, rig.chunk.generation, *_fields(lease))

    def between(name: str, call: Callable[[], Any], _arguments: tuple[Any, ...]) -> Any:
        if name == "save" and rig.chunk.lease is None:
            rig.process.store.record(version, started)
        return call()

    rig.app(ledger=watched(rig.ledger, between)).worker.handle(delivery.item, message_id="1")
    assert rig.media.asked == []
    assert rig.chunk.lease == lease
    assert_one_worker(rig)


def test_a_ledger_that_fails_while_a_lease_is_kept_stops_no_byte(rig: LeaseRig) -> None:
    data = rig.put_media(data=mp3(60))
    is_down: list[bool] = []

    def failing(name: str, call: Callable[[], Any], _arguments: tuple[Any, ...]) -> Any:
        if is_down and name == "save":
            raise StorageUnavailable("500")
        return call()

    def answer(file: MediaFile, start: int, length: int) -> MediaResponse:
        def pieces() -> Iterator[bytes]:
            is_down.append(True)
            for at in range(0, len(file.data), 1000):
                rig.clock.advance(MINUTE)
                yield file.data[at : at + 1000]
            is_down.clear()

        return replace(lies.whole(file, start, length), pieces=pieces())

    rig.media.lie(VIDEO, answer)
    rig.receive(event())
    rig.process = rig.app(ledger=watched(rig.ledger, failing))
    rig.handle_next()
    assert (rig.state(), list(rig.files().values())) == (ChunkState.RESCUED, [data])


def test_a_look_that_comes_as_the_lease_is_renewed_counts_no_crash(rig: LeaseRig) -> None:
    """It saw a lease that was over; what it decides is decided on the one that runs."""
    rig.receive(event())
    store, chunk = rig.process.store, rig.chunk
    version = rig.ledger.version(rig.key)
    lease = Lease(Step.FETCH, "1", rig.clock.now() + MINUTE)
    held = store.record(version, f.StepStarted(chunk.key, chunk.generation, *_fields(lease)))
    later = replace(lease, until=lease.until + HOUR)
    kept = store.record(held, f.LeaseKept(chunk.key, chunk.generation, *_fields(later)))
    rig.clock.advance(2 * MINUTE)
    for fact in (f.WorkerDied(chunk.key, chunk.generation, lease), f.Overdue(chunk.key, chunk.generation)):
        assert store.record(held, fact).recording == kept.recording


def _fields(lease: Lease) -> tuple[Step, str, Any]:
    return lease.step, lease.holder, lease.until


def test_a_lease_that_another_worker_has_by_now_is_not_kept(rig: LeaseRig) -> None:
    rig.receive(event())
    store, chunk = rig.process.store, rig.chunk
    version = rig.ledger.version(rig.key)
    until = rig.clock.now() + MINUTE
    held = store.record(version, f.StepStarted(chunk.key, chunk.generation, Step.FETCH, "1", until))
    lost = f.LeaseKept(chunk.key, chunk.generation, Step.FETCH, "2", until + timedelta(hours=1))
    assert store.record(held, lost).recording == held.recording


def test_a_message_about_the_whole_recording_leaves_a_running_lease_alone(rig: LeaseRig) -> None:
    rig.receive(event())
    version = rig.ledger.version(rig.key)
    until = rig.clock.now() + 30 * MINUTE
    started = f.StepStarted(rig.chunk.key, rig.chunk.generation, Step.FETCH, "1", until)
    rig.process.store.record(version, started)
    rig.clock.advance(29 * MINUTE)
    rig.at_once(RECORDING_PART, 0)
    assert rig.chunk.lease == Lease(Step.FETCH, "1", until)
    assert_one_worker(rig)
