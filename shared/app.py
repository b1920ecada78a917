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

from shared.api.actions import Actions
from shared.api.bulk import Bulk
from shared.api.doctor import Doctor
from shared.api.listing import Listing
from shared.api.rejected import RejectedEvents
from shared.api.replay import Replay
from shared.api.replays import Replays
from shared.api.statistics import Statistics
from shared.api.verification import Verification
from shared.api.verifications import Verifications
from shared.api.views import RecordingViews
from shared.domain.backoff import RetryPolicy
from shared.domain.steps import Rules
from shared.intake.intake import EventIntake
from shared.logs import LogOnlyNotifier, describe, log
from shared.settings import Settings, load_settings
from shared.sightings import Sightings
from shared.start.preflight import Preflight
from shared.start.start import Start
from shared.store import RecordingStore
from shared.sweep.audit import Audit
from shared.sweep.sweep import Sweep
from shared.telemetry.port import NO_TELEMETRY
from shared.transfer.copy import Copier
from shared.transfer.engine import Engine
from shared.transfer.slots import BlockSlots, ThreadSlots
from shared.transfer.throttle import Throttle
from shared.worker.check import Check
from shared.worker.circuit_breaker import CircuitBreaker
from shared.worker.deliver import Deliver
from shared.worker.fetch import Fetch
from shared.worker.finish import Finish
from shared.worker.metadata import MetadataStep
from shared.worker.missing_event import MissingEvent
from shared.worker.prove import Prove
from shared.worker.publish import Publish
from shared.worker.steps import Steps
from shared.worker.verify import Verify
from shared.worker.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Callable

    from shared.ports import Acs, Clock, Containers, Ledger, Media, Notifier, Random, WorkQueue
    from shared.telemetry.port import Telemetry

# A sweep ends well before the next one begins.
_SWEEP_BUDGET = timedelta(minutes=4)
_AUDIT_BUDGET = timedelta(seconds=30)
# What cannot be continued by the next invocation (a digest, a body without ranges) has nearly all of `functionTimeout`
# (host.json; a test keeps the two apart by this minute).
HARD_BUDGET = timedelta(minutes=29)


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
    queue: WorkQueue
    notifier: Notifier
    clock: Clock
    random: Random
    slots: BlockSlots
    telemetry: Telemetry = NO_TELEMETRY


@dataclass(frozen=True)
class App:
    """The use cases, ready to be called."""

    settings: Settings
    telemetry: Telemetry
    store: RecordingStore
    start: Start
    intake: EventIntake
    worker: Worker
    sweep: Sweep
    audit: Audit
    views: RecordingViews
    listing: Listing
    statistics: Statistics
    replay: Replay
    actions: Actions
    rejected: RejectedEvents
    doctor: Doctor
    verification: Verification
    replays: Replays
    verifications: Verifications


def rules_of(settings: Settings) -> Rules:
    """The settings that decide."""
    return Rules(
        window=settings.window,
        retry=RetryPolicy(first=settings.first_delay, longest=settings.longest_delay),
        delivery_window=settings.delivery_window,
        alert_left=settings.alert_left,
        silent_after=settings.silent_after,
        digests_exports=settings.digest_exports,
        deletes_at_acs=settings.delete_at_acs,
        has_topic=settings.event_topic is not None,
    )


def compose(settings: Settings, ports: Ports) -> App:
    """Wires the use cases to `ports`."""
    clock, containers = ports.clock, ports.containers
    rules = rules_of(settings)
    telemetry = ports.telemetry
    store = RecordingStore(
        ledger=ports.ledger, queue=ports.queue, clock=clock, random=ports.random, rules=rules, telemetry=telemetry
    )
    views = RecordingViews(
        store=store, clock=clock, containers=containers, fallback_container=settings.fallback_container
    )
    steps = _steps(settings, ports)
    listing = Listing(store=store, views=views)
    replay = Replay(store=store, clock=clock)
    verification = Verification(
        store=store, check=steps.check, clock=clock, fallback_container=settings.fallback_container
    )
    bulk = Bulk(store=store, listing=listing, clock=clock)
    # What waits for a worker waits no longer than one invocation may take.
    overdue_after = settings.time_budget
    allowed: dict[str, Any] = {"allowed": settings.allowed, "default_container": settings.default_container}
    seen = Sightings(ledger=ports.ledger, clock=clock)
    intake = EventIntake(store=store, seen=seen, clock=clock, **allowed)
    return App(
        settings=settings,
        telemetry=telemetry,
        store=store,
        start=Start(
            store=store,
            acs=ports.acs,
            preflight=Preflight(containers=containers, clock=clock, mode=settings.preflight),
            clock=clock,
            **allowed,
        ),
        intake=intake,
        worker=Worker(
            store=store,
            steps=steps,
            clock=clock,
            time_budget=settings.time_budget,
            hard_budget=HARD_BUDGET,
            overdue_after=overdue_after,
            telemetry=telemetry,
        ),
        sweep=Sweep(
            ledger=ports.ledger,
            queue=ports.queue,
            seen=seen,
            clock=clock,
            time_budget=_SWEEP_BUDGET,
            overdue_after=overdue_after,
            telemetry=telemetry,
        ),
        actions=Actions(store=store, acs=ports.acs),
        rejected=RejectedEvents(ledger=ports.ledger, intake=intake, clock=clock),
        doctor=Doctor(
            settings=settings,
            store=store,
            queue=ports.queue,
            acs=ports.acs,
            containers=containers,
            seen=seen,
            clock=clock,
        ),
        audit=Audit(
            ledger=ports.ledger, queue=ports.queue, clock=clock, days=settings.audited, time_budget=_AUDIT_BUDGET
        ),
        views=views,
        listing=listing,
        statistics=Statistics(store=store, clock=clock),
        replay=replay,
        verification=verification,
        replays=Replays(bulk=bulk, replay=replay),
        verifications=Verifications(bulk=bulk, verification=verification),
    )


def _steps(settings: Settings, ports: Ports) -> Steps:
    clock, containers, media = ports.clock, ports.containers, ports.media
    engine = Engine(
        media=media,
        slots=ports.slots,
        throttle=Throttle(clock=clock, most=settings.blocks_in_flight),
        clock=clock,
        sizes=settings.block_sizes,
    )
    metadata = MetadataStep(containers=containers, media=media)
    return Steps(
        verify=Verify(containers=containers, media=media),
        fetch=Fetch(
            containers=containers,
            media=media,
            engine=engine,
            breaker=CircuitBreaker(clock=clock),
            clock=clock,
        ),
        deliver=Deliver(
            media=media,
            containers=containers,
            copier=Copier(clock, settings.block_sizes.most),
            metadata=metadata,
            clock=clock,
        ),
        metadata=metadata,
        check=Check(containers=containers, clock=clock),
        prove=Prove(containers=containers, clock=clock),
        finish=Finish(store_index=ports.ledger, containers=containers, media=media, clock=clock),
        missing_event=MissingEvent(acs=ports.acs),
        publish=Publish(notifier=ports.notifier),
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
        from shared.adapters.queue import StorageWorkQueue, queue_service

        service = queue_service(account, None if key else credential())
        return StorageWorkQueue(service, keep_rejected=ledger.keep_rejected)

    def notifier() -> Any:
        return _notifier(settings, credential())

    is_silent = settings.event_topic is None
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
        telemetry=_telemetry(settings),
    )


def _port(build: Callable[[], Any]) -> Any:
    return _AtFirstUse(build)


def _credential(settings: Settings) -> Any:
    """The app's identity; None where keys serve everything (a laptop), so that azure-identity is not even loaded."""
    needs = (
        settings.app_storage.connection_string is None
        or settings.acs_key is None
        or settings.acs_media_auth == "identity"
        or settings.needs_storage_identity
        or (settings.event_topic is not None and settings.event_topic_key is None)
    )
    if not needs:
        return None
    from azure.identity import DefaultAzureCredential

    return DefaultAzureCredential(managed_identity_client_id=settings.identity_client_id)


def _notifier(settings: Settings, credential: Any) -> Notifier:
    if settings.event_topic is None:
        return LogOnlyNotifier()
    from shared.adapters.notify import TopicNotifier

    key = settings.event_topic_key
    return TopicNotifier(settings.event_topic, key=key.reveal() if key else None, credential=credential)


def _telemetry(settings: Settings) -> Telemetry:
    """OpenTelemetry where it has somewhere to go; what is wrong with it is logged, and holds nothing up."""
    if settings.insights is None and not settings.has_otlp:
        return NO_TELEMETRY
    try:
        from shared.telemetry.otel import OtelTelemetry

        exporters = []
        if settings.insights:
            from shared.telemetry.insights import insights_exporters

            exporters.append(insights_exporters(settings.insights.reveal()))
        if settings.has_otlp:
            from shared.telemetry.otlp import otlp_exporters

            exporters.append(otlp_exporters())
        return OtelTelemetry(exporters)
    except Exception as error:  # noqa: BLE001 - a library of another version, a connection string that is none
        log("telemetry.failed", level=logging.WARNING, error=describe(error))
        return NO_TELEMETRY


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
