"""What a bench leaves: JSON under `bench/results/`, a plot, and its part of `docs/performance.md`."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from bench.measure import ROOT

RESULTS = ROOT / "bench" / "results"
PLOTS = ROOT / "docs" / "plots"
PAGE = ROOT / "docs" / "performance.md"


@dataclass(frozen=True)
class Goal:
    """`reached` is to be at least `wanted`, or at most with `is_most`; None: not measured."""

    what: str
    reached: float | None
    wanted: float
    is_most: bool = False

    @property
    def is_met(self) -> bool:
        """Whether it is reached."""
        if self.reached is None:
            return False
        return self.reached <= self.wanted if self.is_most else self.reached >= self.wanted

    def row(self) -> str:
        """As a line of a table."""
        reached = "not measured" if self.reached is None else f"{self.reached:.2f}"
        verdict = "met" if self.is_met else "**missed**"
        return f"| {self.what} | {'≤' if self.is_most else '≥'} {self.wanted:.4g} | {reached} | {verdict} |"


def goals_table(goals: list[Goal]) -> str:
    """All goals, and the verdict in the last line."""
    rows = "\n".join(goal.row() for goal in goals)
    missed = [goal.what for goal in goals if not goal.is_met]
    verdict = f"Verdict: {len(goals) - len(missed)} of {len(goals)} goals met"
    verdict += f"; missed: {'; '.join(missed)}." if missed else "."
    return f"| goal | wanted | reached | |\n|---|---|---|---|\n{rows}\n\n{verdict}"


def speed_table(table: dict[str, Any]) -> str:
    """One scenario's medians, fastest first."""
    there = sorted((s for s in table["subjects"] if "absent" not in s), key=lambda s: -float(s["mb_per_s"]))
    lines = [
        f"| {s['name']} | {s['mb_per_s']:.0f} | {s['slowest']:.0f}-{s['fastest']:.0f} "
        f"| {s['cpu_per_gib']:.2f} | {s['peak_mb']} |"
        for s in there
    ]
    lines += [f"| {s['name']} | absent: {s['absent']} | | | |" for s in table["subjects"] if "absent" in s]
    head = "| way | MB/s | range | CPU s/GiB | peak RSS MB |\n|---|---|---|---|---|"
    return f"**{table['title']}**\n\n{head}\n" + "\n".join(lines)


def _plot(bench: str, tables: list[dict[str, Any]]) -> str | None:
    """Bars of all tables in one picture; None where matplotlib is absent."""
    try:
        import matplotlib as mpl  # noqa: PLC0415 - installed by the bench only
    except ImportError:
        return None
    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415

    columns = 2
    rows = -(-len(tables) // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(13, 2.9 * rows), squeeze=False, layout="constrained")
    for axis in axes.flat[len(tables) :]:
        axis.axis("off")
    for axis, table in zip(axes.flat, tables, strict=False):
        there = sorted((s for s in table["subjects"] if "absent" not in s), key=lambda s: s["mb_per_s"])
        colours = ["#1f6fb4" if s["name"].startswith(("engine", "whole")) else "#a9b4bf" for s in there]
        bars = axis.barh([s["name"] for s in there], [s["mb_per_s"] for s in there], color=colours)
        axis.bar_label(bars, fmt="%.0f", padding=3, fontsize=8)
        axis.set_title(table["title"], fontsize=10)
        axis.set_xlabel("MB/s, median", fontsize=8)
        axis.tick_params(labelsize=8)
        axis.margins(x=0.12)
        axis.spines[["top", "right"]].set_visible(False)
    PLOTS.mkdir(parents=True, exist_ok=True)
    figure.savefig(PLOTS / f"{bench}.png", dpi=110)
    plt.close(figure)
    return f"![{bench}](plots/{bench}.png)"


def publish(
    bench: str, *, about: dict[str, Any], tables: list[dict[str, Any]], goals: list[Goal], more: dict[str, Any]
) -> None:
    """Writes the results of a bench whose tables are of speeds."""
    picture = _plot(bench, tables)
    parts = [speed_table(table) for table in tables]
    if "memory" in more:
        rows = [
            f"| {m['count']} x {m['bytes'] / 1e6:.0f} MB | {m['idle_mb']:.0f} | {m['over_mb']:.0f} |"
            for m in more["memory"]
        ]
        parts.append(
            "**Memory of the worker, whole rescues**\n\n"
            "| recordings at once | idle MB | peak over idle MB |\n|---|---|---|\n" + "\n".join(rows)
        )
    if "throttled" in more:
        slowed = more["throttled"]
        parts.append(
            f"A source that answers 429 to more than {slowed['busy']} requests at once: {slowed['size'] / 1e6:.0f} MB "
            f"came whole in {slowed['wall']} s with {slowed['refused']} refusals."
        )
    if picture:
        parts.append(picture)
    results = {"tables": tables, "goals": [asdict(goal) for goal in goals], **more}
    write(bench, about=about, results=results, text="\n\n".join(parts), goals=goals)


def write(bench: str, *, about: dict[str, Any], results: dict[str, Any], text: str, goals: list[Goal]) -> None:
    """The JSON, and the page's part between its marks."""
    at = datetime.now(UTC).isoformat(timespec="seconds")
    RESULTS.mkdir(parents=True, exist_ok=True)
    document = {"bench": bench, "at": at, "machine": about, **results}
    (RESULTS / f"{bench}.json").write_text(json.dumps(document, indent=1) + "\n")
    said = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in about.items())
    part = f"Measured {at[:10]}: {said}.\n\n{text}\n\n{goals_table(goals)}"
    page = PAGE.read_text()
    begin, end = f"<!-- {bench} -->", f"<!-- /{bench} -->"
    if begin not in page:
        page += f"\n{begin}\n{end}\n"
    page = re.sub(f"{begin}.*?{end}", lambda _: f"{begin}\n{part}\n{end}", page, flags=re.DOTALL)
    PAGE.write_text(page)
    print(goals_table(goals))
