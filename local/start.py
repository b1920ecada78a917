"""`make start`: the services and the app on http://127.0.0.1:7071, with `func start` if Core Tools are installed."""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

from local.services import HOST_PORT, ROOT, Services, guide, is_free, subscribe_when_up, usual_services, write_settings

_STOP_SECONDS = 20.0
# func takes the first python on the PATH: the one with the app's packages.
_BIN = Path(sys.executable).parent


def host_command(*, app_dir: Path, port: int) -> list[str]:
    """The command that serves the app on this machine."""
    func = shutil.which("func")
    if func:
        return [func, "start", "--port", str(port)]
    return [sys.executable, "-m", "local.host", "--app-dir", str(app_dir), "--port", str(port)]


def main(arguments: list[str]) -> int:
    """Runs services and host until Ctrl-C, or until the host ends. Returns the host's exit code, 1 for a taken port."""
    parser = argparse.ArgumentParser(prog="python -m local.start", description="Run the services and the app.")
    parser.add_argument("--port", type=int, default=HOST_PORT, help="of the functions host")
    parser.add_argument("--app-dir", type=Path, default=ROOT, help="the function app")
    parser.add_argument(
        "--free-ports", action="store_true", help="free ports for the services instead of the usual ones"
    )
    given = parser.parse_args(arguments)
    app_dir, host_url = given.app_dir.resolve(), f"http://127.0.0.1:{given.port}"
    if given.port and not is_free(given.port):
        advice = f"stop the other program, or choose a port: make start ARGS='--port {given.port + 10}'"
        print(f"Port {given.port} is in use: {advice}", file=sys.stderr)
        return 1
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with Services() if given.free_ports else usual_services() as services:
        print(write_settings(services.settings, folder=app_dir))
        print(guide(services, host_url=host_url), flush=True)
        # The environment wins over the settings file, so the app finds these services whatever the file says.
        # In a session of its own, so that Ctrl-C reaches this process only, which then stops the host.
        process = subprocess.Popen(
            host_command(app_dir=app_dir, port=given.port),
            cwd=app_dir if shutil.which("func") else ROOT,
            env={**os.environ, **services.settings, "PATH": f"{_BIN}{os.pathsep}{os.environ.get('PATH', '')}"},
            start_new_session=True,
        )
        subscribe_when_up(services, host_url=host_url, stop=stop)
        try:
            while not stop.wait(0.2) and process.poll() is None:
                pass
        finally:
            stop.set()
            code = _end(process)
    return code


def _end(process: subprocess.Popen[bytes]) -> int:
    if process.poll() is None:
        process.terminate()
    try:
        return process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
