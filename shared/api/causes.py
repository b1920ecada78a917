"""`GET /causes`: what holds unfinished recordings up, in groups that one repair mends. From the ledger's metadata only:
a request for each 5,000 unfinished recordings.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from shared import index
from shared.api.query import Reader
from shared.domain.codec import to_plain
from shared.domain.errors import Blame

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shared.store import RecordingStore

_SAMPLE = 5
_NEVER = datetime.max.replace(tzinfo=UTC)
_ROLE = "give this app's identity the role Storage Blob Data Contributor on {place}, then replay"
_WAIT = "attempts go on by themselves; nothing is to be done unless it lasts"
_SUPPORT = "look at one of the recordings; if it lasts, ask Microsoft's support with the trace id inside ACS's 24 hours"
_LOGS = "look at the app's log lines for this code; attempts go on by themselves"
# What to do, by the code of the failure; a test holds it to the tree of errors.
HINTS: dict[str, str] = {
    "storage_access_denied": _ROLE,
    "storage_network_denied": "let this app's network into the firewall of {place}, then replay",
    "container_missing": "create the container again (or restore it), then replay",
    "container_not_allowed": "add the container to RECORDING_CONTAINERS_ALLOWED, then replay",
    "storage_immutable": "lift the immutability policy or lease that keeps this app from writing to {place}",
    "storage_full": "make room in {place}, or raise its limit, then replay",
    "storage_invalid": "{place} does not accept what this app sends: look at the error of one of the recordings",
    "storage_refused": "look at the error of one of the recordings: a person has to mend {place}",
    "destination_conflict": "another file is in the way and is kept: move it, then replay",
    "storage_error": _LOGS,
    "storage_throttled": _WAIT,
    "storage_unavailable": _WAIT,
    "storage_corrupted": _WAIT,
    "blob_archived": "rehydrate the blob from the archive tier, then replay",
    "digest_late": "the file is too large to be read back in one invocation: its digest stays unavailable",
    "blob_missing": "a file is gone from {place}: find out who removed it, then replay",
    "blob_exists": "another file has the name: move it, then replay",
    "precondition_failed": "a file changed while it was read or copied: replay",
    "blocks_missing": "staged blocks are gone from {place}: they are staged again by themselves",
    "fallback_missing": "find out who removed a file from the fallback; it is fetched again while ACS has it",
    "media_error": _SUPPORT,
    "media_unauthorized": "mend this app's key or identity at ACS (ACS_MEDIA_AUTH) inside the 24 hours, then replay",
    "media_not_found": _SUPPORT,
    "media_bad_request": _SUPPORT,
    "media_throttled": _WAIT,
    "media_unavailable": _WAIT,
    "media_location_refused": "the events name no location at ACS that this app goes to: look at a recording",
    "media_redirected": _SUPPORT,
    "media_distrusted": _SUPPORT,
    "media_empty": _SUPPORT,
    "media_truncated": _WAIT,
    "media_too_long": _SUPPORT,
    "media_is_a_page": _SUPPORT,
    "media_undelimited": "the bytes are kept, and nothing proves that they are all: listen to the file",
    "media_wrong_range": _SUPPORT,
    "media_changed": _WAIT,
    "media_too_large": "raise RESCUE_BLOCK_MIB: the file needs larger blocks",
    "export_not_found": "see whether ACS has written the export to another place; it is fetched from ACS meanwhile",
    "export_empty": "the exported file is empty; it is fetched from ACS meanwhile",
    "export_broken": "the exported file is not whole; it is fetched from ACS meanwhile",
    "worker_crashed": "probably out of memory: lower RESCUE_MEMORY_MIB",
    "unexpected": "a bug, of this app or of a library: report it with the log line work.unexpected",
    "event_overdue": "no event has come: check the event subscription (recording file status) and its dead letters",
}
_UNKNOWN = "look at the error of one of the recordings"


@dataclass
class _Group:
    """Recordings that one cause holds up. `risks` are of all of them, with their keys."""

    cause: str
    blame: str
    container: str | None
    risks: list[tuple[datetime, str]] = field(default_factory=list)

    def shown(self) -> dict[str, Any]:
        nearest = heapq.nsmallest(_SAMPLE, self.risks)
        fields = {
            "cause": self.cause,
            "blame": self.blame,
            "containerUrl": self.container,
            "count": len(self.risks),
            "nearestRisk": None if nearest[0][0] == _NEVER else to_plain(nearest[0][0]),
            "sample": [key for _, key in nearest],
            "hint": hint(self.cause, self.blame),
        }
        return {name: value for name, value in fields.items() if value is not None}


def causes(store: RecordingStore, parameters: Sequence[tuple[str, str]] = ()) -> dict[str, Any]:
    """The groups, nearest risk first. What has not failed is in none. InvalidRequest, for it takes no parameter."""
    Reader(parameters, ()).check()
    groups: dict[tuple[str, str, str | None], _Group] = {}
    for entry in index.open_entries(store.ledger):
        known = entry.facets
        if known is None or known.is_finished or known.cause is None:
            continue
        blame = known.blame or Blame.APP.value
        container = known.container if blame == Blame.DESTINATION else None
        group = groups.setdefault((known.cause, blame, container), _Group(known.cause, blame, container))
        group.risks.append((entry.risk or _NEVER, entry.key))
    shown = sorted(groups.values(), key=lambda group: (min(group.risks)[0], -len(group.risks), group.cause))
    return {"causes": [group.shown() for group in shown]}


def hint(cause: str, blame: str) -> str:
    """What to do about it."""
    place = "the container" if blame == Blame.DESTINATION else "the app's own storage account"
    text = HINTS.get(cause, _UNKNOWN).replace("{place}", place)
    return text[0].upper() + text[1:] + "."
