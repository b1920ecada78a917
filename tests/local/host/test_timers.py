"""Timers fire by NCRONTAB, at start if asked, and never twice at once."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from local.host import Host
from local.host.timers import Schedule
from tests.local.host.support import call
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from tests.local.host.conftest import AppMaker

NOON = datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("0 */5 * * * *", NOON.replace(minute=5)),
        ("30 * * * * *", NOON.replace(second=30)),
        ("*/5 * * * *", NOON.replace(minute=5)),
        ("0 30 9 * * 1-5", datetime(2026, 11, 23, 9, 30, tzinfo=UTC)),
        ("00:00:07", NOON.replace(second=7)),
    ],
)
def test_the_next_time(expression: str, expected: datetime) -> None:
    assert Schedule(expression).after(NOON) == expected


@pytest.mark.parametrize("expression", ["", "x", "* * *", "61 * * * * *", "later:00"])
def test_what_is_no_schedule_is_refused(expression: str) -> None:
    with pytest.raises(ValueError, match="not a"):
        Schedule(expression)


def test_a_timer_fires_at_start_and_by_its_schedule_without_overlap(make_app: AppMaker) -> None:
    code = """
        running = 0

        @app.timer_trigger(arg_name="timer", schedule="* * * * * *", run_on_startup=True)
        def tick(timer: func.TimerRequest):
            global running
            running += 1
            logging.info("tick %s %s %s", running, timer.past_due, timer.schedule_status["Next"])
            time.sleep(1.2)
            running -= 1
    """
    with Host(make_app(code)) as host:
        ticks = eventually(
            lambda: [found for found in [[x for x in host.lines if "INF tick" in x]] if len(found) > 1][:1]
        )
        assert all("tick 1 False" in line for line in ticks[0])


def test_a_timer_can_be_run_by_hand(make_app: AppMaker) -> None:
    code = """
        @app.timer_trigger(arg_name="timer", schedule="0 0 0 1 1 *")
        def yearly(timer: func.TimerRequest):
            logging.info("ran, past due: %s", timer.past_due)
    """
    with Host(make_app(code)) as host:
        assert call(host.url, "/admin/functions/yearly", method="POST", body=b'{"input": ""}').status == 202
        eventually(lambda: "ran, past due: False" in "".join(host.lines))
