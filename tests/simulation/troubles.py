"""What goes wrong in a world, and when: a call of a service fails, loses its answer, is slow, or its process dies."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from shared.domain.errors import (
    AcsThrottled,
    AcsTimeout,
    AcsUnavailable,
    AlertNotSent,
    Blame,
    ContainerNotAllowed,
    MediaBadRequest,
    MediaError,
    MediaNotFound,
    MediaRedirected,
    MediaThrottled,
    MediaTooLarge,
    MediaUnauthorized,
    MediaUnavailable,
    RecorderError,
    StorageAccessDenied,
    StorageCorrupted,
    StorageError,
    StorageFull,
    StorageImmutable,
    StorageInvalid,
    StorageNetworkDenied,
    StorageRefused,
    StorageThrottled,
    StorageUnavailable,
)

if TYPE_CHECKING:
    from random import Random

# What changes the world: before and after each of these a process may die.
CHANGES = frozenset(
    {"create", "save", "archive", "remove", "put_entry", "put_note", "send", "drain_poison", "publish"}
    | {"stage", "commit", "put", "delete", "note_sha256", "stage_from", "start_recording", "delete_entry"}
)


class Kind(StrEnum):
    """A kind of trouble. Those without a service in their comment are of every service."""

    ERROR = "error"  # the call fails
    LOST = "lost"  # the call is done, and its answer never comes
    SLOW = "slow"  # each call takes seconds to a minute
    CRASH = "crash"  # a process dies at a change
    REFUSAL = "refusal"  # destination: no right, no network, full, immutable; fallback, media: nothing is deleted
    REMOVED = "removed"  # destination: the container is gone, its blobs come back with it
    LIES = "lies"  # media: answers that contradict themselves
    NOT_HERE = "not_here"  # media: 404 for what is there
    DOUBLED = "doubled"  # queue: a message is put twice
    VANISHED = "vanished"  # queue: a message never comes
    STALE = "stale"  # queue: a message is given to another while its function still runs
    BOTH = "both"  # timer: two sweeps at once
    RESTART = "restart"  # all processes go, as by a deployment


@dataclass(frozen=True)
class Trouble:
    """Of `service` from `begin` to `end`, at `rate` of its calls. `error`: the refusal, where it is one."""

    service: str
    kind: Kind
    begin: datetime
    end: datetime
    rate: float = 1.0
    error: type[RecorderError] = StorageAccessDenied


REFUSALS = (
    StorageAccessDenied,
    StorageNetworkDenied,
    StorageFull,
    StorageImmutable,
    StorageInvalid,
    StorageRefused,
    ContainerNotAllowed,
)


class Troubles:
    """Those of a world; which of them are on at a moment."""

    def __init__(self, troubles: list[Trouble]) -> None:
        self._all = list(troubles)
        self.end = max((one.end for one in troubles), default=datetime.min.replace(tzinfo=UTC))
        self._of: dict[tuple[str, Kind], list[Trouble]] = {}
        for one in troubles:
            self._of.setdefault((one.service, one.kind), []).append(one)

    def strikes(self, service: str, kind: Kind, now: datetime, rng: Random) -> Trouble | None:
        """The trouble that strikes this call, if one does."""
        for one in self._of.get((service, kind), ()):
            if one.begin <= now < one.end and (one.rate >= 1 or rng.random() < one.rate):
                return one
        return None

    def has(self, kind: Kind) -> bool:
        """Whether there is any of that kind in this world, at whatever time."""
        return any(one.kind is kind for one in self._all)

    def quiet(self, begin: datetime, end: datetime) -> timedelta:
        """The longest stretch between the two without any trouble."""
        edge, longest = begin, timedelta(0)
        for one in sorted(self._all, key=lambda one: one.begin):
            longest = max(longest, min(one.begin, end) - edge)
            edge = max(edge, one.end)
        return max(longest, end - edge)


def error_of(service: str, rng: Random) -> RecorderError:
    """What a call of that service fails with, as its adapter tells it."""
    blame = Blame.DESTINATION if service == "destination" else Blame.APP
    if service == "acs":
        return rng.choice((AcsUnavailable("503", status=503), AcsTimeout("no answer"), AcsThrottled("429", status=429)))
    if service == "media":
        after = rng.choice((None, timedelta(seconds=7), timedelta(hours=20)))
        throttled = MediaThrottled("429", retry_after=after)
        usual = (MediaUnavailable("503"), throttled, MediaUnauthorized("401"), MediaNotFound("404"))
        rare = (MediaBadRequest("400"), MediaRedirected("302"), MediaTooLarge("too large"), MediaError("418"))
        return rng.choice(usual if rng.random() < 0.8 else rare)
    if service == "notifier":
        return AlertNotSent("no answer")
    errors = (StorageUnavailable("500", blame=blame), StorageThrottled("503", blame=blame))
    if service == "destination" and rng.random() < 0.1:
        return StorageError("418", blame=blame)
    return rng.choice((*errors, StorageCorrupted("checksum", blame=blame)) if service == "destination" else errors)
