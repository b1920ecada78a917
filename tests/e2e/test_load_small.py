"""A small run of `make load`: a burst of failed exports, all acknowledged, all rescued."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from bench.load.__main__ import main
from bench.load.run import Load, Options

if TYPE_CHECKING:
    from pathlib import Path


def test_a_burst_of_failed_exports_is_acknowledged_and_rescued_at_once() -> None:
    numbers, faults = Load(Options(events=30, workers=1, seconds=90), say=lambda _line: None).run()

    assert faults == []
    assert numbers["events"] == {"delivered": 30}
    assert numbers["read back byte for byte"] == 30
    # Media, metadata and manifest of each.
    assert numbers["files in the container"] == 90
    # A bound on the cost, so that nothing creeps in unseen.
    assert numbers["storage transactions a recording"] < 30
    assert numbers["order: urgent"]["median wait, s"] is not None
    assert numbers["worker 0, resident MiB"]["100 %"]


def test_a_run_that_is_not_done_in_its_time_reports_what_it_has(tmp_path: Path) -> None:
    report = tmp_path / "load.json"

    assert main(["--events", "40", "--workers", "1", "--seconds", "0", "--json", str(report)]) == 1

    found = json.loads(report.read_text())
    assert found["state"] == "partial"
    assert found["numbers"]["rescued"] < 40
    assert found["numbers"]["all rescued after, s"] is None
    assert "not done within 0 s: the numbers are of a part of the run" in found["faults"]
    assert not [fault for fault in found["faults"] if "differ" in fault]
