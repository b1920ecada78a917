"""A small run of `make chaos`: real processes, killed and cut off, and every byte right at the end."""

from __future__ import annotations

from bench.chaos.director import Director
from bench.chaos.report import as_text
from bench.chaos.scenario import Options


def test_every_recording_is_whole_after_kills_cuts_and_lies() -> None:
    said: list[str] = []
    options = Options(recordings=15, workers=2, trouble=12, seconds=150, seed=20261122)

    result = Director(options, say=said.append).run()

    assert result.is_proved, "\n".join([*said, as_text(result)])
    assert result.troubles["workers killed"]
    assert result.troubles["storage connections cut"]
    assert sum(result.faults.values())
    assert result.proof["recordings whole"] == options.recordings
