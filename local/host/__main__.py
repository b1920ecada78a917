"""`python -m local.host`: serves a function app where `func` (Azure Functions Core Tools) is not installed."""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path

from local.host.supervisor import Supervisor, SupervisorOptions


def main(arguments: list[str] | None = None) -> int:
    """Serves until Ctrl-C; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m local.host", description=__doc__)
    parser.add_argument("--app-dir", type=Path, default=Path(), help="folder with function_app.py and host.json")
    parser.add_argument("--port", type=int, default=7071, help="0: a free one (default: 7071)")
    parser.add_argument("--workers", type=int, default=1, help="processes on the one port and the same queues")
    parser.add_argument("--settings", default="local.settings.json", help="settings file in the app's folder")
    parser.add_argument(
        "--queue-lease",
        type=float,
        default=600.0,
        metavar="SECONDS",
        help="of a queue message; func: 600. A killed worker's messages are visible again after it",
    )
    parser.add_argument("--stop-on-eof", action="store_true", help="end when standard input ends")
    given = parser.parse_args(arguments)
    if given.workers < 1 or given.queue_lease < 1:
        parser.error("--workers and --queue-lease must be at least 1")
    options = SupervisorOptions(
        app_dir=given.app_dir.resolve(),
        port=given.port,
        workers=given.workers,
        settings_file=given.settings,
        queue_lease=given.queue_lease,
        stop_on_eof=given.stop_on_eof,
    )
    return asyncio.run(Supervisor(options).run())


if __name__ == "__main__":
    sys.exit(main())
