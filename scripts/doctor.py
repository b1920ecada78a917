"""`make doctor`: prints what GET /api/doctor of a running app says, in colour on a terminal.

APP: the app's URL (https://NAME.azurewebsites.net), else the laptop's. KEY: a function key, if the app wants one.
Exit code: 0 all is well, 1 something only warns, 2 something fails, 3 the app gives no report.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import textwrap
import urllib.error
import urllib.request
from typing import Any
from urllib.parse import urlsplit

_LAPTOP = "http://127.0.0.1:7071"
_SECONDS = 120
_CODES = {"ok": 0, "warn": 1, "fail": 2}
_COLOURS = {"ok": "\033[32m", "warn": "\033[33m", "fail": "\033[31m"}
_PLAIN = "\033[0m"


class NoReportError(Exception):
    """The app gave no report; the text says why and what to do."""


def ask(app: str, key: str | None) -> dict[str, Any]:
    """The report. Raises NoReportError."""
    parts = urlsplit(app)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise NoReportError(f"APP is {app!r}: it must be the app's URL, e.g. https://NAME.azurewebsites.net")
    request = urllib.request.Request(  # noqa: S310 - its scheme was looked at
        app.rstrip("/") + "/api/doctor", headers={"x-functions-key": key} if key else {}
    )
    # Loopback is reached directly, whatever proxy this machine has.
    is_local = parts.hostname in ("127.0.0.1", "localhost")
    opener = urllib.request.build_opener(*([urllib.request.ProxyHandler({})] if is_local else []))
    try:
        with opener.open(request, timeout=_SECONDS) as answer:
            report: Any = json.load(answer)
    except urllib.error.HTTPError as error:
        hints = {401: "it wants a key: set KEY to a function key of the app", 404: "it has no doctor: is it this app?"}
        raise NoReportError(f"{app} answered {error.code}: {hints.get(error.code, 'see its log')}") from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise NoReportError(f"{app} gives no answer ({reason}): is it running? `make start` on a laptop") from error
    if not isinstance(report, dict) or report.get("status") not in _CODES:
        raise NoReportError(f"{app} answered something else than a report: is it this app?")
    return report


def printed(report: dict[str, Any], *, is_colourful: bool) -> str:
    """The report for people, a line a check, its fix below it."""
    width = max(len(check["name"]) for check in report["checks"] if len(check["name"]) < 30)
    lines = []
    for check in report["checks"]:
        status = f"{check['status']:<5}"
        if is_colourful:
            status = f"{_COLOURS[check['status']]}{status}{_PLAIN}"
        lines.append(f"{status}{check['name']:<{width}}  {check['message']}")
        if "fix" in check:
            lines += textwrap.wrap(check["fix"], 100, initial_indent="     → ", subsequent_indent="       ")
    return "\n".join(lines)


def main(arguments: list[str]) -> int:
    """Prints the report; the exit code."""
    parser = argparse.ArgumentParser(prog="scripts/doctor.py", description="What is well, and what is not.")
    parser.add_argument("--json", action="store_true", help="print the report as it came")
    given = parser.parse_args(arguments)
    app = os.environ.get("APP") or _LAPTOP
    try:
        report = ask(app, os.environ.get("KEY"))
    except NoReportError as error:
        print(f"doctor: {error}", file=sys.stderr)
        return 3
    is_colourful = sys.stdout.isatty() and "NO_COLOR" not in os.environ
    print(json.dumps(report, indent=2) if given.json else printed(report, is_colourful=is_colourful))
    return _CODES[report["status"]]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
