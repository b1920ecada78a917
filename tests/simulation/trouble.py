"""What goes wrong, when and how: drawn from the seed before the run, so that the invariants know it too."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from shared.domain import errors as e
from tests.simulation.truth import minutes

if TYPE_CHECKING:
    from random import Random

SERVICES = ("ledger", "queue", "fallback", "destination", "media", "acs")
_LENGTHS = (1, 5, 20, 90, 400, 1200)
_WAITS = (None, None, timedelta(seconds=1), timedelta(seconds=30), minutes(4))


@dataclass(frozen=True)
class Trouble:
    """From `start` to `end`, each call of `service` fails with probability `rate`, as `kind` says.

    Kinds: `error` (no effect), `lost` (the effect, and no answer), `lie` (media only), `range` (a lie about ranges),
    `slow` (each call takes long), `crash` (the process dies at a call, before or after its effect; service `worker`),
    `refusal` (a person must mend it; destination and fallback).
    """

    service: str
    kind: str
    start: datetime
    end: datetime
    rate: float

    def is_on(self, now: datetime) -> bool:
        return self.start <= now < self.end


def draw_troubles(random: Random, *, begins: datetime, chaos: timedelta, ends: list[datetime]) -> list[Trouble]:
    """A handful of troubles within `chaos`; some of one service, some of the whole storage account of the app.

    `ends`: of the recordings. What comes after them is most worth disturbing.
    """
    worst = [moment for moment in ends if moment < begins + chaos]
    found = []
    if random.random() < 0.04:
        # ACS gives nothing until a little before the end of the window.
        found.append(Trouble("media", "error", begins, begins + timedelta(hours=13 + 10 * random.random()), 1.0))
    if worst and random.random() < 0.35:
        # A media host that is not well while all are rescued.
        kind, rate = random.choice((("range", 0.3), ("range", 0.3), ("lie", 0.3), ("error", 0.5), ("error", 0.7)))
        found.append(Trouble("media", kind, min(worst), max(worst) + minutes(20), rate))
    for _ in range(random.choice((0, 1, 2, 4, 7))):
        start = begins + chaos * random.random() * random.choice((1, 0.1))
        if worst and random.random() < 0.5:
            start = random.choice(worst) + minutes(random.random() * 6 - 1)
        length = minutes(random.choice(_LENGTHS) * (0.2 + random.random()))
        end = min(start + length, begins + chaos)
        rate = random.choice((1.0, 1.0, 0.5, 0.1))
        service, kind = random.choice(
            (
                ("ledger", "error"),
                ("ledger", "lost"),
                ("queue", "error"),
                ("queue", "lost"),
                ("app", "error"),
                ("fallback", "error"),
                ("destination", "error"),
                ("destination", "lost"),
                ("destination", "refusal"),
                ("destination", "refusal"),
                ("fallback", "lost"),
                ("media", "error"),
                ("media", "error"),
                ("media", "lie"),
                ("media", "lie"),
                ("media", "range"),
                ("media", "range"),
                ("media", "slow"),
                ("acs", "error"),
                ("acs", "lost"),
                ("worker", "crash"),
                ("worker", "crash"),
            )
        )
        if kind in ("lost", "crash"):
            rate = random.choice((0.01, 0.05, 0.2))
        if kind == "refusal":
            rate = 1.0
            if random.random() < 0.15:
                end = datetime.max.replace(tzinfo=begins.tzinfo)  # nobody ever mends it
        services = ("ledger", "queue", "fallback") if service == "app" else (service,)
        found += [Trouble(one, kind, start, end, rate) for one in services]
    return found


def error_of(random: Random, service: str, method: str) -> e.RecorderError:
    """A failure as `service` would answer `method` with."""
    wait = random.choice(_WAITS)
    if service == "acs":
        return random.choice(
            (e.AcsUnavailable(status=503), e.AcsThrottled(status=429, retry_after=wait), e.AcsTimeout())
        )
    if service == "media":
        throttled = e.MediaThrottled("429", retry_after=wait)
        kinds = (
            e.MediaUnavailable("503"),
            throttled,
            e.MediaBadRequest("400"),
            e.MediaUnauthorized("401"),
            e.MediaNotFound("404"),
        )
        return random.choice(kinds)
    if method == "stage" and random.random() < 0.2:
        return e.StorageCorrupted("Md5Mismatch")
    blame = e.Blame.DESTINATION if service == "destination" else e.Blame.APP
    if random.random() < 0.3:
        return e.StorageThrottled("503", blame=blame, retry_after=wait)
    return e.StorageUnavailable("connection refused", blame=blame)


def refusal_of(random: Random) -> e.StorageError:
    """What a container says that a person must mend."""
    kinds = (e.StorageAccessDenied, e.StorageNetworkDenied, e.ContainerMissing, e.StorageImmutable, e.StorageFull)
    return random.choice(kinds)(blame=e.Blame.DESTINATION)


def after_lost_answer(random: Random, service: str, method: str) -> e.RecorderError:
    """The call had its effect and its answer was lost. The SDK asks again by itself, and may meet its own effect."""
    if random.random() < 0.5:
        if method == "save":
            return e.PreconditionFailed("412")
        if method in ("commit", "put", "copy_from"):
            return e.BlobExists("409")
    return error_of(random, service, "")
