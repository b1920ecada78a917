"""The query of `GET /recordings`: each fault of it named at once."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from shared.domain import naming
from shared.domain.codec import parse_time
from shared.domain.errors import Fault, InvalidRequest
from shared.domain.facets import MIXED, ROUTES
from shared.domain.locations import ContainerUrl
from shared.domain.recording import UNFINISHED_STATES, RecordingState

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime

    from shared.domain.facets import Facets
    from shared.domain.recording import Recording

MOST_LISTED, USUAL = 200, 50
UNFINISHED, FINISHED, ALL = "unfinished", "finished", "all"
UNFINISHED_NAMES = tuple(state.value for state in UNFINISHED_STATES)
# What a finished recording can be; `safe` is one whose delivery was given up.
FINISHED_NAMES = tuple(
    state.value for state in RecordingState if state not in (RecordingState.STARTED, RecordingState.SAVING)
)
STATES = (UNFINISHED, FINISHED, ALL, *(state.value for state in RecordingState))
IDS = ("recordingId", "callId", "serverCallId", "groupCallId", "roomId", "callConnectionId")
GROUPS = ("groupCallId", "roomId")
FILTERS = ("state", "from", "to", *IDS, "container", "cause", "route")
PARAMETERS = (*FILTERS, "order", "limit", "cursor")
# A function's key may come as a parameter.
_NOT_OURS = ("code", "clientId")
_ORDERS = ("risk", "newest")
_ROUTES = (*ROUTES.values(), MIXED)
_CODE = re.compile(r"[a-z0-9_]{1,64}")
_PLACE = {
    "risk": re.compile(r"\d{8}T\d{6}\.\d{6}-[0-9a-f]{32}"),
    "newest": re.compile(r"\d{7}/\d\d/\d{7}-[0-9a-f]{32}"),
}
_LONGEST_ID = 2048


@dataclass(frozen=True)
class Query:
    """What is listed. `order` is risk or newest; `after`: the place in it where the page begins."""

    state: str = UNFINISHED
    since: datetime | None = None
    before: datetime | None = None
    ids: dict[str, str] = field(default_factory=dict)
    container: ContainerUrl | None = None
    cause: str | None = None
    route: str | None = None
    order: str = "risk"
    limit: int = USUAL
    after: str = ""

    @property
    def is_selective(self) -> bool:
        """Whether it leaves out some of the recordings of its states and its time."""
        return bool(self.container or self.cause or self.route)

    @property
    def unfinished_states(self) -> tuple[str, ...]:
        """The states of unfinished recordings that are asked for."""
        if self.state in (UNFINISHED, ALL):
            # All files in place and no manifest yet: that is unfinished, too, whatever its state.
            return tuple(state.value for state in RecordingState)
        return (self.state,) if self.state in UNFINISHED_NAMES else ()

    @property
    def finished_states(self) -> tuple[str, ...]:
        """The states of finished recordings that are asked for."""
        if self.state in (FINISHED, ALL):
            return FINISHED_NAMES
        return (self.state,) if self.state in FINISHED_NAMES else ()

    def admits(self, given: Facets) -> bool:
        """Whether a recording with these facets is asked for, as far as they tell."""
        states = self.finished_states if given.is_finished else self.unfinished_states
        return (
            given.state in states
            and (self.since is None or given.began >= self.since)
            and (self.before is None or given.began < self.before)
            and (self.cause is None or given.cause == self.cause)
            and (self.route is None or given.route == self.route)
            and (self.container is None or _is_in(self.container, given.container))
        )

    def names(self, recording: Recording, aliases: Collection[str] = ()) -> bool:
        """Whether the recording has each of the ids that are asked for.

        `aliases`: hashes of the server call ids of calls that are of the group or room that is asked for.
        """
        call = recording.server_call_id
        is_alias = call is not None and naming.recording_key(call) in aliases
        return all(
            naming.normal_id(value) in _named(recording, name) or (is_alias and name in GROUPS)
            for name, value in self.ids.items()
        )


def _is_in(container: ContainerUrl, url: str) -> bool:
    try:
        return container.contains(ContainerUrl.parse(url))
    except ValueError:
        return False


def _named(recording: Recording, name: str) -> set[str]:
    known = {
        "recordingId": (recording.recording_id, recording.key),
        "callId": (recording.call_id,),
        "serverCallId": (recording.server_call_id,),
    }.get(name, ())
    started = recording.started
    named = {naming.normal_id(one) for one in known if one}
    return named | ({naming.normal_id(started.locator_id)} if started and started.locator == name else set())


def parse_query(parameters: Sequence[tuple[str, str]]) -> Query:
    """The query of a URL, as names and values. InvalidRequest with every fault."""
    read = Reader(parameters, PARAMETERS)
    ids = {name: read.text(name, _LONGEST_ID) for name in IDS}
    given_ids = {name: value for name, value in ids.items() if value}
    is_filtered = any(name in read.values for name in FILTERS)
    state = read.one_of("state", STATES) or (ALL if is_filtered else UNFINISHED)
    is_unfinished_only = state == UNFINISHED or state in ("started", "saving")
    order = read.one_of("order", _ORDERS) or ("risk" if is_unfinished_only and not given_ids else "newest")
    if order == "risk" and (not is_unfinished_only or given_ids):
        read.fault("order", "risk orders what is unfinished: ask for state=unfinished, started or saving and no id")
    since, before = read.moment("from"), read.moment("to")
    if since and before and since >= before:
        read.fault("to", "must be later than from")
    query = Query(
        state=state,
        since=since,
        before=before,
        ids=given_ids,
        container=read.container("container"),
        cause=read.code("cause"),
        route=read.one_of("route", _ROUTES),
        order=order,
        limit=read.count("limit", MOST_LISTED) or USUAL,
        after=read.cursor("cursor", order),
    )
    read.check()
    return query


class Reader:
    """Reads the parameters of a URL that are `known`, and notes what is wrong with them."""

    def __init__(self, parameters: Sequence[tuple[str, str]], known: Sequence[str]) -> None:
        self.values: dict[str, str] = {}
        self._faults: list[Fault] = []
        for name, value in parameters:
            if name in _NOT_OURS:
                continue
            if name not in known:
                self.fault(name[:64] or "(empty)", f"is not a parameter here; known: {', '.join(known) or 'none'}")
            elif name in self.values:
                self.fault(name, "must be given once")
            elif not value.strip():
                self.fault(name, "must not be empty; leave it out instead")
            else:
                self.values[name] = value.strip()

    def fault(self, name: str, message: str) -> None:
        """One more thing that is wrong; each parameter is named once for each."""
        fault = Fault(name, message)
        if fault not in self._faults:
            self._faults.append(fault)

    def check(self) -> None:
        """InvalidRequest where anything was wrong."""
        if self._faults:
            raise InvalidRequest(self._faults)

    def text(self, name: str, longest: int) -> str | None:
        """The value, if it is not too long."""
        value = self.values.get(name)
        if value is not None and len(value) > longest:
            self.fault(name, f"must have at most {longest} characters")
        return value

    def one_of(self, name: str, choices: Sequence[str]) -> str | None:
        """The value, if it is one of `choices`."""
        value = self.values.get(name)
        if value is None or value in choices:
            return value
        self.fault(name, f"must be one of {', '.join(choices)}")
        return None

    def code(self, name: str) -> str | None:
        """The value, if it has the form of a failure's code."""
        value = self.values.get(name)
        if value is not None and not _CODE.fullmatch(value):
            self.fault(name, "must be the code of a failure, like media_not_found")
        return value

    def count(self, name: str, most: int) -> int | None:
        """A whole number from 1 to `most`."""
        value = self.values.get(name)
        if value is None:
            return None
        if value.isdecimal() and value.isascii() and len(value) < 6 and str(int(value)) == value:
            number = int(value)
            if 1 <= number <= most:
                return number
        self.fault(name, f"must be a whole number from 1 to {most}")
        return None

    def moment(self, name: str) -> datetime | None:
        """A time, UTC where it says no zone."""
        value = self.values.get(name)
        if value is None:
            return None
        try:
            return parse_time(value)
        except ValueError:
            message = "must be a time like 2026-11-22T10:00:00Z or a day like 2026-11-22 (UTC); write + as %2B"
            self.fault(name, message)
            return None

    def container(self, name: str) -> ContainerUrl | None:
        """A container, or a place in one."""
        value = self.values.get(name)
        if value is None:
            return None
        try:
            return ContainerUrl.parse(value)
        except ValueError as error:
            self.fault(name, f"must be the URL of a container, or of a place in one: {error}")
            return None

    def cursor(self, name: str, order: str) -> str:
        """The place in `order` that an earlier page ended at; empty without one."""
        value = self.values.get(name)
        if value is None:
            return ""
        found = decode_cursor(value)
        if found is None or not _PLACE[order].fullmatch(found):
            self.fault(name, "must be the nextCursor of an earlier page of the same query")
            return ""
        return found


def encode_cursor(place: str) -> str:
    """A place in an order as a cursor."""
    return base64.urlsafe_b64encode(place.encode()).decode().rstrip("=")


def decode_cursor(cursor: str) -> str | None:
    """The place that a cursor stands for; None where it is none."""
    try:
        return base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        return None
