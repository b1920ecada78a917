"""`make start`: the services and the app on http://127.0.0.1:7071, by `func start` where Core Tools are installed."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

from local.services import HOST_PORT, ROOT, fixed_services, guide, subscribe_when_up, write_settings

if TYPE_CHECKING:
    from types import FrameType

_STOP_SECONDS = 20.0


def host_command() -> list[str]:
    """How the app is served on this machine."""
    func = shutil.which("func")
    if func:
        return [func, "start", "--port", str(HOST_PORT)]
    return [sys.executable, "-m", "local.host", "--port", str(HOST_PORT)]


def main() -> int:
    """Runs services and host until Ctrl-C, or until the host ends; returns the host's exit code."""
    host_url = f"http://127.0.0.1:{HOST_PORT}"
    stop = threading.Event()

    def end(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)
    with fixed_services() as services:
        print(write_settings(services.settings))
        print(guide(services, host_url=host_url), flush=True)
        command = host_command()
        # A session of its own: Ctrl-C comes here first, and the host is told once, not twice.
        process = subprocess.Popen(command, cwd=ROOT, start_new_session=True)
        subscribe_when_up(services, host_url=host_url, stop=stop)
        try:
            while not stop.wait(0.2) and process.poll() is None:
                pass
        finally:
            stop.set()
            process.terminate()
            try:
                code = process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                code = process.wait()
    return code


if __name__ == "__main__":
    sys.exit(main())
