"""Whether those with the nearest deadline come first."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping


def fairness(
    urgent: Collection[str], *, recorded: Mapping[str, float], closed: Mapping[str, float]
) -> dict[str, dict[str, float | None]]:
    """The urgent recordings and the others: median rank of completion and median wait.

    Rank: 0 is the first of all that were finished, 1 the last; where nobody is preferred, both medians are about 0.5.
    Wait: seconds from the event's record to the end. None where there are none.
    """
    order = sorted(closed, key=closed.__getitem__)
    ranks = {key: place / max(1, len(order) - 1) for place, key in enumerate(order)}
    groups = {"urgent": [key for key in order if key in urgent], "others": [key for key in order if key not in urgent]}
    return {
        name: {
            "median rank": _median([ranks[key] for key in keys]),
            "median wait, s": _median([closed[key] - recorded[key] for key in keys if key in recorded]),
        }
        for name, keys in groups.items()
    }


def _median(values: list[float]) -> float | None:
    return round(statistics.median(values), 3) if values else None
