"""Timers fire by six-field NCRONTAB, and never twice at once."""

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


def test_the_next_time() -> None:
    for expression, expected in (
        ("0 */5 * * * *", NOON.replace(minute=5)),
        ("30 * * * * *", NOON.replace(second=30)),
        ("0 30 9 * * 1-5", datetime(2026, 11, 23, 9, 30, tzinfo=UTC)),
    ):
        assert Schedule(expression).after(NOON) == expected


def test_another_expression_is_refused() -> None:
    for expression in ("", "x", "*/5 * * * *", "61 * * * * *", "00:00:07"):
        with pytest.raises(ValueError, match="not a schedule"):
            Schedule(expression)


def test_a_timer_fires_by_its_schedule_without_overlap(make_app: AppMaker) -> None:
    code = """
        running = 0

        @app.timer_trigger(arg_name="timer", schedule="* * * * * *")
        def tick(timer: func.TimerRequest):
            global running
            running += 1
            logging.info("tick %s %s %s", running, timer.past_due, timer.schedule_status["Next"])
            time.sleep(1.2)
            running -= 1
    """
    with Host(make_app(code)) as host:
        eventually(lambda: sum("INF tick" in line for line in host.lines) > 1)
        assert all("tick 1 False" in line for line in host.lines if "INF tick" in line)


def test_a_timer_can_be_run_manually(make_app: AppMaker) -> None:
    """And nothing else can."""
    code = """
        @app.timer_trigger(arg_name="timer", schedule="0 0 0 1 1 *")
        def yearly(timer: func.TimerRequest):
            logging.info("ran, past due: %s", timer.past_due)

        @app.event_grid_trigger(arg_name="event")
        def other(event: str): ...
    """
    with Host(make_app(code)) as host:
        answer = call(host.url, "/admin/functions/yearly", method="POST", body=b'{"input": ""}')
        assert (answer.status, answer.body) == (202, b"")
        eventually(lambda: "ran, past due: False" in "".join(host.lines))
        assert call(host.url, "/admin/functions/other", method="POST", body=b"{}").status == 501
        assert call(host.url, "/admin/functions/missing", method="POST", body=b"{}").status == 404
        assert call(host.url, "/admin/functions/yearly").status == 404
