"""One world: services, hosts, troubles and the truth, over one virtual time.

Every call of a port passes `World.call`: the task sleeps for the call's latency (so any other function of any process
may go on), then its process may die, the service may refuse, fail, or do it and lose the answer.
"""

from __future__ import annotations

import itertools
import random as random_module
import threading
import types
import uuid
from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from greenlet import getcurrent

from shared.app import Ports
from shared.domain.errors import Blame, MediaUnauthorized, StorageAccessDenied
from shared.start import start as start_module
from shared.transfer import throttle
from shared.transfer.slots import InlineSlots
from shared.worker import checks, deliver
from tests.simulation.hosts import FUNCTION_TIMEOUT, Hosts, Process
from tests.simulation.scheduler import Crash, Scheduler, Task, TrueClock
from tests.simulation.services import SimContainers, SimLedger, SimMedia, SimQueue
from tests.simulation.troubles import CHANGES, Kind, Trouble, Troubles, error_of
from tests.support.fakes import NOON, FakeAcs, FakeNotifier, storage

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from shared.domain.journal import PendingAlert
    from shared.domain.locations import ContainerUrl
    from shared.domain.recording import Recording
    from shared.settings import Settings
    from tests.simulation.truth import Truth

BEGIN = NOON
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
_USUAL = [timedelta(milliseconds=ms) for ms in (*range(1, 60, 3), 250, 1500)]
_SLOW = [timedelta(seconds=s) for s in (1, 3, 8, 20, 40, 55)]
_SKEWS = [timedelta(seconds=s) for s in (-180, -60, -5, 0, 5, 60, 180)]


class World:
    """See the module. `visits` counts what was reached (`reached.py`)."""

    def __init__(
        self, seed: int, settings: Settings, troubles: list[Trouble], *, processes: int, page: int, is_skewed: bool
    ) -> None:
        self.seed = seed
        self.rng = random_module.Random(seed)  # noqa: S311 - reproducible, and nothing secret
        self.settings = settings
        self.troubles = Troubles(troubles)
        self.page = page
        self._is_skewed = is_skewed
        self.scheduler = Scheduler(BEGIN)
        self.true_clock = TrueClock(self.scheduler)
        self.visits: Counter[str] = Counter()
        self.crashes = self.calls = 0
        self.trace: list[str] = []
        self.published: set[tuple[str, int]] = set()
        self.replayed: Counter[str] = Counter()
        self.truth: Truth | None = None
        self.acs = FakeAcs()
        self.media = SimMedia(world=self)
        self.notifier = _Notifier(self)
        self._storage()
        self.hosts = Hosts(self, processes)
        for trouble in troubles:
            if trouble.kind is Kind.RESTART:
                self.scheduler.at(trouble.begin, self._restart)
            if trouble.kind is Kind.REMOVED:
                self.scheduler.at(trouble.begin, lambda: self._stand(is_there=False))
                self.scheduler.at(trouble.end, lambda: self._stand(is_there=True))
        self.scheduler.at(BEGIN, self.hosts.tick)

    def _storage(self) -> None:
        """Ledger, queue and containers."""
        storage._versions = itertools.count(1)
        self.ledger: Any = SimLedger(self)
        self.ledger.page = self.page
        self.queue: Any = SimQueue(self)
        self.containers: Any = SimContainers(self, self.settings.allowed)

    # --- what the draw decides

    def draw_skew(self) -> timedelta:
        """How far a new process's clock is from the truth."""
        return self.rng.choice(_SKEWS) if self._is_skewed else timedelta(0)

    def strikes(self, service: str, kind: Kind) -> Trouble | None:
        """The trouble of that kind that strikes now, if one does."""
        found = self.troubles.strikes(service, kind, self.scheduler.now, self.rng)
        if found:
            self.visits[f"trouble {service} {kind}"] += 1
        return found

    def _restart(self) -> None:
        for process in list(self.hosts.processes):
            self.hosts.kill(process)

    def _stand(self, *, is_there: bool) -> None:
        for place in self.containers.places.values():
            place.exists = is_there

    # --- the gate

    def ports_of(self, process: Process) -> Ports:
        """The world as one process is given it; its clock is its own."""

        def gated(service: str, port: Any) -> Any:
            return _Gated(self, process, service, port)

        return Ports(
            acs=gated("acs", self.acs),
            media=gated("media", self.media),
            containers=_Containers(self, process),
            ledger=gated("ledger", self.ledger),
            queue=gated("queue", self.queue),
            notifier=gated("notifier", self.notifier),
            clock=self.true_clock,
            random=self.rng,
            slots=InlineSlots(),
        )

    def call(self, process: Process, service: str, name: str, action: Callable[[], Any]) -> Any:
        """One call of a port."""
        self.calls += 1
        self.pause_in(service)
        self.check_timeout(process)
        is_change = name in CHANGES
        if is_change:
            self.may_die(process, f"before {service}.{name}")
        self._may_fail(service, name)
        result = action()
        if is_change:
            self.may_die(process, f"after {service}.{name}")
            if self.strikes(service, Kind.LOST):
                self.trace.append(f"{self.scheduler.now:%d %H:%M:%S} lost answer of {service}.{name}")
                raise error_of(service, self.rng)
        return result

    def between(self, service: str, name: str) -> None:
        """Amid a call: others may go on, and its process may die."""
        task = getcurrent()
        if isinstance(task, Task):
            self.pause_in(service)
            if isinstance(task.owner, Process):
                self.may_die(task.owner, f"amid {service}.{name}")

    def pause_in(self, service: str) -> None:
        """The latency of a call; others go on."""
        is_slow = self.strikes(service, Kind.SLOW)
        self.scheduler.sleep(self.rng.choice(_SLOW if is_slow else _USUAL))

    def check_timeout(self, process: Process) -> None:
        """The host kills a process whose function runs for longer than it may."""
        task: Any = getcurrent()
        if self.scheduler.now - task.begun > FUNCTION_TIMEOUT:
            self.visits["functionTimeout"] += 1
            self._die(process, "functionTimeout")

    def may_die(self, process: Process, where: str) -> None:
        """It does, if the draw says so."""
        self.visits[f"effect {where}"] += 1
        if self.strikes("worker", Kind.CRASH):
            self._die(process, where)

    def _die(self, process: Process, where: str) -> None:
        self.crashes += 1
        self.visits[f"crash {where}"] += 1
        self.trace.append(f"{self.scheduler.now:%d %H:%M:%S} crash {where}")
        self.hosts.kill(process)
        raise Crash

    def _may_fail(self, service: str, name: str) -> None:
        refusal = self.strikes(service, Kind.REFUSAL)
        if refusal and service == "destination" and name != "read":
            raise refusal.error("refused", blame=Blame.DESTINATION)  # type: ignore[call-arg]
        if refusal and name == "delete":
            raise MediaUnauthorized("403") if service == "media" else StorageAccessDenied("403")
        if self.strikes(service, Kind.ERROR):
            raise error_of(service, self.rng)

    # --- running

    def enter(self) -> Callable[[], None]:
        """Puts this world under the app's modules; returns what takes it away again."""
        leave_hosts = self.hosts.enter()
        scheduler = self.scheduler

        class Turns:
            """In place of a Condition: who waits sleeps, and others go on."""

            def __enter__(self) -> None: ...
            def __exit__(self, *_: object) -> None: ...
            def wait(self) -> None:
                scheduler.sleep(timedelta(milliseconds=20))

            def notify_all(self) -> None: ...

        drawn = types.SimpleNamespace(uuid4=lambda: uuid.UUID(int=self.rng.getrandbits(128)))
        # Files are a thousandth of real ones, so what is small enough to be read at once is, too.
        small = self.rng.choice((1000, 1_000_000))
        changes: tuple[tuple[Any, str, Any], ...] = (
            (throttle, "threading", types.SimpleNamespace(Lock=threading.Lock, Condition=Turns)),
            (start_module, "uuid", drawn),
            (checks, "_READ_WHOLE", small),
            (deliver, "_COMPARED_AT_ONCE", small),
        )
        kept = [(module, name, getattr(module, name)) for module, name, _ in changes]
        for module, name, value in changes:
            setattr(module, name, value)

        def leave() -> None:
            leave_hosts()
            for module, name, value in kept:
                setattr(module, name, value)

        return leave

    def needs_sweep(self) -> bool:
        """Whether a sweep may find something; now and then, anyway."""
        if self.queue.poison or self.rng.random() < 0.02:
            return True
        latest = self.scheduler.now - self.settings.time_budget + 4 * MINUTE
        return any(entry.due is None or entry.due <= latest for _, _, entry in self.ledger.open.values())

    @property
    def lived(self) -> timedelta:
        """How long it lasted."""
        return self.scheduler.now - BEGIN

    def is_at_rest(self) -> bool:
        """Whether nothing is open and no message waits."""
        return not self.ledger.open and not self.queue.waiting and not self.queue.poison

    def check_deletion(self, document: str) -> None:
        """ACS is asked to delete only what is whole in its container."""
        assert self.truth is not None
        self.truth.check_deletion(self, document)


class _Notifier(FakeNotifier):
    """Alerts, kept; and which of them were published at all."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self._world = world

    def publish(self, *, recording: Recording, alerts: Sequence[PendingAlert]) -> None:
        super().publish(recording=recording, alerts=alerts)
        for alert in alerts:
            self._world.published.add((recording.key, alert.seq))
            self._world.visits[f"alert {alert.name}"] += 1


class _Gated:
    """A port behind the gate."""

    def __init__(self, world: World, process: Process, service: str, port: Any) -> None:
        self._given = (world, process, service, port)

    def __getattr__(self, name: str) -> Any:
        world, process, service, port = self._given
        method = getattr(port, name)

        def called(*arguments: Any, **named: Any) -> Any:
            return world.call(process, service, name, lambda: method(*arguments, **named))

        setattr(self, name, called)
        return called


class _Containers:
    """Containers behind the gate."""

    def __init__(self, world: World, process: Process) -> None:
        self._world = world
        self._process = process
        self._known: dict[ContainerUrl, Any] = {}
        self._own = _Gated(world, process, "fallback", world.containers.own)

    def destination(self, container: ContainerUrl) -> Any:
        if container not in self._known:
            inner = self._world.containers.destination(container)
            self._known[container] = _Gated(self._world, self._process, "destination", inner)
        return self._known[container]

    def fallback(self) -> Any:
        return self._own
