"""The fakes under trouble: every call of a port passes one gate: it fails, its answer is lost, or its process dies.

A world is made from a seed: recordings of some chunks, exported or not, reported once or again, plainly or in a sparse
form; troubles that last for a while; crashes at any effect; several processes. It runs through the window and the days
of delivery, then the troubles end, and everything has to be where it belongs.
"""

from __future__ import annotations

import hashlib
import random as random_module
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from shared.domain.errors import (
    AcsUnavailable,
    AlertNotSent,
    Blame,
    MediaThrottled,
    MediaUnavailable,
    RecorderError,
    StorageAccessDenied,
    StorageThrottled,
    StorageUnavailable,
)
from tests.support.fakes import NOON, FakeContainers, watched
from tests.unit.rig import HOUR, MINUTE, Rig

if TYPE_CHECKING:
    from collections.abc import Callable

    from shared.app import App
    from shared.domain.locations import ContainerUrl
    from shared.ports import Container, WorkItem

# What changes the world: between any two of these a process may die.
CHANGES = frozenset(
    {"create", "save", "archive", "remove", "put_entry", "put_note", "send", "drain_poison", "publish"}
    | {"stage", "commit", "put", "delete", "note_sha256", "stage_from", "start_recording"}
)
_MOST_EFFECTS = 60_000


class Crash(BaseException):
    """The process is gone. Not an Exception: nothing in the app may catch it."""


@dataclass(frozen=True)
class Trouble:
    """`service` fails at `rate` from `begin` to `end`: `kind` is error, refusal, lost (the answer) or crash."""

    service: str
    kind: str
    begin: datetime
    end: datetime
    rate: float


class _Gated(FakeContainers):
    """Containers behind the gate."""

    def __init__(self, inner: FakeContainers, gate: Callable[[str, Any], Any]) -> None:
        self._inner = inner
        self._gate = gate

    def destination(self, container: ContainerUrl) -> Container:
        found: Container = self._gate("destination", self._inner.destination(container))
        return found

    def fallback(self) -> Container:
        found: Container = self._gate("fallback", self._inner.fallback())
        return found


@dataclass
class SimWorld:
    """Several processes over one set of fakes. `crash_at`: at which points a process dies (two at each change)."""

    seed: int
    processes: int = 2
    troubles: list[Trouble] = field(default_factory=list)
    crash_at: frozenset[int] = frozenset()
    settings: Any = None

    def __post_init__(self) -> None:
        self.rng = random_module.Random(self.seed)  # noqa: S311 - reproducible, and nothing secret
        self.rig = Rig(given=self.settings, seed=self.seed) if self.settings else Rig(seed=self.seed)
        self.changes = self.effects = self.crashes = 0
        self.trace: list[str] = []
        ports = self.rig.ports
        self._ports = replace(
            ports,
            acs=self._gate("acs", ports.acs),
            media=self._gate("media", ports.media),
            containers=_Gated(self.rig.containers, self._gate),
            ledger=self._gate("ledger", ports.ledger),
            queue=self._gate("queue", ports.queue),
            notifier=self._gate("notifier", ports.notifier),
        )
        self.apps: list[App] = [self._process() for _ in range(self.processes)]

    def _process(self) -> App:
        from shared.app import compose  # noqa: PLC0415 - composed for each process

        return compose(self.rig.settings, self._ports)

    # --- the gate

    def _gate(self, service: str, port: Any) -> Any:
        def around(name: str, call: Callable[[], Any], _arguments: tuple[Any, ...]) -> Any:
            return self._pass(service, name, call)

        return watched(port, around)

    def _pass(self, service: str, name: str, call: Callable[[], Any]) -> Any:
        self.effects += 1
        if self.effects > _MOST_EFFECTS:
            raise AssertionError("an endless loop: too many effects")
        self.rig.clock.advance(timedelta(milliseconds=self.rng.randrange(1, 40)))
        is_change = name in CHANGES
        if is_change:
            self._maybe_crash(f"before {service}.{name}")
        self._maybe_fail(service, name)
        result = call()
        if is_change:
            self._maybe_crash(f"after {service}.{name}")
            for trouble in self._on(service, "lost"):
                if self.rng.random() < trouble.rate:
                    self.trace.append(f"lost answer of {service}.{name}")
                    raise self._error(service)
        return result

    def _maybe_crash(self, where: str) -> None:
        self.changes += 1
        is_due = self.changes in self.crash_at
        for trouble in self._on("worker", "crash"):
            is_due = is_due or self.rng.random() < trouble.rate
        if is_due:
            self.crashes += 1
            self.trace.append(f"crash {where}")
            raise Crash

    def _maybe_fail(self, service: str, name: str) -> None:
        for trouble in self._on(service, "refusal"):
            if name != "read" and trouble.rate:
                raise StorageAccessDenied("403", blame=Blame.DESTINATION)
        for trouble in self._on(service, "error"):
            if self.rng.random() < trouble.rate:
                raise self._error(service)

    def _on(self, service: str, kind: str) -> list[Trouble]:
        now = self.rig.clock.now()
        return [
            one for one in self.troubles if (one.service, one.kind) == (service, kind) and one.begin <= now < one.end
        ]

    def _error(self, service: str) -> RecorderError:
        if service == "acs":
            return AcsUnavailable("503", status=503)
        if service == "media":
            return self.rng.choice((MediaUnavailable("503"), MediaThrottled("429", retry_after=timedelta(hours=20))))
        if service == "notifier":
            return AlertNotSent("no answer")
        return self.rng.choice((StorageUnavailable("500"), StorageThrottled("503")))

    # --- running

    def function(self, action: Callable[[App], None]) -> bool:
        """One function in one of the processes; whether it returned. A crash costs that process its memory."""
        number = self.rng.randrange(len(self.apps))
        try:
            action(self.apps[number])
        except Crash:
            self.apps[number] = self._process()
            return False
        except RecorderError:
            return False
        return True

    def deliver_event(self, raw: str) -> None:
        """As Event Grid does: again until it is acknowledged."""
        for attempt in range(30):
            if self.function(lambda app: app.intake.handle(raw)):
                return
            self.rig.clock.advance(min(HOUR, MINUTE * (1 << attempt)))
        raise AssertionError("the event was never acknowledged")

    def messages(self, until: datetime) -> None:
        """The host's queue functions until then: at least once, poisoned after five failures, some of them doubled."""
        queue = self.rig.queue
        while True:
            due = queue.next_due()
            if due is None or due > until:
                self.rig.clock.moment = max(self.rig.clock.moment, until)
                return
            self.rig.clock.moment = max(self.rig.clock.moment, due)
            delivery = queue.receive(lease=timedelta(minutes=10))
            if delivery is None:
                continue
            if self._handled(delivery.item, str(delivery.id)):
                if self.rng.random() < 0.05:
                    self._handled(delivery.item, "doubled")
                queue.finish(delivery)
            else:
                queue.fail(delivery)

    def _handled(self, item: WorkItem, message_id: str) -> bool:
        return self.function(lambda app: app.worker.handle(item, message_id=message_id))

    def live(self, time: timedelta, *, step: timedelta = 5 * MINUTE) -> None:
        """Messages and sweeps for so long; where nothing is open the time just passes."""
        end = self.rig.clock.now() + time
        while self.rig.clock.now() < end:
            if not self.rig.ledger.open and not self.rig.queue.waiting:
                self.rig.clock.moment = end
                return
            self.messages(min(end, self.rig.clock.now() + step))
            self.function(lambda app: app.sweep.run())
            if self.rig.queue.next_due() is None:
                self._skip_to_next_due(end)

    def _skip_to_next_due(self, end: datetime) -> None:
        """Where nothing happens before some document is due, the sweeps in between change nothing."""
        moments = [entry.due for _, _, entry in self.rig.ledger.open.values() if entry.due]
        if moments and min(moments) > self.rig.clock.now():
            self.rig.clock.moment = min(end, *moments)

    def clear(self) -> None:
        """The troubles end."""
        self.troubles.clear()
        self.crash_at = frozenset()


def digest(data: bytes) -> str:
    """SHA-256 in hex."""
    return hashlib.sha256(data).hexdigest()


BEGIN = NOON
