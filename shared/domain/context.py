"""What a decision needs beside the recording and the fact: the moment, one random number, the rules, who asks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from shared.domain.steps import Rules


@dataclass(frozen=True)
class Context:
    """Drawn once a fact, not once a race: `decide` is a function of its arguments. `random` is in [0, 1)."""

    now: datetime
    random: float
    rules: Rules
    by: str = "app"
