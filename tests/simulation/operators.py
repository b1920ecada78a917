"""An operator who replays recordings, at any moment and again; and who in the end mends what nobody else would have,
and brings by hand what was lost.

Drawn from a stream of its own: a world to which no operator comes is the same world as without this file.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random

from tests.simulation.truth import minutes

# What a replay late in a world leads to is over long before its horizon.
_LATEST = timedelta(hours=20)


@dataclass
class Operator:
    """`replays`: when; `between`: how many while a function waits for an answer; `mends_at`: when all is mended, what
    is lost is brought, and everything replayed.
    """

    random: Random
    replays: list[datetime] = field(default_factory=list)
    between: int = 0
    mends_at: datetime | None = None

    def comes_between(self) -> bool:
        """Whether there is a replay now that a function waits for an answer."""
        comes = self.between > 0 and self.random.random() < 0.3
        self.between -= comes
        return comes


def draw_operator(
    seed: int, *, begins: datetime, chaos: timedelta, ends: list[datetime], gone: datetime, days: timedelta
) -> Operator:
    """`ends`: of the recordings; `gone`: when ACS dropped the last of them; `days`: how long deliveries are tried."""
    random = Random(f"operator {seed}")  # noqa: S311 - reproducible, and nothing secret
    operator = Operator(random)
    if random.random() < 0.6:
        return operator
    for _ in range(random.choice((0, 1, 2, 4))):
        when = random.random()
        if when < 0.5:
            moment = random.choice(ends) + minutes(random.random() * random.choice((2, 15, 120)))
        elif when < 0.8:
            moment = begins + chaos * random.random()
        else:
            moment = gone + (days + _LATEST) * random.random()
        operator.replays.append(moment)
    if random.random() < 0.4:
        operator.mends_at = gone + days + _LATEST * random.random()
    operator.between = random.choice((0, 3, 12))
    return operator
