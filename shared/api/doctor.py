"""`GET /doctor`: what is well, what is not, and how to mend it.

Each check asks the real service what the app's own work asks of it, changes nothing that anybody sees, and ends with
one line or more. They run side by side, for a service that is away answers slowly. ACS's own role at a container cannot
be read from here: what ACS wrote there shows it. Nor can the handshake of the event subscription: the host answers it.
"""

from __future__ import annotations

import logging
import platform
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from importlib import metadata
from typing import TYPE_CHECKING, Any

import shared
from shared import index, sightings
from shared.api.views import RecordingUnknown, find
from shared.domain.codec import format_time
from shared.domain.errors import AcsError, AcsInvalidArgument, RecorderError, RecordingNotFound
from shared.domain.facets import MIXED, from_metadata
from shared.domain.locations import ContainerUrl
from shared.domain.recording import RecordingState
from shared.domain.steps import next_due
from shared.logs import describe, log

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from shared.ports import Acs, Clock, Containers, OpenEntry, WorkQueue
    from shared.settings import Settings
    from shared.sightings import Sightings
    from shared.store import RecordingStore

OK, WARN, FAIL = "ok", "warn", "fail"
_ORDER = (OK, WARN, FAIL)
_AT_ONCE = 8
_SAMPLE = 20
# Finished recordings that are looked at, and how many without an export look like a role that is missing.
_NEWEST, _SUSPICIOUS = 200, 3
_LATE = timedelta(minutes=15)
# The sweep comes every five minutes.
_SWEEP_MISSED = timedelta(minutes=12)
# Signatures of storage and ACS are refused beyond 15 and 5 minutes.
_SKEW_WARN, _SKEW_FAIL = timedelta(seconds=30), timedelta(minutes=4)
# Well formed, and of no recording: ACS answers that it knows none, once it has accepted the credential.
_UNKNOWN_ID = (
    "eyJQbGF0Zm9ybUVuZHBvaW50SWQiOiIwMDAwMDAwMC0wMDAwLTAwMDAtMDAwMC0wMDAwMDAwMDAwMDAiLCJSZXNvdXJjZVNwZWNpZmljSWQiOiIw"
    "MDAwMDAwMC0wMDAwLTAwMDAtMDAwMC0wMDAwMDAwMDAwMDAifQ=="
)
_ROLE = (
    "give the app's identity the role Storage Blob Data Contributor there, or mend the key (SECURITY.md, identities)"
)
_FIXES = {
    "storage_access_denied": _ROLE,
    "storage_network_denied": "let the app's network through the account's firewall, or mend the key",
    "container_missing": "make the container, or mend its URL in the settings",
    "storage_immutable": "allow new files: a policy or a lease holds the container",
    "storage_full": "the account has no room: raise its limit",
    "storage_unavailable": "look at the account's name, its DNS and the network between; else wait and ask again",
    "storage_throttled": "the account is busy: ask again in a minute",
    "acs_unauthorized": "mend ACS_CONNECTION_STRING (is the key still valid?), or ACS_ENDPOINT and the identity",
    "acs_forbidden": "give the app's identity its role at the ACS resource (docs/deploy.md, ACS_ACCESS)",
    "acs_throttled": "ACS is busy: ask again in a minute",
    "acs_unavailable": "look at the name in ACS_ENDPOINT or ACS_CONNECTION_STRING and the network; else ask again",
    "acs_timeout": "look at the network to ACS; else ask again",
}
_ANY_FIX = "see docs/operations.md"
_ACS_ROLE = (
    "give the ACS resource's identity Storage Blob Data Contributor there and let ACS through the account's firewall"
    " (docs/deploy.md); where it is closed on purpose, this app fetches every recording"
)
_SUBSCRIBE = "subscribe recording_file_status_updated to the ACS resource's events (docs/deploy.md; scripts/postdeploy)"


@dataclass(frozen=True)
class Check:
    """One line. `fix`: what to do, where it is not ok."""

    name: str
    status: str
    message: str
    fix: str | None = None

    def plain(self) -> dict[str, str]:
        """As the API returns it."""
        fields = {"name": self.name, "status": self.status, "message": self.message, "fix": self.fix}
        return {name: value for name, value in fields.items() if value is not None}


def report(checks: list[Check], *, at: datetime) -> dict[str, Any]:
    """The answer's body; its status, the worst of all, comes first in it."""
    worst = max((_ORDER.index(check.status) for check in checks), default=0)
    return {
        "status": _ORDER[worst],
        "version": shared.__version__,
        "at": format_time(at),
        "checks": [check.plain() for check in checks],
    }


def unconfigured(faults: list[str], *, at: datetime) -> dict[str, Any]:
    """The report of an app whose settings cannot be used: nothing else can be asked."""
    fix = "mend the setting (README.md, settings); the app reads it at its next start"
    return report([Check("settings", FAIL, fault, fix) for fault in faults] + [_version()], at=at)


class Doctor:
    """Looks at everything the app needs."""

    def __init__(
        self,
        *,
        settings: Settings,
        store: RecordingStore,
        queue: WorkQueue,
        acs: Acs,
        containers: Containers,
        seen: Sightings,
        clock: Clock,
    ) -> None:
        self._settings = settings
        self._store = store
        self._queue = queue
        self._acs = acs
        self._containers = containers
        self._seen = seen
        self._clock = clock

    def examine(self) -> dict[str, Any]:
        """The report. Raises nothing: what fails is a line of it."""
        looks: list[tuple[str, Callable[[], list[Check]]]] = [
            ("settings", self._of_settings),
            ("app storage", self._of_storage),
            ("queues", self._of_queues),
            ("ledger", self._of_ledger),
            ("acs", self._of_acs),
            ("fallback", self._of_fallback),
            *((f"container {place}", self._looker(place)) for place in self._places()),
            ("exports", self._of_exports),
            ("events", self._of_events),
            ("version", lambda: [_version()]),
        ]
        with ThreadPoolExecutor(max_workers=_AT_ONCE, thread_name_prefix="doctor") as pool:
            found = pool.map(lambda look: _looked(*look), looks)
        return report([check for checks in found for check in checks], at=self._clock.now())

    def _places(self) -> list[ContainerUrl]:
        return sorted({self._settings.default_container, *self._settings.allowed.places}, key=str)

    def _of_settings(self) -> list[Check]:
        given = self._settings
        topic = "alerts go to the log and a topic" if given.event_topic else "alerts go to the log only"
        checks = [Check("settings", OK, f"all can be used; {topic}")]
        if given.preflight == "off":
            fix = "set PREFLIGHT to warn or enforce"
            checks.append(Check("settings", WARN, "PREFLIGHT is off: no container is looked at before a start", fix))
        return checks

    def _of_storage(self) -> list[Check]:
        """Writes and reads back a note; the answer's Date against our clock."""
        before = self._clock.now()
        theirs = self._store.ledger.probe()
        after = self._clock.now()
        # Their time has whole seconds.
        skew = max(theirs - after, before - theirs - timedelta(seconds=1), timedelta(0))
        status = OK if skew < _SKEW_WARN else WARN if skew < _SKEW_FAIL else FAIL
        fix = None if status == OK else "set this machine's clock (NTP): signatures are refused beyond five minutes"
        seconds = round(skew.total_seconds())
        return [
            Check("app storage", OK, "written and read back"),
            Check("clock", status, f"{seconds} s from the storage account's", fix),
        ]

    def _of_queues(self) -> list[Check]:
        checks = []
        for depth in self._queue.depths():
            name = f"queue {depth.name}"
            if depth.waiting is None:
                fix = "nothing to do if no recording needed work yet: it is made with the first message"
                checks.append(Check(name, WARN, "does not exist yet", fix))
            elif depth.poisoned:
                fix = "the sweep looks at them again within five minutes; then see their recordings' lastError"
                checks.append(Check(name, WARN, f"{depth.waiting} waiting, {depth.poisoned} given up (poison)", fix))
            else:
                checks.append(Check(name, OK, f"{depth.waiting} waiting or planned, none given up"))
        return checks

    def _of_ledger(self) -> list[Check]:
        entries, cursor = self._store.ledger.open_entries()
        more = "more than " if cursor else ""
        quarantined, _ = self._store.ledger.entries("quarantine/")
        suspects = self._disagreeing(entries[:: max(1, len(entries) // _SAMPLE)][:_SAMPLE])
        if suspects:
            # What was written in between has other metadata by now: only what still differs counts.
            again = {entry.key: entry for entry in self._store.ledger.open_entries()[0]}
            suspects = self._disagreeing([again[key] for key in suspects if key in again])
        checks = []
        if quarantined:
            named = ", ".join(entry.name.rpartition("/")[2].removesuffix(".json") for entry in quarantined[:5])
            fix = "docs/operations.md, ledger_unreadable"
            checks.append(Check("ledger", FAIL, f"{len(quarantined)} documents cannot be read: {named}", fix))
        if suspects:
            fix = "POST /recordings/{key}/replay writes document and metadata anew"
            checks.append(Check("ledger", WARN, f"document and index disagree: {', '.join(suspects[:5])}", fix))
        late = [entry for entry in entries if entry.due and entry.due < self._clock.now() - _LATE]
        if late:
            fix = "see the lines on queues and sweep; the workers may be busy"
            checks.append(Check("ledger", WARN, f"{len(late)} recordings are overdue by more than 15 minutes", fix))
        if not checks:
            sampled = min(len(entries), _SAMPLE)
            checks.append(
                Check("ledger", OK, f"{more}{len(entries)} unfinished; {sampled} sampled agree with the index")
            )
        return checks

    def _disagreeing(self, entries: list[OpenEntry]) -> list[str]:
        """Keys whose document says other than its metadata, or is not found by its id."""
        found = []
        for entry in entries:
            version = self._store.load(entry.key)
            if version is None or not version.is_open:
                continue
            recording = version.recording
            written = (next_due(recording, self._store.rules), recording.at_risk_from, recording.state.value)
            differs = [_millis(one) for one in written] != [
                _millis(one) for one in (entry.due, entry.risk, entry.state)
            ]
            if differs or not self._is_found(recording.recording_id, recording.key):
                found.append(entry.key)
        return found

    def _is_found(self, identity: str | None, key: str) -> bool:
        try:
            return identity is None or find(self._store, identity).recording.key == key
        except RecordingUnknown:
            return False

    def _of_acs(self) -> list[Check]:
        how = "its key" if self._settings.acs_key else "the app's identity"
        try:
            self._acs.recording_state(_UNKNOWN_ID)
        except (RecordingNotFound, AcsInvalidArgument):
            pass  # it was let in, and there is no such recording
        except AcsError as error:
            return [_failed("acs", error)]
        return [Check("acs", OK, f"{self._settings.acs_endpoint} answers, and accepts {how}")]

    def _of_fallback(self) -> list[Check]:
        self._containers.fallback().probe()
        return [Check("fallback", OK, f"{self._settings.fallback_container} can be written")]

    def _looker(self, place: ContainerUrl) -> Callable[[], list[Check]]:
        def look() -> list[Check]:
            container = self._containers.destination(place)
            container.probe()
            container.find("acs-byos-recorder-preflight")
            return [Check(f"container {place}", OK, "can be written and listed by this app")]

        return look

    def _of_exports(self) -> list[Check]:
        """Whether ACS's own role is where it should be cannot be read; its newest exports show it."""
        newest = next(index.finished(self._store.ledger, RecordingState.COMPLETE.value, page=_NEWEST), [])
        found = [given for _, entry in newest if (given := from_metadata(entry.metadata))]
        checks = []
        for place in self._places():
            routes = [given.route for given in found if _is_in(place, given.container)]
            exported = sum(route in ("exported", MIXED) for route in routes)
            name = f"exports to {place}"
            counted = f"ACS itself wrote {exported} of the newest {len(routes)} recordings there"
            if len(routes) >= _SUSPICIOUS and not exported:
                checks.append(Check(name, WARN, counted, _ACS_ROLE))
            elif routes:
                checks.append(Check(name, OK, counted))
        return checks

    def _of_events(self) -> list[Check]:
        last = self._seen.last()
        event = max(
            (last[one] for one in (sightings.RECORDING_EVENT, sightings.OTHER_EVENT) if one in last), default=None
        )
        checks = []
        if event is None:
            checks.append(Check("events", WARN, "no event was delivered yet", _SUBSCRIBE))
        else:
            of_recording = last.get(sightings.RECORDING_EVENT)
            which = f"of a recording {_when(of_recording)}" if of_recording else "none of a recording yet"
            message = f"last event {_when(event)}, {which}; the handshake is the host's and not seen here"
            checks.append(Check("events", OK, message))
        swept, now = last.get(sightings.SWEEP), self._clock.now()
        if swept is None:
            fix = "wait five minutes; then look whether the host lists the function `sweep`"
            checks.append(Check("sweep", WARN, "there was none yet", fix))
        elif now - swept > _SWEEP_MISSED:
            fix = "look whether the app runs and the host lists the function `sweep`; its log says why it fails"
            checks.append(Check("sweep", FAIL, f"the last one was {_when(swept)}", fix))
        else:
            checks.append(Check("sweep", OK, f"the last one was {_when(swept)}"))
        return checks


def _looked(name: str, look: Callable[[], list[Check]]) -> list[Check]:
    try:
        return look()
    except RecorderError as error:
        return [_failed(name, error)]
    except Exception as error:  # noqa: BLE001 - one check that breaks must not take the others away
        log("doctor.failed", level=logging.ERROR, check=name, error=describe(error))
        return [Check(name, FAIL, f"the check itself failed: {type(error).__name__}", "the app's log says how")]


def _failed(name: str, error: RecorderError) -> Check:
    status = WARN if error.code in ("acs_throttled", "storage_throttled") else FAIL
    return Check(name, status, f"{error.code}: {error}", _FIXES.get(error.code, _ANY_FIX))


def _is_in(place: ContainerUrl, url: str) -> bool:
    try:
        return place.contains(ContainerUrl.parse(url))
    except ValueError:
        return False


def _millis(value: Any) -> Any:
    """Moments as the metadata has them."""
    return value if value is None or isinstance(value, str) else format_time(value)


def _when(moment: datetime | None) -> str:
    return format_time(moment)[:16] + "Z" if moment else "never"


def _version() -> Check:
    parts = [f"{shared.__version__} on Python {platform.python_version()}"]
    for name in ("azure-functions", "azure-communication-callautomation", "azure-storage-blob"):
        with suppress(metadata.PackageNotFoundError):
            parts.append(f"{name} {metadata.version(name)}")
    return Check("version", OK, ", ".join(parts))
