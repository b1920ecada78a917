"""What `POST /replays` and `POST /verifications` share: a body that selects recordings, and a page of them at a time.

The filters are those of `GET /recordings`, as a JSON object. `dryRun` is true unless the body says otherwise: what
would happen is answered, and nothing is changed. A call handles at most `limit` recordings and begins no other when
its time is over; `nextCursor` goes on from there, in the order of when the recordings began, newest first, which
nothing that happens to them changes.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from shared import index
from shared.api.query import FINISHED_NAMES, Query, encode_cursor, parse_query
from shared.domain.errors import Fault, InvalidRequest, RecorderError
from shared.domain.facets import began_at
from shared.domain.recording import RecordingState

if TYPE_CHECKING:
    from collections.abc import Callable

    from shared.api.listing import Listing
    from shared.ports import Clock, Version
    from shared.store import RecordingStore

_TEXTS = ("state", "cause", "container", "route", "from", "to", "cursor")
_NAMES = ("dryRun", *_TEXTS, "limit")
# Azure's load balancer ends a request after 230 seconds.
_BUDGET = timedelta(seconds=100)


@dataclass(frozen=True)
class _AllButComplete(Query):
    """All recordings that something may be done for."""

    @property
    def finished_states(self) -> tuple[str, ...]:
        """See `Query`."""
        return tuple(name for name in FINISHED_NAMES if name != RecordingState.COMPLETE)


@dataclass(frozen=True)
class Selection:
    """A parsed body."""

    query: Query
    is_dry_run: bool


def parse_body(body: Any, *, default_state: str) -> Selection:
    """InvalidRequest with every fault. `default_state` of a body that names none; `incomplete`: all but complete."""
    if not isinstance(body, dict):
        raise InvalidRequest([Fault("", "must be a JSON object")])
    faults = [Fault(str(name)[:64] or "(empty)", f"is not a field; there are {', '.join(_NAMES)}")
              for name in body if name not in _NAMES]  # fmt: skip
    faults += [Fault(name, "must be a string") for name in _TEXTS if name in body and not isinstance(body[name], str)]
    faults += [Fault(name, "must not have spaces around it") for name in _TEXTS
               if isinstance(body.get(name), str) and body[name] != body[name].strip()]  # fmt: skip
    if "limit" in body and type(body["limit"]) is not int:
        faults.append(Fault("limit", "must be a whole number"))
    if "dryRun" in body and not isinstance(body["dryRun"], bool):
        faults.append(Fault("dryRun", "must be true or false"))
    wrong = {fault.field for fault in faults}
    given = {name: str(body[name]) for name in (*_TEXTS, "limit") if name in body and name not in wrong}
    is_incomplete = "state" not in body and default_state == "incomplete"
    try:
        state = "all" if is_incomplete else default_state
        query = parse_query(list(({"state": state} | given | {"order": "newest"}).items()))
    except InvalidRequest as error:
        raise InvalidRequest([*faults, *error.faults]) from error
    if faults:
        raise InvalidRequest(faults)
    if is_incomplete:
        fields = {name: getattr(query, name) for name in query.__dataclass_fields__}
        query = _AllButComplete(**fields)
    return Selection(query, is_dry_run=body.get("dryRun", True))


class Bulk:
    """Pages of selected recordings. One for the process; safe for many threads."""

    def __init__(self, *, store: RecordingStore, listing: Listing, clock: Clock) -> None:
        self._store = store
        self._listing = listing
        self._clock = clock

    def run(self, selection: Selection, act: Callable[[Version], dict[str, Any]]) -> dict[str, Any]:
        """`dryRun`, `matched`, `results` of `act` with the ids, and `nextCursor` while there is more. StorageError.

        What fails for one recording is that one's result.
        """
        until, place = self._clock.now() + _BUDGET, selection.query.after
        page = self._listing.page(selection.query)
        cursor = page.get("nextCursor")
        results: list[dict[str, Any]] = []
        for summary in page["recordings"]:
            # Not before there is a place to go on from: that of one that cannot be loaded is not known.
            if place != selection.query.after and self._clock.now() >= until:
                cursor = encode_cursor(place)
                break
            result, reached = self._result(summary, act)
            place = reached or place
            results.append(result)
        answer: dict[str, Any] = {"dryRun": selection.is_dry_run, "matched": len(results), "results": results}
        return answer if cursor is None else answer | {"nextCursor": cursor}

    def _result(self, summary: dict[str, Any], act: Callable[[Version], dict[str, Any]]) -> tuple[dict[str, Any], str]:
        """The recording's result, and its place in the order."""
        ids = {name: summary[name] for name in ("key", "recordingId") if name in summary}
        place = ""
        try:
            version = self._store.load(summary["key"])
            if version is None:
                return ids | {"outcome": "failed", "reason": "it is not in the ledger any more"}, place
            place = index.place(began_at(version.recording), version.recording.key)
            return ids | act(version), place
        except RecorderError as error:
            return ids | {"outcome": "failed", "reason": f"{error.code}: {error}"}, place
