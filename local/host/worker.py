"""One worker process: serves the app on a listening socket inherited from the supervisor.

Over a socket pair the worker reports its start in one line of JSON: `origin`, `listing` and `problems`, or `failure` if
the app cannot be configured. The worker ends when the other end is closed, so that none outlives the supervisor.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import socket
import sys
from datetime import timedelta
from pathlib import Path

from local.host.config import ConfigError
from local.host.runtime import Runtime, RuntimeOptions

# The exit code after a function exceeded its time; the supervisor starts the worker again.
TIMED_OUT = 75


async def _work(arguments: argparse.Namespace) -> int:
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[tuple[int, float]] = loop.create_future()

    def end(code: int, grace: float) -> None:
        if not ended.done():
            ended.set_result((code, grace))

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the supervisor forwards it
    loop.add_signal_handler(signal.SIGTERM, end, 0, arguments.grace)
    control = socket.socket(fileno=arguments.control_fd)
    reader, writer = await asyncio.open_connection(sock=control)
    listening = socket.socket(fileno=arguments.listen_fd)
    runtime = Runtime(
        RuntimeOptions(
            app_dir=arguments.app_dir,
            settings_file=arguments.settings,
            timers=arguments.index == 0,
            queue_lease=timedelta(seconds=arguments.queue_lease),
            label=arguments.label,
            on_timeout=lambda: end(TIMED_OUT, 0.0),
        )
    )
    report: dict[str, object]
    try:
        await runtime.start(listening)
        report = {"origin": runtime.origin, "listing": runtime.listing, "problems": runtime.problems}
    except ConfigError as error:
        report = {"failure": str(error)}
    writer.write(json.dumps(report).encode() + b"\n")
    watcher = asyncio.create_task(_until_gone(reader))
    watcher.add_done_callback(lambda _: end(0, 0.0))
    code, grace = await ended
    await runtime.stop(grace=grace)
    return code


async def _until_gone(reader: asyncio.StreamReader) -> None:
    try:
        await reader.read()
    except ConnectionError:
        return


def main() -> None:
    """Runs until SIGTERM. Ends like the real worker: `atexit` never runs, threads are not joined."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--app-dir", type=Path, required=True)
    parser.add_argument("--settings", required=True)
    parser.add_argument("--listen-fd", type=int, required=True)
    parser.add_argument("--control-fd", type=int, required=True)
    parser.add_argument("--index", type=int, required=True)
    parser.add_argument("--label", default="")
    parser.add_argument("--grace", type=float, required=True)
    parser.add_argument("--queue-lease", type=float, required=True)
    code = asyncio.run(_work(parser.parse_args()))
    sys.stdout.flush()
    os._exit(code)


if __name__ == "__main__":
    main()
