"""After an outage of ACS ends, how soon are the bytes safe? By the product's own retry schedule, by Event Grid's,
and by a cron job every hour. A model of time only: every try in the outage fails, the first one after it succeeds.
`make bench-window`.
"""

from __future__ import annotations

import argparse
import random
import statistics
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from bench.measure import machine
from bench.report import PLOTS, Goal, write
from shared.domain.backoff import History, RetryPolicy, next_attempt

if TYPE_CHECKING:
    from collections.abc import Callable

EVENT = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
# The recording ended a minute before its event.
DEADLINE = EVENT + timedelta(hours=24) - timedelta(minutes=1)
OUTAGES = tuple(timedelta(minutes=m) for m in (1, 2, 5, 10, 20, 40, 60, 120, 240, 480, 720, 960, 1200, 1380, 1430))
# Event Grid's documented waits; then every 12 h until the event is 24 h old.
_GRID = tuple(timedelta(seconds=s) for s in (10, 30, 60, 300, 600, 1800, 3600, 10_800, 21_600, 43_200, 43_200))


def ours(end: datetime, chance: random.Random) -> datetime | None:
    """When the first try after `end` comes; None: none before the media is gone."""
    policy = RetryPolicy()
    at, failures, is_late = EVENT + timedelta(seconds=chance.random()), 0, False
    while at < end:
        plan = next_attempt(policy, History(failures, DEADLINE, DEADLINE, is_late), now=at, random=chance.random())
        if plan is None:
            return None
        # A storage queue shows a message up to two seconds late: the host's polling interval.
        at = plan.at + timedelta(seconds=2 * chance.random())
        failures, is_late = failures + 1, is_late or plan.is_last
    return at if at <= DEADLINE else None


def grid(end: datetime, chance: random.Random) -> datetime | None:
    """The same, if failing the event were the retry: each wait with up to 10 % of jitter."""
    at = EVENT
    for wait in (*_GRID, None):
        if at >= end:
            return at if at <= DEADLINE else None
        if wait is None:
            return None
        at += wait * (1 + 0.1 * chance.random())
    return None


def cron(end: datetime, chance: random.Random) -> datetime | None:
    """The same for a job at the full hour, wherever in the hour the event came."""
    at = EVENT + timedelta(hours=chance.random())
    while at < end:
        at += timedelta(hours=1)
    return at if at <= DEADLINE else None


WAYS: dict[str, Callable[[datetime, random.Random], datetime | None]] = {
    "this app": ours,
    "Event Grid's schedule": grid,
    "hourly cron": cron,
}


def measure(*, runs: int) -> dict[str, list[dict[str, Any]]]:
    """For every way and outage: lags in seconds, and the share of recordings that were saved."""
    found: dict[str, list[dict[str, Any]]] = {}
    for name, way in WAYS.items():
        found[name] = []
        for outage in OUTAGES:
            chance = random.Random(f"{name} {outage}")
            lags = []
            for _ in range(runs):
                # The outage began up to a minute before the event, and so it ends at no round moment.
                end = EVENT + outage - timedelta(seconds=30 * chance.random())
                at = way(end, chance)
                if at is not None:
                    lags.append((at - end).total_seconds())
            lags.sort()
            found[name].append(
                {
                    "outage_minutes": outage / timedelta(minutes=1),
                    "saved": len(lags) / runs,
                    "median_lag": statistics.median(lags) if lags else None,
                    "p99_lag": lags[int(len(lags) * 0.99)] if lags else None,
                    "longest_lag": lags[-1] if lags else None,
                }
            )
    return found


def _plot(found: dict[str, list[dict[str, Any]]]) -> str:
    try:
        import matplotlib as mpl
    except ImportError:
        return ""
    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, (lag, saved) = plt.subplots(1, 2, figsize=(12, 4), layout="constrained")
    for name, rows in found.items():
        there = [row for row in rows if row["median_lag"] is not None]
        hours = [row["outage_minutes"] / 60 for row in there]
        (line,) = lag.plot(hours, [row["median_lag"] for row in there], marker="o", markersize=3, label=name)
        longest = [row["longest_lag"] for row in there]
        lag.plot(hours, longest, linestyle=":", color=line.get_color(), label=f"{name}, longest")
        saved.plot([row["outage_minutes"] / 60 for row in rows], [100 * row["saved"] for row in rows], label=name)
    for axis in (lag, saved):
        axis.set_xscale("log")
        axis.set_xlabel("hours of outage")
        axis.spines[["top", "right"]].set_visible(False)
        axis.grid(alpha=0.3)
        axis.legend(fontsize=7)
    lag.set_yscale("log")
    lag.set_ylabel("seconds from its end to safe bytes")
    saved.set_ylabel("% of recordings saved")
    PLOTS.mkdir(parents=True, exist_ok=True)
    figure.savefig(PLOTS / "window.png", dpi=110)
    plt.close(figure)
    return "![window](plots/window.png)"


def _table(found: dict[str, list[dict[str, Any]]]) -> str:
    ways = list(found)
    lines = ["| outage | " + " | ".join(f"{way}: median / longest, saved" for way in ways) + " |", "|---" * 4 + "|"]
    for number, outage in enumerate(OUTAGES):
        cells = []
        for way in ways:
            row = found[way][number]
            lag = "never" if row["median_lag"] is None else f"{row['median_lag']:.0f} s / {row['longest_lag']:.0f} s"
            cells.append(f"{lag}, {row['saved']:.0%}")
        hours = outage / timedelta(hours=1)
        length = f"{hours:.3g} h" if hours >= 1 else f"{60 * hours:.0f} min"
        lines.append(f"| {length} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    """The program."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few runs, nothing published")
    quick = parser.parse_args().quick
    found = measure(runs=20 if quick else 500)
    if quick:
        print(_table(found))
        return
    rows = found["this app"]
    goals = [
        Goal("longest of the median lags, s", max(row["median_lag"] or 1e9 for row in rows), 60, is_most=True),
        Goal("longest lag of any, s", max(row["longest_lag"] or 1e9 for row in rows), 300, is_most=True),
        Goal("least share saved", min(row["saved"] for row in rows), 1.0),
    ]
    write("window", about=machine(), results={"ways": found}, text=f"{_table(found)}\n\n{_plot(found)}", goals=goals)


if __name__ == "__main__":
    main()
