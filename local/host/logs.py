"""What the host writes: one line a log record, level and text only, as the real host shows them.

A function's lines are marked when the real host would lose them: written outside an invocation, that is from plain
threads, from `asyncio.to_thread` or after the answer.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import os
import sys
import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_LEVELS = {
    "trace": logging.DEBUG,
    "debug": logging.DEBUG,
    "information": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
    "critical": logging.CRITICAL,
    "none": logging.CRITICAL + 1,
}
_NAMES = {logging.DEBUG: "DBG", logging.INFO: "INF", logging.WARNING: "WRN", logging.ERROR: "ERR"}
_COLOURS = {"DBG": "90", "INF": "36", "WRN": "33", "ERR": "31", "CRT": "35"}
_LOST = "(outside an invocation: lost in Azure) "

# The worker finds a record's invocation by the running task or, in its thread pool, by the thread: kept in two
# places here too, so that a thread of the app's own is outside of both.
_of_task: contextvars.ContextVar[tuple[str, str] | None] = contextvars.ContextVar("invocation", default=None)
# The latter is what `context.thread_local_storage` gives to functions: whose own threads set its `invocation_id`,
# theirs are that invocation's lines (the documented way; read in the worker).
of_thread = threading.local()
_functions: dict[str, str] = {}


def enter(function: str, invocation_id: str) -> None:
    """Says that what this task or pool thread logs from now on belongs to that invocation."""
    if _in_loop():
        _of_task.set((function, invocation_id))
    else:
        of_thread.invocation_id = invocation_id


def leave() -> None:
    """Ends what `enter` began in a pool's thread; a task's own context ends with it."""
    of_thread.invocation_id = None


def _current() -> tuple[str, str] | None:
    if _in_loop():
        return _of_task.get()
    invocation_id = getattr(of_thread, "invocation_id", None)
    function = _functions.get(invocation_id or "")
    return (function, invocation_id) if function and invocation_id else None


def known(function: str, invocation_id: str) -> None:
    """An invocation begins: lines with its id belong to `function`."""
    _functions[invocation_id] = function


def over(invocation_id: str) -> None:
    """It has ended: lines with its id are lost from now on."""
    _functions.pop(invocation_id, None)


def _in_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


class HostLog:
    """Writes the host's own lines, and the app's through `handler`.

    `levels`: `logging.logLevel` of host.json: category (or its beginning) → level.
    `write`: takes one whole line; default: standard output, coloured on a terminal.
    """

    def __init__(
        self, *, levels: Mapping[str, str] | None = None, write: Callable[[str], None] | None = None, label: str = ""
    ) -> None:
        self._levels = {key.lower(): _LEVELS.get(value.lower(), logging.INFO) for key, value in (levels or {}).items()}
        self._write = write or _to_stdout
        self._colour = write is None and sys.stdout.isatty() and "NO_COLOR" not in os.environ
        self._label = f"{label} " if label else ""
        self.handler = _AppHandler(self)

    def line(self, level: int, text: str, *, category: str = "Host.General") -> None:
        """Writes `text` unless host.json wants less of this category."""
        if level < self._threshold(category):
            return
        name = _NAMES.get(level, "CRT" if level > logging.ERROR else "INF")
        stamp = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        head = f"[{stamp}] {self._label}{name}"
        if self._colour:
            head = f"\x1b[{_COLOURS[name]}m{head}\x1b[0m"
        self._write(f"{head} {text}\n")

    def info(self, text: str, *, category: str = "Host.General") -> None:
        """The host tells."""
        self.line(logging.INFO, text, category=category)

    def warning(self, text: str, *, category: str = "Host.General") -> None:
        """The host warns."""
        self.line(logging.WARNING, text, category=category)

    def error(self, text: str, *, category: str = "Host.General") -> None:
        """The host reports a failure."""
        self.line(logging.ERROR, text, category=category)

    def _threshold(self, category: str) -> int:
        parts = category.lower().split(".")
        for end in range(len(parts), 0, -1):
            if (level := self._levels.get(".".join(parts[:end]))) is not None:
                return level
        return self._levels.get("default", logging.INFO)


class _AppHandler(logging.Handler):
    """The app's log records, as far as they cross to the real host: level and text."""

    def __init__(self, log: HostLog) -> None:
        super().__init__()
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        if record.name.startswith("azure.functions"):
            return  # the worker takes these for its own
        invocation = _current()
        is_own = invocation is None and record.name.startswith(("azure.", "aiohttp.", "asyncio", "watchfiles"))
        if is_own and record.levelno < logging.WARNING:
            return  # the chatter of this host's own libraries, not the app
        try:
            text = record.getMessage()
            if record.exc_info:
                text += "\n" + logging.Formatter().formatException(record.exc_info)
        except Exception:  # noqa: BLE001 - a bad log call of the app must not stop its function: logging's own rule
            self.handleError(record)
            return
        if is_own:
            self._log.line(record.levelno, f"{record.name}: {text}")
        elif invocation is None:
            self._log.line(record.levelno, _LOST + text)
        else:
            self._log.line(record.levelno, text, category=f"Function.{invocation[0]}.User")


def _to_stdout(line: str) -> None:
    sys.stdout.write(line)
    sys.stdout.flush()
