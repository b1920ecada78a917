"""Worker processes: several on one port and queue, supervised and ended; none is left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from threading import Thread
from typing import TYPE_CHECKING

from local.stack import HostProcess
from tests.local.host.support import Answer, base64_queue, call
from tests.support.processes import ROOT, Terminal, gone, typed
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from pathlib import Path

    from local.azurite import Azurite
    from tests.local.host.conftest import AppMaker

HTTP = """
    @app.route(route="pid")
    def pid(req: func.HttpRequest) -> func.HttpResponse:
        time.sleep(float(req.params.get("sleep", 0)))
        return func.HttpResponse(str(os.getpid()))
"""
QUEUE = """
    @app.queue_trigger(arg_name="message", queue_name="%QUEUE%", connection="Storage")
    def work(message: func.QueueMessage):
        body = message.get_body().decode()
        logging.info("begin %s %s %s", os.getpid(), message.dequeue_count, body)
        time.sleep(float(body))
        logging.info("end %s", os.getpid())
"""


def _host(app: Path, *arguments: str) -> AbstractContextManager[Terminal]:
    return typed("local.host", "--app-dir", str(app), "--port", "0", *arguments)


def _url(terminal: Terminal) -> str:
    return terminal.printed("^ready (.*)$")


def test_two_workers_share_port_and_queue(
    make_app: AppMaker, azurite: Azurite, queue_name: str, tmp_path: Path
) -> None:
    app = make_app(HTTP + QUEUE, host={"extensions": {"queues": {"batchSize": 1, "newBatchThreshold": 0}}})
    host = HostProcess(
        app,
        environment={"QUEUE": queue_name, "Storage": azurite.connection_string},
        log=tmp_path / "log",
        workers=2,
    )
    with base64_queue(azurite.connection_string, queue_name) as queue:
        queue.create_queue()
        for _ in range(6):
            queue.send_message("0.4")
        host.start()
        try:
            pids = set(host.worker_pids().values())
            assert len(pids) == 2
            assert int(call(host.url, "/api/pid").body) in pids
            eventually(lambda: host.text().count("INF end") == 6)
            used = {int(line.split()[4]) for line in host.text().splitlines() if "INF begin" in line}
            assert used == pids
        finally:
            host.stop()
    assert gone(pids, count=2)


def test_a_killed_worker_is_started_again_and_its_message_comes_back(
    make_app: AppMaker, azurite: Azurite, queue_name: str, tmp_path: Path
) -> None:
    host = HostProcess(
        make_app(HTTP + QUEUE),
        environment={"QUEUE": queue_name, "Storage": azurite.connection_string},
        log=tmp_path / "log",
        queue_lease=2,
    )
    with base64_queue(azurite.connection_string, queue_name) as queue:
        queue.create_queue()
        queue.send_message("1.2")
        host.start()
        try:
            eventually(lambda: "INF begin" in host.text())
            first = host.worker_pids()[0]
            os.kill(first, signal.SIGKILL)
            assert int(call(host.url, "/api/pid").body) != first, "the connection waited for the next worker"
            eventually(lambda: "INF end" in host.text())
            assert "Worker 0 ended (SIGKILL)" in host.text()
            assert " 2 1.2" in host.text(), "the second delivery of the message"
        finally:
            host.stop()


def test_ctrl_c_ends_all_and_lets_running_functions_finish(make_app: AppMaker) -> None:
    with _host(make_app(HTTP), "--workers", "2") as terminal:
        url = _url(terminal)
        answers: list[Answer] = []
        caller = Thread(target=lambda: answers.append(call(url, "/api/pid?sleep=1")))
        caller.start()
        terminal.printed("Executing 'Functions.pid'")
        os.killpg(terminal.process.pid, signal.SIGINT)
        assert terminal.process.wait(10) == 0
        caller.join(10)
        assert [answer.status for answer in answers] == [200]
        assert gone(terminal.workers(), count=2)


def test_a_second_ctrl_c_does_not_wait(make_app: AppMaker) -> None:
    with _host(make_app(HTTP)) as terminal:
        url = _url(terminal)
        caller = Thread(target=_ignore_reset, args=(url, "/api/pid?sleep=20"), daemon=True)
        caller.start()
        terminal.printed("Executing 'Functions.pid'")
        begun = time.monotonic()
        for _ in range(2):
            os.killpg(terminal.process.pid, signal.SIGINT)
            time.sleep(0.2)  # two signals at once may come as one
        terminal.process.wait(10)
        assert time.monotonic() - begun < 3
        assert gone(terminal.workers(), count=1)


def _ignore_reset(url: str, path: str) -> None:
    try:
        call(url, path)
    except OSError:
        return


def test_no_worker_outlives_a_killed_supervisor(make_app: AppMaker) -> None:
    with _host(make_app(HTTP), "--workers", "2") as terminal:
        _url(terminal)
        terminal.process.kill()
        eventually(lambda: gone(terminal.workers(), count=2), seconds=10, what="the workers' end")


def test_the_host_ends_with_its_starter(make_app: AppMaker, tmp_path: Path) -> None:
    app = make_app(HTTP)
    code = (
        "import pathlib, os, sys; from local.stack import HostProcess\n"
        "app, log = map(pathlib.Path, sys.argv[1:])\n"
        "host = HostProcess(app, environment={}, log=log)\n"
        "host.start(); print(host.worker_pids()[0], flush=True); os.kill(os.getpid(), 9)\n"
    )
    command = [sys.executable, "-c", code, str(app), str(tmp_path / "log")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    worker = int(done.stdout)
    eventually(lambda: gone([worker], count=1), seconds=10, what="the worker's end")


def test_a_broken_host_json_ends_the_start_with_the_reason(make_app: AppMaker) -> None:
    app = make_app(HTTP)
    (app / "host.json").write_text("{", encoding="utf-8")
    with _host(app, "--workers", "2") as terminal:
        terminal.printed("failed host.json is not JSON")
        assert terminal.process.wait(20) == 1


def test_a_function_that_exceeds_its_time_ends_the_worker(make_app: AppMaker) -> None:
    app = make_app(HTTP, host={"functionTimeout": "00:00:00.3"})
    with _host(app) as terminal:
        url = _url(terminal)
        assert call(url, "/api/pid?sleep=5").status == 500
        first = terminal.workers()[0]
        eventually(lambda: len(terminal.workers()) == 2, what="the next worker")
        assert call(url, "/api/pid").status == 200
        assert gone([first], count=1)


def test_a_taken_port_ends_the_start_with_the_reason(make_app: AppMaker) -> None:
    with _host(make_app(HTTP)) as terminal:
        port = _url(terminal).rsplit(":", 1)[1]
        with _host(make_app(HTTP), "--port", port) as second:
            second.printed(f"failed port {port} is unavailable")
            assert second.process.wait(20) == 1


def test_only_the_first_worker_runs_timers(make_app: AppMaker, tmp_path: Path) -> None:
    code = """
        @app.timer_trigger(arg_name="timer", schedule="* * * * * *")
        def tick(timer: func.TimerRequest):
            logging.info("tick")
    """
    host = HostProcess(make_app(code), environment={}, log=tmp_path / "log", workers=2)
    host.start()
    try:
        eventually(lambda: host.text().count("INF tick") >= 2)
        assert " w1 INF tick" not in host.text()
    finally:
        host.stop()


def test_the_output_lists_functions_with_urls_and_keeps_json_log_lines_whole(make_app: AppMaker) -> None:
    code = """
        @app.route(route="log")
        def log(req: func.HttpRequest) -> func.HttpResponse:
            logging.warning(json.dumps({"event": "some.thing", "n": 1}))
            return func.HttpResponse("")
    """
    with _host(make_app(code)) as terminal:
        url = _url(terminal)
        lines = [line.strip() for line in terminal.lines]
        assert lines.index("Functions:") < lines.index(f"log: [ANY] {url}/api/log") < lines.index(f"ready {url}")
        call(url, "/api/log")
        line = eventually(lambda: [line for line in terminal.lines if "some.thing" in line])[0]
        assert json.loads(line[line.index("{") :]) == {"event": "some.thing", "n": 1}
        assert " WRN {" in line
