"""The stack: services and host together, and the commands of `make services` and `make start`."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from local.services import EVENT_FUNCTION, FIXED, Services, guide, write_settings
from local.stack import Stack, StackError
from tests.local.host.support import call
from tests.support.processes import ROOT, gone, typed
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from tests.local.host.conftest import AppMaker

CODE = f"""
    @app.event_grid_trigger(arg_name="event")
    def {EVENT_FUNCTION}(event: str):
        logging.info("event %s", json.loads(event)["eventType"])

    @app.route(route="setting/{{name}}")
    def setting(req: func.HttpRequest) -> func.HttpResponse:
        return func.HttpResponse(os.environ.get(req.route_params["name"], ""))
"""


def test_the_stack_delivers_events_survives_kills_and_restarts_on_its_port(make_app: AppMaker, tmp_path: Path) -> None:
    with Stack(app_dir=make_app(CODE), workers=2, settings={"COLOUR": "red"}, log_dir=tmp_path / "log") as stack:
        url = stack.host_url
        assert call(url, "/api/setting/COLOUR").body == b"red"
        assert call(url, "/api/setting/LOCAL_ACS_ORIGIN").body.decode() == stack.acs.origin
        event = {
            "id": "1",
            "subject": "/recording/call/1",
            "eventType": "Microsoft.Communication.RecordingFileStatusUpdated",
            "eventTime": "2026-11-22T00:00:00Z",
            "dataVersion": "1.0",
            "data": {},
        }
        stack.eventgrid.publish(event)
        eventually(lambda: "INF event Microsoft" in stack.host.text())
        dead = {stack.kill_worker(0), stack.kill_worker(0), stack.kill_worker(1)}
        assert len(dead) == 3
        assert call(url, "/api/setting/COLOUR").status == 200
        stack.settings["COLOUR"] = "blue"
        stack.restart_host()
        assert stack.host_url == url
        assert call(url, "/api/setting/COLOUR").body == b"blue"
    with pytest.raises(OSError, match="refused"):
        call(url, "/")
    assert "INF event Microsoft" in stack.host_log.read_text(encoding="utf-8")


def test_the_stack_can_run_the_app_in_this_process(make_app: AppMaker) -> None:
    code = textwrap.dedent(CODE).replace('os.environ.get(req.route_params["name"], "")', "beside.NEXT()")
    app = make_app("import beside\n" + code)
    (app / "beside.py").write_text("import itertools\ncount = itertools.count()\nNEXT = lambda: str(next(count))\n")
    with Stack(app_dir=app, workers=0) as stack:
        url = stack.host_url
        assert [call(url, "/api/setting/x").body for _ in range(2)] == [b"0", b"1"]
        stack.restart_host()
        assert stack.host_url == url
        assert call(url, "/api/setting/x").body == b"0", "the app's modules are loaded again after a restart"
        assert "beside" in sys.modules
        with pytest.raises(StackError, match="no worker"):
            stack.kill_worker()
    assert "beside" not in sys.modules


@pytest.mark.parametrize("workers", [0, 1])
def test_a_stack_that_cannot_start_says_why(make_app: AppMaker, workers: int) -> None:
    app = make_app(CODE, host={"functionTimeout": "soon"})
    with pytest.raises(StackError, match="functionTimeout"), Stack(app_dir=app, workers=workers):
        pass


def test_the_settings_file_is_made_from_the_example_once(tmp_path: Path) -> None:
    example = {"IsEncrypted": False, "Values": {"AzureWebJobsStorage": "", "PREFLIGHT": "warn"}}
    (tmp_path / "local.settings.json.example").write_text(json.dumps(example), encoding="utf-8")
    assert "was written" in write_settings({"AzureWebJobsStorage": "x"}, folder=tmp_path)
    written = json.loads((tmp_path / "local.settings.json").read_text(encoding="utf-8"))
    assert written["Values"] == {"AzureWebJobsStorage": "x", "PREFLIGHT": "warn"}
    assert "fits" in write_settings({"AzureWebJobsStorage": "x"}, folder=tmp_path)
    assert "differs in: AzureWebJobsStorage" in write_settings({"AzureWebJobsStorage": "y"}, folder=tmp_path)


def test_the_printed_commands_work_as_pasted(tmp_path: Path) -> None:
    """With the app itself: the recording whose export failed is rescued, and its file can be listened to."""
    with Stack(settings={"RESCUE_FIRST_DELAY_SECONDS": "0.1"}) as stack:
        text = guide(stack.services, host_url=stack.host_url)
        commands = text[text.index("  field()") :]
        done = subprocess.run(
            ["bash", "-eu", "-o", "pipefail", "-c", commands.replace("\nListen", "\n# Listen")],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        listed, finished = done.stdout.split("\n}\n")[:2]
        # Listed as unfinished, whether its event has come by then or not.
        assert '"state": "saving"' in listed or '"state": "started"' in listed
        assert '"route": "rescued"' in finished
        assert '"checks": [' in done.stdout
        assert (tmp_path / "call.mp3").read_bytes()[:3] == b"ID3"


def test_the_example_settings_lead_to_the_usual_ports() -> None:
    example = json.loads((ROOT / "local.settings.json.example").read_text(encoding="utf-8"))["Values"]
    with Services() as services:
        ports = {
            services.azurite.blob_port: FIXED.blob,
            services.azurite.queue_port: FIXED.queue,
            int(services.acs.origin.rsplit(":", 1)[1]): FIXED.acs,
        }
        text = json.dumps(services.settings)
        for free, usual in ports.items():
            text = text.replace(f":{free}", f":{usual}")
        usual_settings = json.loads(text)
        assert usual_settings == {name: example[name] for name in usual_settings}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def test_make_start_on_a_busy_port_ends_at_once_with_the_reason(tmp_path: Path) -> None:
    """Before any service is started or any file written."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        command = [sys.executable, "-m", "local.start", "--app-dir", str(tmp_path), "--port", str(port)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=20, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert f"Port {port} is in use" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_make_start_serves_the_app_and_ends_whole(make_app: AppMaker) -> None:
    app, port = make_app(CODE), _free_port()
    (app / "local.settings.json.example").write_text('{"Values": {}}', encoding="utf-8")
    # Core Tools, where they are installed, are tried by hand: this is about the local host.
    path = os.pathsep.join(
        folder for folder in os.environ["PATH"].split(os.pathsep) if not (Path(folder) / "func").exists()
    )
    command = ["local.start", "--app-dir", str(app), "--port", str(port), "--free-ports"]
    with typed(*command, environment={"PATH": path}) as terminal:
        terminal.printed("Event Grid delivers")
        assert call(f"http://127.0.0.1:{port}", "/api/setting/LOCAL_ACS_ORIGIN").body.startswith(b"http://127.0.0.1:")
        assert (app / "local.settings.json").is_file()
        terminal.process.send_signal(signal.SIGINT)
        assert terminal.process.wait(20) == 0
        eventually(lambda: gone(terminal.workers(), count=1), what="the worker's end")
