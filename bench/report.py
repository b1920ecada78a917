"""What a bench leaves: JSON under `bench/results/`, a plot, and its part of `docs/performance.md`."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Self

from bench.measure import ROOT, machine

if TYPE_CHECKING:
    from collections.abc import Callable

RESULTS = ROOT / "bench" / "results"
PLOTS = ROOT / "docs" / "plots"
PAGE = ROOT / "docs" / "performance.md"


@dataclass(frozen=True)
class Goal:
    """`reached` is to be at least `wanted`, or at most with `is_most`. None: not measured, neither met nor missed.

    `limit`: what the C program reaches of the same.
    """

    what: str
    reached: float | None
    wanted: float
    is_most: bool = False
    limit: float | None = None

    @property
    def is_met(self) -> bool:
        """Whether it is reached."""
        if self.reached is None:
            return False
        return self.reached <= self.wanted if self.is_most else self.reached >= self.wanted

    @property
    def verdict(self) -> str:
        """In a word."""
        if self.reached is None:
            return "not measured"
        limit = "" if self.limit is None else f" (C limit: {self.limit:.2f})"
        return ("met" if self.is_met else "**missed**") + limit

    def row(self) -> str:
        """As a line of a table."""
        reached = "" if self.reached is None else f"{self.reached:.2f}"
        return f"| {self.what} | {'≤' if self.is_most else '≥'} {self.wanted:.4g} | {reached} | {self.verdict} |"


def goals_table(goals: list[Goal]) -> str:
    """All goals, and the verdict in the last line."""
    rows = "\n".join(goal.row() for goal in goals)
    unknown = [goal.what for goal in goals if goal.reached is None]
    missed = [goal.what for goal in goals if goal.reached is not None and not goal.is_met]
    verdict = f"Verdict: {len(goals) - len(missed) - len(unknown)} of {len(goals)} goals met"
    verdict += f"; missed: {'; '.join(missed)}" if missed else ""
    verdict += f"; not measured: {'; '.join(unknown)}" if unknown else ""
    return f"| goal | wanted | reached | |\n|---|---|---|---|\n{rows}\n\n{verdict}."


def _said(about: dict[str, Any]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in about.items())


class Results:
    """What a bench has measured, part by part, each with its moment and machine; on disk as soon as it is measured.

    So a run that is broken off keeps what it has, and single parts can be measured again.
    """

    def __init__(self, bench: str) -> None:
        self._bench = bench
        self._parts: dict[str, dict[str, Any]] = {}

    @classmethod
    def kept(cls, bench: str) -> Self:
        """With what earlier runs left, if there is anything."""
        results = cls(bench)
        file = RESULTS / f"{bench}.json"
        if file.exists():
            results._parts = json.loads(file.read_text()).get("parts", {})
        return results

    def measure(self, name: str, run: Callable[[], Any]) -> None:
        """Measures one part and saves it. The goals are written by the next `publish`."""
        about, at = machine(), datetime.now(UTC).isoformat(timespec="seconds")
        self._parts[name] = {"at": at, "machine": about, "found": run()}
        self._save([])

    def found(self, name: str) -> Any:
        """What was measured; None where nothing was."""
        part = self._parts.get(name)
        return part["found"] if part else None

    def when(self, name: str) -> str:
        """When a part was measured, under which load, and what else is not the same in all parts."""
        part = self._parts[name]
        own = {key: value for key, value in part["machine"].items() if key not in self._shared()}
        return f"{part['at'][:16].replace('T', ' ')} UTC, {_said(own)}"

    def publish(self, text: str, goals: list[Goal]) -> None:
        """The JSON, and the page's part."""
        self._save(goals)
        days = [part["at"][:10] for part in self._parts.values()]
        between = " to ".join(sorted({min(days), max(days)}))
        _put_on_page(self._bench, f"Measured {between}: {_said(self._shared())}.", text, goals)

    def _shared(self) -> dict[str, Any]:
        """What is the same of the machine in all parts; the load never counts as that."""
        machines = [part["machine"] for part in self._parts.values()]
        first = machines[0] if machines else {}
        is_same = {key: all(one.get(key) == value for one in machines) for key, value in first.items()}
        return {key: value for key, value in first.items() if is_same[key] and key != "load_before"}

    def _save(self, goals: list[Goal]) -> None:
        _save(self._bench, {"parts": self._parts, "goals": [asdict(goal) for goal in goals]})


def speed_table(table: dict[str, Any], *, when: str) -> str:
    """One scenario's medians, fastest first."""
    there = sorted((s for s in table["subjects"] if "absent" not in s), key=lambda s: -float(s["mb_per_s"]))
    lines = [
        f"| {s['name']} | {s['mb_per_s']:.0f} | {s['slowest']:.0f}-{s['fastest']:.0f} "
        f"| {s['cpu_per_gib']:.2f} | {s['peak_mb']} |"
        for s in there
    ]
    lines += [f"| {s['name']} | absent: {s['absent']} | | | |" for s in table["subjects"] if "absent" in s]
    head = "| way | MB/s | range | CPU s/GiB | peak RSS MB |\n|---|---|---|---|---|"
    return f"**{table['title']}** ({when})\n\n{head}\n" + "\n".join(lines)


def memory_table(rows: list[dict[str, Any]], *, when: str) -> str:
    """Peaks over an idle worker."""
    head = "| recordings at once | idle MB | peak over idle MB |\n|---|---|---|\n"
    lines = [
        f"| {row['count']} x {row['bytes'] / 1e6:.0f} MB | {row['idle_mb']:.0f} | {row['over_mb']:.0f} |"
        for row in rows
    ]
    return f"**Memory of the worker, whole rescues** ({when})\n\n{head}" + "\n".join(lines)


def throttled_line(found: dict[str, Any], *, when: str) -> str:
    """What came of a source that is busy."""
    return (
        f"A source that answers 429 to more than {found['busy']} requests at once: {found['size'] / 1e6:.0f} MB came "
        f"whole in {found['wall']} s with {found['refused']} refusals ({when})."
    )


def plot(bench: str, tables: list[dict[str, Any]]) -> str | None:
    """Bars of all tables in one picture; None without matplotlib, or without tables."""
    if not tables:
        return None
    try:
        import matplotlib as mpl
    except ImportError:
        return None
    mpl.use("Agg")
    from matplotlib import pyplot as plt

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


def write(bench: str, *, about: dict[str, Any], results: dict[str, Any], text: str, goals: list[Goal]) -> None:
    """What was measured in one go: the JSON, and the page's part between its marks."""
    at = datetime.now(UTC).isoformat(timespec="seconds")
    _save(bench, {"at": at, "machine": about, **results})
    _put_on_page(bench, f"Measured {at[:10]}: {_said(about)}.", text, goals)
    print(goals_table(goals))


def _save(bench: str, document: dict[str, Any]) -> None:
    RESULTS.mkdir(parents=True, exist_ok=True)
    file = RESULTS / f"{bench}.json"
    # In one step: a run may be ended at any moment.
    new = file.with_suffix(".new")
    new.write_text(json.dumps({"bench": bench, **document}, indent=1) + "\n")
    new.replace(file)


def _put_on_page(bench: str, head: str, text: str, goals: list[Goal]) -> None:
    part = f"{head}\n\n{text}\n\n{goals_table(goals)}"
    page = PAGE.read_text()
    begin, end = f"<!-- {bench} -->", f"<!-- /{bench} -->"
    if begin not in page:
        page += f"\n{begin}\n{end}\n"
    page = re.sub(f"{begin}.*?{end}", lambda _: f"{begin}\n{part}\n{end}", page, flags=re.DOTALL)
    PAGE.write_text(page)
