"""The two ways to show the demo: live on a terminal, or as plain lines with their time (for a file, CI, NO_COLOR)."""

from __future__ import annotations

import os
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from rich import box
from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

_PLAIN_WIDTH = 150
# Digits of a SHA-256 that the table shows; the comparison uses all.
_DIGITS = 16


@dataclass(frozen=True)
class Row:
    """Progress of one recording. `done` and `total` in bytes; `tries`: failed attempts; `left`: of ACS's 24 hours."""

    name: str
    colour: str
    state: str
    done: int
    total: int
    tries: int
    next_try: str
    left: str


@dataclass(frozen=True)
class Result:
    """One line of the final table: a chunk. `tries`: failed attempts."""

    recording: str
    route: str
    size: int
    source: str
    container: str
    tries: int
    seconds: float
    is_same: bool


def is_live() -> bool:
    """Whether the output is a terminal that can show a live table."""
    is_plain = any(os.environ.get(name) for name in ("NO_COLOR", "CI")) or os.environ.get("TERM") == "dumb"
    return sys.stdout.isatty() and not is_plain


class Screen:
    """Prints sentences and shows the progress of the recordings; a context manager."""

    def __init__(self, *, live: bool) -> None:
        self._began = time.monotonic()
        self._console = Console() if live else Console(width=_PLAIN_WIDTH, no_color=True, highlight=False)
        self._live = Live(console=self._console, auto_refresh=False) if live else None
        self.is_live = live

    def __enter__(self) -> Self:
        if self._live:
            self._live.start()
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        if self._live:
            self._live.stop()

    def say(self, text: str, *, who: str = "", colour: str = "bold") -> None:
        """Prints one sentence with the seconds since the start, and the recording's name."""
        moment = f"{time.monotonic() - self._began:5.1f} s"
        if not self.is_live:
            self._console.print(f"{moment}  {who:<13} {text}", soft_wrap=True, markup=False)
            return
        line = Table.grid(padding=(0, 1))
        line.add_column(width=8)
        line.add_column(width=12)
        line.add_row(Text(moment, style="dim"), Text(who, style=colour), Text(text, style="" if who else "bold"))
        self._console.print(line)

    def show(self, rows: Sequence[Row]) -> None:
        """Redraws the live table; does nothing without a terminal."""
        if self._live is None:
            return
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        table.add_column("recording", no_wrap=True)
        table.add_column("state")
        table.add_column("", min_width=6, max_width=26)
        for name in ("MB", "failed", "next", "ACS keeps it"):
            table.add_column(name, justify="right", no_wrap=True)
        for row in rows:
            is_done = row.total and row.done >= row.total
            table.add_row(
                Text(row.name, style=row.colour),
                row.state,
                ProgressBar(total=row.total or 1, completed=row.done, complete_style=row.colour),
                Text(f"{row.done / 1e6:.1f} / {row.total / 1e6:.1f}", style="bold" if is_done else ""),
                str(row.tries),
                row.next_try,
                Text(row.left, style="bold red" if row.left else ""),
            )
        self._live.update(Group(table), refresh=True)

    def clear(self) -> None:
        """Removes the live table."""
        if self._live:
            self._live.update(Group(), refresh=True)

    def table(self, results: Sequence[Result]) -> None:
        """Prints the final table."""
        style = {"box": box.SIMPLE_HEAD, "pad_edge": False} if self.is_live else {"box": box.ASCII2}
        table = Table(title="What ACS recorded, and what the containers hold", **style)
        table.add_column("recording", no_wrap=True)
        table.add_column("route", no_wrap=True)
        table.add_column("bytes", justify="right", no_wrap=True)
        table.add_column("SHA-256\nat the source", min_width=7)
        table.add_column("SHA-256\nin the container", min_width=7)
        table.add_column("failed\nattempts", justify="right", no_wrap=True)
        table.add_column("time", justify="right", no_wrap=True)
        for one in results:
            table.add_row(
                one.recording,
                one.route,
                f"{one.size:,}",
                one.source[:_DIGITS],
                Text(one.container[:_DIGITS], style="green" if one.is_same else "bold red"),
                str(one.tries),
                f"{one.seconds:.1f} s",
            )
        self._console.print(table)
