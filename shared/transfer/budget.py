"""The time of a step in one invocation: what is staged stays, and the next invocation continues."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime


class TimeBudgetSpentError(Exception):
    """The invocation's time is up; what is staged stays, and the next invocation goes on."""


@dataclass(frozen=True)
class Budget:
    """`until`: no new block is begun after it. `hard_until`: the end of what no other invocation can continue.

    `keep` is called while bytes move, by any thread: it keeps the step's lease.
    """

    until: datetime
    hard_until: datetime
    keep: Callable[[], None] = lambda: None
