"""The measurements run: each in its quick form, which brings real bytes by the real SDKs. And what they tell is so."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bench import report, storm
from bench.clients import Task
from bench.goals import goals
from bench.load.fairness import fairness
from bench.load.watch import AppLog
from bench.measure import Cost, Steps
from bench.report import Goal, Results, goals_table

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.mark.parametrize(
    ("bench", "printed"),
    [
        ("rescue", "MB over idle"),
        ("window", "| 12 h |"),
        # A request more or less of a recording is on purpose, and its reason is in the bench's table.
        ("requests", "| **storage, all** | **14** | **19** | **16** | **21** |"),
        ("soak", '"late_descriptors"'),
        # Twenty thousand finished recordings are five pages of a listing, and nothing for the app.
        (
            "storm",
            "'listing': {'list': 1, 'read': 5}, 'sweep': {'list': 1, 'queue': 9}, 'everything': {'list': 5}",
        ),
    ],
)
def test_a_bench_runs_in_its_quick_form(bench: str, printed: str) -> None:
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
    assert printed in ran.stdout


# --- the table of goals


def test_a_goal_that_was_not_measured_is_neither_met_nor_missed() -> None:
    printed = goals_table([Goal("fast", 2.0, 1.0), Goal("small", 9.0, 5.0, is_most=True), Goal("cheap", None, 1.0)])

    assert printed.endswith("Verdict: 1 of 3 goals met; missed: small; not measured: cheap.")
    assert "| cheap | ≥ 1 |  | not measured |" in printed


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

    assert both.run(Task(1, 1, "t")) == Cost(1.5, 2.25, 0, 70, "ab")


# --- storms


def test_without_any_storm_no_goal_is_met_or_missed() -> None:
    found = storm.goals([], [], [])

    assert [goal.verdict for goal in found] == ["not measured"] * len(found)


def test_a_step_that_grows_with_the_storm_is_missed_though_the_sum_is_flat() -> None:
    def of(events: int, **kinds: float) -> dict[str, object]:
        return {"events": events, "transactions": 20.0, "kinds": kinds, "rank": None, "faults": []}

    by_size = [of(100, put=9.0, get=1.0, rare=0.01), of(400, put=8.0, get=2.0, rare=0.05)]

    steps = {goal.what: goal for goal in storm.goals(by_size, by_size, [])}
    assert storm.growth(by_size) == {"get": [1.0, 2.0], "put": [9.0, 8.0]}
    assert steps["the step whose requests grow most, N to N/4"].reached == 2.0
    assert steps["requests a recording, N/4 to N, most to least"].is_met


def test_the_order_of_completion_is_told_by_ranks_and_waits() -> None:
    closed = {"a": 5.0, "b": 1.0, "c": 4.0, "d": 9.0, "e": 8.0}
    found = fairness({"b", "c"}, recorded=dict.fromkeys(closed, 1.0), closed=closed)

    assert found == {
        "urgent": {"median rank": 0.125, "median wait, s": 1.5},
        "others": {"median rank": 0.75, "median wait, s": 7.0},
    }
    assert fairness(set(), recorded={}, closed={})["urgent"]["median rank"] is None


def test_the_apps_log_is_read_from_where_it_ended_and_by_whole_lines(tmp_path: Path) -> None:
    def line(event: str, key: str) -> str:
        return f'[2026-11-22T13:41:27.334Z] w0 INF {{"event":"{event}","recording":"{key}","chunks":1}}\n'

    file = tmp_path / "host.log"
    file.write_text(line("recording.closed", "of-an-earlier-run"))
    log = AppLog(file)
    with file.open("a") as more:
        more.write("worker 0 pid 1\n" + line("event.recorded", "a") + line("recording.closed", "a"))
        more.write(line("recording.closed", "b")[:60])
        more.flush()
        log.read()
        assert (list(log.recorded), list(log.closed)) == (["a"], ["a"])
        more.write(line("recording.closed", "b")[60:] + line("fetch.failed", "c"))
        more.write('[2026-11-22T13:41:27.334Z] w0 INF {"event":"sweep.done","open":9,"overdue":3,"sent":2}\n')
    log.read()
    log.read()

    assert list(log.closed) == ["a", "b"]
    assert log.closed["b"] == pytest.approx(1795354887.334)
    assert (log.counted["fetch.failed"], log.resent) == (1, 2)
