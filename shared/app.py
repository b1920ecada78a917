"""The composition root: builds everything once a process, when the first function runs, and never at import.

Every collaborator can be replaced by keyword: tests and the simulation hand in theirs. The Azure SDKs are imported
here, on first use: indexing the functions loads none of them.
"""

from __future__ import annotations

import logging
import os
import random as random_module
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from shared.api.views import Story
from shared.domain.backoff import RetryPolicy
from shared.intake.intake import Watch
from shared.logs import LogOnlyNotifier
from shared.settings import Settings, load_settings
from shared.start.preflight import Preflight
from shared.start.start import Start
from shared.store import Books
from shared.sweep.missing_event import Silence
from shared.sweep.replay import Replay
from shared.sweep.sweep import Sweep
from shared.transfer.engine import Transfer
from shared.transfer.slots import BlockSlots, ThreadSlots
from shared.transfer.throttle import Throttle
from shared.worker.aftercare import Aftercare
from shared.worker.delivery import Delivery
from shared.worker.outcome import Outcome
from shared.worker.rescue import Rescue

if TYPE_CHECKING:
    from collections.abc import Callable

    from shared.ports import Acs, Clock, Containers, Ledger, Media, Notifier, Random, RescueQueue

# A sweep ends well before the next one begins.
_SWEEP_BUDGET = timedelta(minutes=4)


class SystemClock:
    """Port `Clock`: the machine's."""

    def now(self) -> datetime:
        """See the port."""
        return datetime.now(UTC)

    def pause(self, seconds: float) -> None:
        """See the port."""
        time.sleep(seconds)


@dataclass(frozen=True)
class Ports:
    """The world, as the app is given it."""

    acs: Acs
    media: Media
    containers: Containers
    ledger: Ledger
    queue: RescueQueue
    notifier: Notifier
    clock: Clock
    random: Random
    slots: BlockSlots


@dataclass(frozen=True)
class App:
    """The use cases, ready to be called."""

    settings: Settings
    start: Start
    watch: Watch
    rescue: Rescue
    sweep: Sweep
    story: Story
    replay: Replay


def compose(settings: Settings, ports: Ports) -> App:
    """Wires the use cases to `ports`."""
    clock, random, containers = ports.clock, ports.random, ports.containers
    policy = RetryPolicy(first=settings.first_delay, longest=settings.longest_delay)
    books = Books(ledger=ports.ledger, queue=ports.queue, notifier=ports.notifier, clock=clock, random=random)
    aftercare = Aftercare(
        books=books,
        containers=containers,
        media=ports.media,
        clock=clock,
        random=random,
        policy=policy,
        delivery_window=settings.delivery_window,
        deletes_at_acs=settings.delete_at_acs,
    )
    transfer = Transfer(
        media=ports.media,
        slots=ports.slots,
        throttle=Throttle(clock=clock, most=settings.blocks_in_flight),
        clock=clock,
        sizes=settings.block_sizes,
    )
    delivery = Delivery(
        books=books,
        containers=containers,
        aftercare=aftercare,
        clock=clock,
        random=random,
        window=settings.delivery_window,
        block_bytes=settings.block_sizes.first,
    )
    outcome = Outcome(
        books=books,
        containers=containers,
        aftercare=aftercare,
        clock=clock,
        random=random,
        policy=policy,
        delivery_window=settings.delivery_window,
    )
    rescue = Rescue(
        books=books,
        containers=containers,
        transfer=transfer,
        outcome=outcome,
        delivery=delivery,
        aftercare=aftercare,
        clock=clock,
        time_budget=settings.time_budget,
    )
    silence = Silence(
        books=books,
        acs=ports.acs,
        containers=containers,
        clock=clock,
        window=settings.window,
        silent_after=settings.silent_after,
        delivery_window=settings.delivery_window,
    )
    common: dict[str, Any] = {
        "books": books,
        "clock": clock,
        "allowed": settings.allowed,
        "default_container": settings.default_container,
        "window": settings.window,
    }
    return App(
        settings=settings,
        start=Start(
            acs=ports.acs,
            preflight=Preflight(containers=containers, clock=clock, mode=settings.preflight),
            silent_after=settings.silent_after,
            **common,
        ),
        watch=Watch(**common),
        rescue=rescue,
        sweep=Sweep(
            books=books,
            queue=ports.queue,
            silence=silence,
            clock=clock,
            random=random,
            alert_left=settings.alert_left,
            time_budget=_SWEEP_BUDGET,
            # Whoever waits for a worker waits no longer than one invocation may take.
            grace=settings.time_budget,
        ),
        story=Story(books=books, clock=clock, fallback_container=settings.fallback_container),
        replay=Replay(books=books, silence=silence, clock=clock),
    )


class _AtFirstUse:
    """A port that is built when it is first asked for anything: an event needs no ACS SDK, nor does a listing."""

    def __init__(self, build: Callable[[], Any]) -> None:
        self._build = build
        self._built: Any = None
        self._lock = threading.Lock()

    def __getattr__(self, name: str) -> Any:
        with self._lock:
            if self._built is None:
                self._built = self._build()
        return getattr(self._built, name)


def azure_ports(settings: Settings) -> Ports:
    """The real world: every adapter on its SDK, one identity for all that use one; each loaded at its first use."""
    from shared.adapters.blob import blob_service
    from shared.adapters.ledger import BlobLedger

    credential = lru_cache(maxsize=1)(lambda: _credential(settings))
    account = settings.app_storage
    key = account.connection_string
    app_service = blob_service(
        settings,
        account_url=account.blob_url,
        connection_string=key.reveal() if key else None,
        credential=None if key else credential(),
    )
    ledger = BlobLedger(app_service, container=settings.ledger_container, rejected=settings.rejected_container)

    def acs() -> Any:
        from shared.adapters.acs import AcsRecordings, acs_client

        return AcsRecordings(acs_client(settings, credential(), for_media=False))

    def media() -> Any:
        from shared.adapters.acs import AcsMedia, acs_client

        return AcsMedia(acs_client(settings, credential(), for_media=True))

    def containers() -> Any:
        from shared.adapters.blob import BlobContainers

        return BlobContainers(settings, app_service=app_service, credential=credential())

    def queue() -> Any:
        from shared.adapters.queue import StorageRescueQueue, queue_service

        service = queue_service(account, None if key else credential())
        return StorageRescueQueue(service, keep_rejected=ledger.keep_rejected)

    def notifier() -> Any:
        return _notifier(settings, credential())

    is_silent = settings.alert_topic is None
    return Ports(
        acs=_port(acs),
        media=_port(media),
        containers=_port(containers),
        ledger=ledger,
        queue=_port(queue),
        notifier=LogOnlyNotifier() if is_silent else _port(notifier),
        clock=SystemClock(),
        random=random_module.SystemRandom(),
        slots=ThreadSlots(room=settings.memory_bytes, least=settings.block_sizes.least),
    )


def _port(build: Callable[[], Any]) -> Any:
    return _AtFirstUse(build)


def _credential(settings: Settings) -> Any:
    """The app's identity; None where keys serve everything (a laptop), so that azure-identity is not even loaded."""
    needs = (
        settings.app_storage.connection_string is None
        or settings.acs_key is None
        or settings.acs_media_auth == "identity"
        or settings.recording_storage is None
        or (settings.alert_topic is not None and settings.alert_topic_key is None)
    )
    if not needs:
        return None
    from azure.identity import DefaultAzureCredential

    return DefaultAzureCredential(managed_identity_client_id=settings.identity_client_id)


def _notifier(settings: Settings, credential: Any) -> Notifier:
    if settings.alert_topic is None:
        return LogOnlyNotifier()
    from shared.adapters.notify import TopicNotifier

    key = settings.alert_topic_key
    return TopicNotifier(settings.alert_topic, key=key.reveal() if key else None, credential=credential)


_lock = threading.Lock()
_built: list[App] = []


def the_app() -> App:
    """The process's app, built at the first call. Raises SettingsError, each time until the settings are mended."""
    with _lock:
        if not _built:
            settings = load_settings(os.environ)
            # The SDKs log each request at INFO: ten lines a block, and every blob's URL.
            logging.getLogger("azure").setLevel(logging.WARNING)
            _built.append(compose(settings, azure_ports(settings)))
        return _built[0]
