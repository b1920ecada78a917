"""The measurements run: each in its quick form, which brings real bytes by the real SDKs. And what they tell is so."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bench import report
from bench.measure import Cost, Steps
from bench.report import Goal, Results, goals_table
from bench.rescue import goals

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.mark.parametrize("bench", ["rescue", "window"])
def test_a_bench_runs_in_its_quick_form(bench: str) -> None:
    """It checks by itself that every byte came; nothing is published."""
    ran = subprocess.run(
        [sys.executable, "-m", f"bench.{bench}", "--quick"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr[-3000:]
    assert ("MB over idle" if bench == "rescue" else "| 12 h |") in ran.stdout


# --- what is told of the goals


def test_a_goal_that_was_not_measured_is_neither_met_nor_missed() -> None:
    told = goals_table([Goal("fast", 2.0, 1.0), Goal("small", 9.0, 5.0, is_most=True), Goal("cheap", None, 1.0)])

    assert told.endswith("Verdict: 1 of 3 goals met; missed: small; not measured: cheap.")
    assert "| cheap | ≥ 1 |  | not measured |" in told


def test_without_any_table_no_goal_of_the_rescue_is_met_or_missed() -> None:
    found = goals({}, [])

    assert [goal.verdict for goal in found] == ["not measured"] * len(found)
    assert "; missed" not in goals_table(found)


# --- what a run leaves


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Results and page in a folder of the test's own."""
    monkeypatch.setattr(report, "RESULTS", tmp_path)
    monkeypatch.setattr(report, "PAGE", tmp_path / "page.md")
    (tmp_path / "page.md").write_text("# Page\n<!-- some -->\nold\n<!-- /some -->\nend\n")
    return tmp_path


def test_a_run_that_breaks_off_keeps_what_it_had_measured(places: Path) -> None:
    def breaks() -> int:
        raise RuntimeError

    results = Results.kept("some")
    results.measure("first", lambda: 1)
    with pytest.raises(RuntimeError):
        results.measure("second", breaks)

    again = Results.kept("some")
    assert (again.found("first"), again.found("second")) == (1, None)


def test_each_part_says_when_and_under_which_load_it_was_measured(places: Path) -> None:
    results = Results("some")
    results.measure("first", lambda: 1)
    file = places / "some.json"
    kept = json.loads(file.read_text())
    kept["parts"]["first"] |= {"at": "2026-01-02T03:04:05+00:00"}
    kept["parts"]["first"]["machine"] |= {"cpu": "another", "load_before": 7.5}
    file.write_text(json.dumps(kept))

    both = Results.kept("some")
    both.measure("second", lambda: 2)
    both.publish(f"first ({both.when('first')})", [Goal("it", 1.0, 1.0)])

    page = (places / "page.md").read_text()
    assert "first (2026-01-02 03:04 UTC, cpu another, load before 7.5)" in page
    assert "Measured 2026-01-02 to 20" in page
    assert "old" not in page
    assert page.endswith("end\n")


def test_steps_cost_what_all_of_them_cost() -> None:
    class Fixed:
        def __init__(self, cost: Cost) -> None:
            self._cost = cost

        def run(self, _task: object) -> Cost:
            return self._cost

    both = Steps(Fixed(Cost(1.0, 2.0, 0, 70)), Fixed(Cost(0.5, 0.25, 0, 50, sha256="ab")))

    assert both.run(None) == Cost(1.5, 2.25, 0, 70, "ab")  # type: ignore[arg-type]
