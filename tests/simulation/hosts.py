"""The Functions hosts of a world: processes with their own memory and clock, and what calls their functions.

Each process takes up to `batchSize + newBatchThreshold` messages of each queue at once (host.json); a message is hidden
while its function runs, visible again half a minute after its function failed, and poisoned after five deliveries. A
process that dies takes all its functions along; its messages come back within ten minutes. Event Grid delivers until
it is acknowledged, for a day; then a person sends again what it gave up.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from greenlet import getcurrent

from shared import handlers, http
from shared.app import compose
from shared.domain import facts as f
from shared.domain.errors import RecorderError
from shared.domain.media import Proof
from shared.ports import Lane
from shared.transfer.budget import TimeBudgetSpentError
from tests.simulation.reached import outcome_of
from tests.simulation.scheduler import Crash, Owner, ProcessClock, ViolationError
from tests.simulation.troubles import Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable

    from shared.api.responses import Response
    from shared.app import App
    from shared.domain.recording import Step
    from shared.worker.steps import Steps
    from tests.simulation.scheduler import Task
    from tests.simulation.world import World
    from tests.support.fakes import Delivery

AT_ONCE = 6
FUNCTION_TIMEOUT = timedelta(minutes=30)
_HIDDEN = timedelta(minutes=10)
_AGAIN_AFTER = timedelta(seconds=30)
_SWEEPS = timedelta(minutes=5)
# Event Grid's schedule (its documentation), and how long it waits for an answer.
_EVENT_GRID = [10, 30, 60, 300, 600, 1800, 3600, 10800, 21600, 43200]
_EVENT_GRID_WAITS = timedelta(seconds=30)
_EVENT_GRID_LIFE = timedelta(hours=24)


class _Inline:
    """In place of the running event loop: the executor's work is done by the task that awaits it."""

    def run_in_executor(self, executor: Any, action: Callable[[], None]) -> _Done:
        assert executor in (handlers._rescues, handlers._background)
        return _Done(action)


@dataclass
class _Done:
    action: Callable[[], None]

    def __await__(self) -> Generator[None, None, None]:
        self.action()
        yield from ()


class Process(Owner):
    """One worker process."""

    def __init__(self, world: World, skew: timedelta) -> None:
        self.clock = ProcessClock(world.scheduler, skew)
        self.busy: Counter[Lane] = Counter()
        self.held: dict[int, Delivery] = {}
        ports = world.ports_of(self)
        self.app: App = compose(world.settings, replace(ports, clock=self.clock))
        for one in vars(self.app).values():
            if hasattr(one, "_readers"):  # threads of its own: here the task reads them itself
                one._readers = _InTurn()
        self.app.worker._steps = _Counted(self.app.worker._steps, world.visits)  # type: ignore[assignment]


class _InTurn:
    """In place of an executor: one after another, by the task that asks."""

    @staticmethod
    def map(action: Callable[[Any], Any], items: Iterable[Any]) -> Iterable[Any]:
        return map(action, items)


class _Counted:
    """The steps of a process; what each comes to is counted."""

    def __init__(self, steps: Steps, visits: Counter[str]) -> None:
        self._steps = steps
        self._visits = visits
        self.deliver, self.check = steps.deliver, steps.check

    def of_chunk(self, step: Step, *given: Any) -> Callable[..., list[f.Fact]]:
        return self._counted(step, self._steps.of_chunk(step, *given))

    def of_recording(self, step: Step) -> Callable[..., list[f.Fact]]:
        return self._counted(step, self._steps.of_recording(step))

    def _counted(self, step: Step, perform: Callable[..., list[f.Fact]]) -> Callable[..., list[f.Fact]]:
        def performed(*given: Any) -> list[f.Fact]:
            try:
                facts = perform(*given)
            except Exception as error:
                if not isinstance(error, RecorderError | TimeBudgetSpentError):
                    # The worker takes it for a failed attempt, and the log for a bug: so do we.
                    raise ViolationError(f"{step}: {type(error).__name__}: {error}") from error
                self._visits[f"step {step} {outcome_of(error)}"] += 1
                raise
            for fact in facts:
                self._visits[f"step {step} {type(fact).__name__}{_variant(fact)}"] += 1
            return facts

        return performed


def _variant(fact: f.Fact) -> str:
    if isinstance(fact, f.Stored) and fact.is_fallback:
        return ":unproven" if fact.proof is Proof.NONE else ":fallback"
    if isinstance(fact, f.AcsAnswered):
        return f":{fact.state}"
    is_other = {f.Copied: "is_same", f.Deleted: "is_refused"}.get(type(fact))
    if isinstance(fact, f.Finished):
        return "" if fact.blob else ":none"
    return f":{is_other.removeprefix('is_')}" if is_other and getattr(fact, is_other) else ""


class Hosts:
    """All processes, and what runs in them."""

    def __init__(self, world: World, count: int) -> None:
        self._world = world
        self.processes = [Process(world, world.draw_skew()) for _ in range(count)]
        self.dead_letters: list[str] = []

    def enter(self) -> Callable[[], None]:
        """Puts this world's processes under `handlers` and `http`; returns what takes them away again."""

        def the_app() -> App:
            task: Any = getcurrent()
            app: App = task.owner.app
            return app

        patched: tuple[Any, ...] = (handlers, http)  # each has the name of its own
        kept = [module.the_app for module in patched]
        for module in patched:
            module.the_app = the_app
        asyncio._set_running_loop(_Inline())  # type: ignore[arg-type]

        def leave() -> None:
            for module, own in zip(patched, kept, strict=True):
                module.the_app = own
            asyncio._set_running_loop(None)

        return leave

    # --- processes

    def any(self) -> Process:
        return self._world.rng.choice(self.processes)

    def kill(self, process: Process) -> None:
        """It dies with all that runs in it; another takes its place."""
        if process.is_dead:
            return
        process.is_dead = True
        world = self._world
        now = world.scheduler.now
        for delivery in process.held.values():
            delivery.due = min(delivery.due, now + _HIDDEN * world.rng.random())
            self.expect(delivery)
        self.processes[self.processes.index(process)] = Process(world, world.draw_skew())
        for lane in Lane:
            world.scheduler.at(now + _AGAIN_AFTER, lambda lane=lane: self._take(lane))  # type: ignore[misc]

    def run(self, process: Process, action: Callable[[], None]) -> Task:
        return self._world.scheduler.spawn(process, action)

    # --- queues

    def expect(self, delivery: Delivery) -> None:
        """The hosts poll every two seconds: they see the message within that time after it is visible."""
        world = self._world
        poll = timedelta(seconds=2 * world.rng.random())
        world.scheduler.at(delivery.due + poll, lambda: self._take(delivery.lane))

    def _take(self, lane: Lane) -> None:
        free = [one for one in self.processes if one.busy[lane] < AT_ONCE]
        if not free:
            return  # what ends next takes it
        process = self._world.rng.choice(free)
        is_stale = self._world.strikes("queue", Kind.STALE)
        delivery = self._world.queue.receive(lease=_AGAIN_AFTER if is_stale else FUNCTION_TIMEOUT, lane=lane)
        if delivery is None:
            return
        process.busy[lane] += 1
        process.held[delivery.id] = delivery
        self.expect(delivery)
        self.run(process, lambda: self._message(process, delivery, delivery.dequeue_count))

    def _message(self, process: Process, delivery: Delivery, receipt: int) -> None:
        body = delivery.body
        work = handlers.work(body, message_id=str(delivery.id), is_background=delivery.lane is Lane.BACKGROUND)
        is_done = True
        try:
            work.send(None)
        except StopIteration:
            pass
        except Exception:  # noqa: BLE001 - whatever a function raises, the host delivers again
            is_done = False
        finally:
            work.close()
        process.busy[delivery.lane] -= 1
        process.held.pop(delivery.id, None)
        if delivery.dequeue_count != receipt:
            self._world.visits["stale pop receipt"] += 1
        elif is_done:
            self._world.queue.finish(delivery)
        else:
            self._world.queue.fail(delivery)
            delivery.due += _AGAIN_AFTER
            self.expect(delivery)
        self._take(delivery.lane)

    # --- timer

    def tick(self) -> None:
        """The sweep, every five minutes. One that would find nothing is passed over, most of the time."""
        world = self._world
        if world.needs_sweep():
            for _ in range(2 if world.strikes("timer", Kind.BOTH) else 1):
                self.run(self.any(), lambda: self._quietly(handlers.sweep))
        world.scheduler.at(world.scheduler.now + _SWEEPS, self.tick)

    @staticmethod
    def _quietly(action: Callable[[], None]) -> None:
        try:
            action()
        except Exception:  # noqa: BLE001 - the host logs it, and the timer comes again
            return

    # --- Event Grid

    def event(self, raw: str, *, on_taken: Callable[[], None] = lambda: None) -> None:
        """Delivers it, again and again for a day; `on_taken` when it was acknowledged."""
        world = self._world
        first = world.scheduler.now
        answered: list[bool] = []

        def deliver() -> None:
            handlers.recording_file_status_updated(raw)
            answered.append(True)
            on_taken()

        def look(number: int) -> None:
            if answered:
                return
            wait = timedelta(seconds=_EVENT_GRID[min(number, len(_EVENT_GRID) - 1)])
            if world.scheduler.now + wait - first > _EVENT_GRID_LIFE:
                self.dead_letters.append(raw)
                return
            world.scheduler.at(world.scheduler.now + wait, lambda: send(number + 1))

        def send(number: int) -> None:
            self.run(self.any(), lambda: self._quietly(deliver))
            world.scheduler.at(world.scheduler.now + _EVENT_GRID_WAITS, lambda: look(number))

        send(0)

    # --- HTTP

    def request(self, action: Callable[[], Response], answer: Callable[[Response | None], None]) -> None:
        """A request to any process; `answer` gets what came back, None where the process died.

        No trouble of a world is the app's own failure: a 500 is a mistake of the app, or of the world around it.
        """
        process = self.any()

        def run() -> None:
            try:
                given = action()
            except Crash:
                answer(None)
                raise
            if given.status == 500:
                raise ViolationError(f"the app failed: {given.body.decode()}")
            answer(given)

        self.run(process, run)
