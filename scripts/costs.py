"""What a month costs: `make costs` writes the table of docs/costs.md and its plot.

    python scripts/costs.py [PRICES.json]     print the table for other prices

Requests come from docs/performance.md ("Requests"); what is assumed is said in `Load`.
"""

from __future__ import annotations

import importlib
import json
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "costs.md"
PLOT = ROOT / "docs" / "plots" / "costs.png"
MONTH_SECONDS = 30 * 86_400
RECORDINGS = (1_000, 100_000, 10_000_000)
SHARES = ((0.0, "exported"), (0.001, "0.1 % rescued"), (1.0, "100 % rescued"))


@dataclass(frozen=True)
class Load:
    """What one recording of one chunk takes. `seconds` are billed: at least one an execution, as Flex counts."""

    executions: int
    seconds: float
    blob_writes: float
    blob_reads: float
    queue: float
    log_bytes: int


# Counted by `make bench-requests`, started here: Put Blob and List Blobs are billed as writes, a delete is free. And
# 6 writes and 3 reads of the start (`start/start.py`: its probe, two ids, the document twice, the note of its answer).
# Assumed: start, event, one try and half a hand-over; 10.8 MB (half an hour of mp3) within its second; 12 KB of logs.
RESCUED = Load(executions=4, seconds=4.5, blob_writes=10 + 6, blob_reads=2 + 3, queue=3, log_bytes=12_000)
# Assumed: no hand-over; 8 KB of logs.
EXPORTED = Load(executions=3, seconds=3.0, blob_writes=6 + 6, blob_reads=4 + 3, queue=3, log_bytes=8_000)
SWEEPS = MONTH_SECONDS // 300
SWEEP_SECONDS = 1.0
POLLS = 3 * MONTH_SECONDS // 2  # three queues, every two seconds (host.json), one instance up all the time
INSTANCE_GB = 2
EVENTS = 2  # RecordingFileStatusUpdated and CallStarted; Event Grid counts each twice: taken in, delivered


def month(recordings: int, share: float, prices: dict[str, Any]) -> dict[str, float]:
    """What each service bills for a month, without what it gives for nothing. Nothing is shared by two executions."""

    def total(name: str) -> float:
        return recordings * float(share * getattr(RESCUED, name) + (1 - share) * getattr(EXPORTED, name))

    def beyond(amount: float, free: str) -> float:
        return max(0.0, amount - float(prices[free]))

    executions = total("executions") + SWEEPS
    gb_seconds = INSTANCE_GB * (total("seconds") + SWEEPS * SWEEP_SECONDS)
    events = 2 * EVENTS * recordings
    logs = (total("log_bytes") + SWEEPS * 3_000) / 1e9
    return {
        "executions": beyond(executions, "functions_free_executions") / 1e6 * prices["functions_million_executions"],
        "GB-s": beyond(gb_seconds, "functions_free_gb_seconds") * prices["functions_gb_second"],
        "blob requests": (total("blob_writes") + 2 * SWEEPS) / 1e4 * prices["blob_write_10k"]
        + total("blob_reads") / 1e4 * prices["blob_read_10k"],
        "queue requests": (total("queue") + POLLS) / 1e4 * prices["queue_10k"],
        "Event Grid": beyond(events, "event_grid_free") / 1e6 * prices["event_grid_million"],
        "logs": beyond(logs, "logs_free_gb") * prices["logs_gb"],
    }


def table(prices: dict[str, Any]) -> str:
    """The page's table."""
    parts = list(month(1, 0, prices))
    lines = [f"| recordings a month | {' | '.join(parts)} | sum ({prices['currency']}) |"]
    lines.append("|---" * (len(parts) + 2) + "|")
    for recordings in RECORDINGS:
        for share, name in SHARES:
            costs = month(recordings, share, prices)
            cells = [f"{costs[part]:,.2f}" for part in parts]
            lines.append(f"| {recordings:,}, {name} | {' | '.join(cells)} | **{sum(costs.values()):,.2f}** |")
    return "\n".join(lines)


def plot(prices: dict[str, Any]) -> None:
    """Bars on a logarithmic scale, a colour for each service."""
    pyplot = importlib.import_module("matplotlib.pyplot")
    figure, axes = pyplot.subplots(1, len(RECORDINGS), figsize=(11, 3.6))
    for axis, recordings in zip(axes, RECORDINGS, strict=True):
        bottoms = [0.0] * len(SHARES)
        for part in month(1, 0, prices):
            heights = [month(recordings, share, prices)[part] for share, _ in SHARES]
            axis.bar([name for _, name in SHARES], heights, bottom=bottoms, label=part)
            bottoms = [low + high for low, high in zip(bottoms, heights, strict=True)]
        axis.set_title(f"{recordings:,} a month")
        axis.tick_params(axis="x", labelsize=7)
        axis.set_ylim(0, 1.1 * max(bottoms))
    axes[0].set_ylabel(prices["currency"])
    axes[1].legend(fontsize=7, loc="upper left")
    figure.tight_layout()
    figure.savefig(PLOT, dpi=110)


def main() -> None:
    """Prints the table for given prices, or writes page and plot."""
    if len(sys.argv) > 1:
        sys.stdout.write(table(json.loads(Path(sys.argv[1]).read_text())) + "\n")
        return
    prices = json.loads((ROOT / "scripts" / "prices.json").read_text())
    text = PAGE.read_text()
    marked = re.compile(r"(<!-- costs -->\n).*?(<!-- /costs -->)", re.DOTALL)
    PAGE.write_text(marked.sub(lambda found: f"{found[1]}{table(prices)}\n{found[2]}", text))
    plot(prices)


if __name__ == "__main__":
    main()
