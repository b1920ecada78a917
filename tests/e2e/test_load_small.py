"""A small run of `make load`: a burst of failed exports, all acknowledged, all rescued."""

from __future__ import annotations

from bench.load.run import Load, Options


def test_a_burst_of_failed_exports_is_acknowledged_and_rescued_at_once() -> None:
    numbers, faults = Load(Options(events=30, workers=1, seconds=90), say=lambda _line: None).run()

    assert faults == []
    assert numbers["events"] == {"delivered": 30}
    assert numbers["read back byte for byte"] == 30
    # Media, metadata and manifest of each.
    assert numbers["files in the container"] == 90
    # A bound on the cost, so that nothing creeps in unseen.
    assert numbers["storage transactions a recording"] < 30
