"""One simulated world from its seed to its end: an agenda of things due, and time that jumps from one to the next."""

from __future__ import annotations

import heapq
import itertools
import logging
import traceback
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from random import Random
from typing import TYPE_CHECKING

from shared.domain.errors import AcsError
from shared.domain.recording import ChunkState
from tests.simulation.alone import alone
from tests.simulation.invariants import check, check_deletion, check_told, witness
from tests.simulation.operators import draw_operator
from tests.simulation.trouble import draw_troubles
from tests.simulation.truth import TrueChunk, TrueRecording, draw_recording, minutes
from tests.simulation.world import BLOCK_BYTES, CONTAINERS, Crash, SimWorld, Violation, WitnessContainer

if TYPE_CHECKING:
    from collections.abc import Callable

    from shared.app import App
    from tests.support.fakes import Delivery

_BEGINS = datetime(2026, 11, 22, tzinfo=UTC)
_SWEEP = minutes(5)
# Event Grid's: seconds to hours, then it gives up at 24 hours.
_REDELIVERIES = [timedelta(seconds=s) for s in (10, 30, 60, 300, 600, 1800, 3600, 10800, 21600, 43200)]


@dataclass(frozen=True)
class Outcome:
    """How a run ended: `failure` says what is broken, None where all invariants hold."""

    seed: int
    failure: str | None
    trace: tuple[str, ...]
    effects: int
    crashes: int
    states: tuple[str, ...]


class Simulation:
    """One world, one seed."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.random = random = Random(seed)  # noqa: S311 - reproducible, and nothing secret
        begins = _BEGINS + minutes(random.randrange(24 * 60))
        self.chaos_ends = begins + minutes(random.choice((90, 300, 1440, 1800)))
        self.recordings: list[TrueRecording] = []
        for number in range(random.choice((1, 1, 2, 3))):
            self.recordings.append(self._drawn(number, begins))
        ends = [recording.end for recording in self.recordings]
        troubles = draw_troubles(random, begins=begins, chaos=self.chaos_ends - begins, ends=ends)
        self.world = SimWorld(random, begins=begins, troubles=troubles, processes=random.choice((1, 2, 3)))
        self.world.between = self._between
        self.world.on_delete = partial(check_deletion, self)
        self.world.on_manifest = check_told
        self.events: list[tuple[str, list[TrueChunk]]] = []  # that ACS sent
        self._agenda: list[tuple[datetime, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._waiting = 0  # agenda items other than sweeps
        for recording in self.recordings:
            self._expect(recording)
        last, days = max(recording.gone_at for recording in self.recordings), self.world.settings.delivery_window
        self.horizon = last + days + timedelta(hours=30)
        chaos = self.chaos_ends - begins
        self.operator = draw_operator(seed, begins=begins, chaos=chaos, ends=ends, gone=last, days=days)
        self.replays: Counter[str] = Counter()  # by ledger key
        self.is_mended = False
        self.brought: set[str] = set()  # document ids of lost chunks
        for moment in self.operator.replays:
            self._at(moment, self._replay_any)
        if self.operator.mends_at:
            self._at(self.operator.mends_at, self._mend)
        self._at(begins + _SWEEP * random.random(), self._sweep, counts=False)

    # --- the agenda

    def _at(self, when: datetime, action: Callable[[], None], *, counts: bool = True) -> None:
        self._waiting += counts

        def act() -> None:
            self._waiting -= counts
            action()

        heapq.heappush(self._agenda, (when, next(self._order), act))

    def run(self) -> None:
        """To the end; raises Violation where an invariant is broken."""
        world = self.world
        while not self._is_quiet():
            when = self._agenda[0][0]
            due = world.queue.next_due()
            if due is not None and due <= when:
                world.clock.moment = max(world.now(), due)
                self._message()
            else:
                world.clock.moment = max(world.now(), when)
                heapq.heappop(self._agenda)[2]()
            if world.now() > self.horizon:
                raise Violation(f"unfinished long after its time: {sorted(world.ledger.open)}")
        check(self)

    def _is_quiet(self) -> bool:
        world = self.world
        return not (self._waiting or world.queue.waiting or world.queue.poison or world.ledger.open)

    # --- what the host does

    def _sweep(self) -> None:
        with suppress(Crash):
            self.world.run("sweep", lambda app: app.sweep.run())
        self._at(self.world.now() + _SWEEP, self._sweep, counts=False)

    def _message(self) -> None:
        delivery = self.world.queue.receive()
        if delivery is None:
            return
        try:
            is_done = self._handle(delivery, delivery.dequeue_count)
        except Crash:  # the host's process is gone: the message comes back when its lease is over
            return
        if not is_done:
            self.world.queue.fail(delivery)
        elif self.world.now() > self.chaos_ends or self.random.random() > 0.02:
            self.world.queue.finish(delivery)

    def _handle(self, delivery: Delivery, count: int) -> bool:
        message = delivery.message
        what = f"message {message.recording_key[:6]}/{message.chunk_key[:6]} ticket {message.ticket} time {count}"
        return self.world.run(what, lambda app: app.rescue.handle(message, dequeue_count=count))

    def _between(self) -> None:
        """While one function waits for an answer, another one runs."""
        world = self.world
        if self.operator.comes_between():
            self._replay_any()
            return
        choice = self.random.randrange(5)
        try:
            if choice == 0:
                world.run("sweep meanwhile", lambda app: app.sweep.run())
            elif choice == 1 and self.events:
                self._hear(*self.random.choice(self.events), "meanwhile")
            elif choice in (2, 3) and world.queue.waiting:
                delivery = self.random.choice(world.queue.waiting)  # delivered twice, or before its time
                self._handle(delivery, self.random.choice((1, 2)))
            else:
                self._message()
        except Crash:
            pass

    # --- what an operator does

    def _replay_any(self) -> None:
        keys = sorted(self.world.sim_ledger.kept)
        if keys:
            self._replay(self.operator.random.choice(keys), 0)

    def _replay(self, key: str, attempt: int) -> None:
        """A replay; again where it failed."""

        def replay(app: App) -> None:
            app.replay.replay(key)

        self.replays[key] += 1
        try:
            is_done = self.world.run(f"replay of {key[:6]}", replay)
        except Crash:
            is_done = False
        if not is_done and attempt < 5:
            self._at(self.world.now() + timedelta(seconds=30), partial(self._replay, key, attempt + 1))

    def _mend(self) -> None:
        """Everything is mended; of what is lost some is brought by hand, to where it belongs."""
        world = self.world
        world.say("all is mended")
        world.mend()
        self.is_mended = True
        true = {chunk.document_id: chunk for recording in self.recordings for chunk in recording.chunks}
        for key in sorted(world.sim_ledger.kept):
            recording = world.ledger.recording(key)
            container = witness(self, recording)
            lost = [chunk for chunk in recording.chunks if chunk.state is ChunkState.LOST]
            for chunk in lost:
                if self.operator.random.random() < 0.5:
                    container.export(str(chunk.blob), true[chunk.document_id].versions[-1][1].data)
                    self.brought.add(chunk.document_id)
                    world.say(f"chunk {chunk.index} of {key[:6]} is brought")
            self._replay(key, 0)

    # --- what ACS and Event Grid do

    def _drawn(self, number: int, begins: datetime) -> TrueRecording:
        return draw_recording(
            self.random,
            number=number,
            begins=begins,
            container=self.random.choice(CONTAINERS),
            default=CONTAINERS[0],
            block_bytes=BLOCK_BYTES,
            neighbour=self.recordings[-1] if self.recordings else None,
        )

    def _expect(self, recording: TrueRecording) -> None:
        """What ACS and its caller will do, onto the agenda."""
        if recording.is_started_here:
            self._at(recording.start, partial(self._start, recording, 0))
        self._at(recording.end, partial(self._end, recording))
        for chunk in recording.chunks:
            self.world.sim_media.add(chunk, gone_at=recording.gone_at)
            if chunk.export_at:
                self._at(chunk.export_at, partial(self._export, recording, chunk))
        for event_number, moment in enumerate(recording.event_times()):
            self._at(moment, partial(self._send, recording, event_number))

    def _start(self, recording: TrueRecording, attempt: int) -> None:
        """The caller's request, again with the same key where it failed."""
        acs = self.world.acs
        acs.calls.add(recording.server_call_id)
        body = {
            "serverCallId": recording.server_call_id,
            "containerUrl": str(recording.container),
            "recordingContent": "audioVideo" if recording.form == "mp4" else "audio",
            "recordingFormat": recording.form,
        }
        key = f"start-{recording.number}"

        def start(app: App) -> None:
            app.start.start(body, idempotency_key=key)

        try:
            is_done = self.world.run("start", start, expected=AcsError)
        except Crash:
            is_done = False
        recording.recording_id = acs.recording_of(recording.server_call_id) or recording.recording_id
        again = self.world.now() + timedelta(seconds=20 * (attempt + 1))
        if not is_done and again < recording.end:
            self._at(again, partial(self._start, recording, attempt + 1))

    def _end(self, recording: TrueRecording) -> None:
        """The call is over. What this app could not start was started by somebody else."""
        acs = self.world.acs
        if recording.is_started_here and acs.recording_of(recording.server_call_id) is None:
            recording.was_started_by_others(CONTAINERS[0])
        acs.states[recording.recording_id] = "inactive"

    def _export(self, recording: TrueRecording, chunk: TrueChunk) -> None:
        """ACS exports, if the container lets it."""
        world = self.world
        container = world.containers.at(recording.container)
        if not isinstance(container, WitnessContainer) or world.on("destination", "error", "refusal"):
            world.say(f"export of chunk {chunk.index} fails")
            return
        data = b"" if chunk.export == "claimed_empty" else chunk.version(world.now()).data
        if container.export(chunk.export_name, data) and data:
            container.export(chunk.export_metadata_name, chunk.metadata)
            chunk.exported_at = world.now()
        world.say(f"export of chunk {chunk.index}: {len(data)} bytes")

    def _send(self, recording: TrueRecording, number: int) -> None:
        claimed = {
            chunk.index: chunk.export.startswith("claimed") or (chunk.export == "exported" and bool(chunk.exported_at))
            for chunk in recording.chunks
        }
        event = recording.event(number, is_claimed=claimed)
        chunks = [chunk for chunk in recording.chunks if chunk.event_number == number]
        if recording.is_event_lost:
            return
        self.events.append((event, chunks))
        delay = minutes(self.random.random() * self.random.choice((0.1,) * 8 + (30, 600)))
        self._at(self.world.now() + delay, partial(self._deliver, event, chunks, self.world.now(), 0))

    def _deliver(self, event: str, chunks: list[TrueChunk], sent: datetime, attempt: int) -> None:
        world = self.world
        try:
            is_done = self._hear(event, chunks)
        except Crash:
            is_done = False
        if not is_done or self.random.random() < 0.15:  # not acknowledged, or delivered twice
            wait = _REDELIVERIES[min(attempt, len(_REDELIVERIES) - 1)] * (1 + self.random.random() / 10)
            if world.now() + wait < sent + timedelta(hours=24):
                self._at(world.now() + wait, partial(self._deliver, event, chunks, sent, attempt + 1))

    def _hear(self, event: str, chunks: list[TrueChunk], how: str = "") -> bool:
        """Whether the event was acknowledged."""
        what = f"event of chunks {[chunk.index for chunk in chunks]} {how}".strip()
        is_done = self.world.run(what, lambda app: app.watch.handle(event))
        for chunk in chunks if is_done else ():
            chunk.accepted_at = chunk.accepted_at or self.world.now()
        return is_done


class _Told(logging.Handler):
    """The app's log lines, as part of the story."""

    def __init__(self, world: SimWorld) -> None:
        super().__init__()
        self._world = world

    def emit(self, record: logging.LogRecord) -> None:
        self._world.say(f"· {record.getMessage()}")


def tell(seed: int) -> Outcome:
    """Runs one seed; its trace has the app's log lines too."""
    simulation = Simulation(seed)
    logger, handler = logging.getLogger("recorder"), _Told(simulation.world)
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    try:
        return _outcome(simulation)
    finally:
        logger.removeHandler(handler)


def simulate(seed: int) -> Outcome:
    """Runs one seed."""
    return _outcome(Simulation(seed))


def _outcome(simulation: Simulation) -> Outcome:
    failure: str | None = None
    try:
        with alone():
            simulation.run()
    except Violation as violation:
        failure = str(violation)
    except Exception as error:  # noqa: BLE001 - whatever a handler lets out is the finding, and the run's result
        where = traceback.extract_tb(error.__traceback__)[-1]
        failure = f"{type(error).__name__} from {where.filename}:{where.lineno}: {error}"
    world = simulation.world
    states = sorted(chunk.state for key in world.sim_ledger.kept for chunk in world.ledger.recording(key).chunks)
    return Outcome(simulation.seed, failure, tuple(world.trace), world.effects, len(world.crashed_at), tuple(states))
