"""What the host prints: one line a log record, level and text only, as the real host shows them.

Lines of the app that Azure loses are marked: those written outside an invocation, that is from plain threads, from
`asyncio.to_thread` or after the response.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
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
_LOST = "(outside an invocation: lost in Azure) "

# The worker finds a record's invocation by the running task or, in its thread pool, by the thread.
_of_task: contextvars.ContextVar[tuple[str, str] | None] = contextvars.ContextVar("invocation", default=None)
# Functions get it as `context.thread_local_storage`: a thread of the app that sets its `invocation_id` logs for that
# invocation (documented, and read in the worker).
of_thread = threading.local()
# The functions of the running invocations, by invocation id.
_functions: dict[str, str] = {}


def enter(function: str, invocation_id: str) -> None:
    """Makes the present task or pool thread log for that invocation."""
    if _in_loop():
        _of_task.set((function, invocation_id))
    else:
        of_thread.invocation_id = invocation_id


def leave() -> None:
    """Undoes `enter` in a pool thread; a task's context ends with the task."""
    of_thread.invocation_id = None


def begin(function: str, invocation_id: str) -> None:
    """An invocation begins: lines with its id belong to `function`."""
    _functions[invocation_id] = function


def end(invocation_id: str) -> None:
    """The invocation has ended: lines with its id are lost from now on."""
    _functions.pop(invocation_id, None)


def _current() -> tuple[str, str] | None:
    if _in_loop():
        return _of_task.get()
    invocation_id = getattr(of_thread, "invocation_id", None)
    function = _functions.get(invocation_id or "")
    return (function, invocation_id) if function and invocation_id else None


def _in_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


class HostLog:
    """Writes the host's own lines, and the app's through `handler`.

    `levels`: `logging.logLevel` of host.json: category (or its beginning) → level. `write` gets each line; default:
    standard output. `label`: put before the level.
    """

    def __init__(
        self, *, levels: Mapping[str, str] | None = None, write: Callable[[str], None] | None = None, label: str = ""
    ) -> None:
        self._levels = {key.lower(): _LEVELS.get(value.lower(), logging.INFO) for key, value in (levels or {}).items()}
        self._write = write or _to_stdout
        self._label = f"{label} " if label else ""
        self.handler = _AppHandler(self)

    def line(self, level: int, text: str, *, category: str = "Host.General") -> None:
        """Writes `text`, unless host.json sets a higher level for this category."""
        if level >= self._threshold(category):
            name = _NAMES.get(level, "CRT" if level > logging.ERROR else "INF")
            stamp = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
            self._write(f"[{stamp}] {self._label}{name} {text}\n")

    def info(self, text: str, *, category: str = "Host.General") -> None:
        """Writes at level Information."""
        self.line(logging.INFO, text, category=category)

    def warning(self, text: str, *, category: str = "Host.General") -> None:
        """Writes at level Warning."""
        self.line(logging.WARNING, text, category=category)

    def error(self, text: str, *, category: str = "Host.General") -> None:
        """Writes at level Error."""
        self.line(logging.ERROR, text, category=category)

    def _threshold(self, category: str) -> int:
        parts = category.lower().split(".")
        for end in range(len(parts), 0, -1):
            if (level := self._levels.get(".".join(parts[:end]))) is not None:
                return level
        return self._levels.get("default", logging.INFO)


class _AppHandler(logging.Handler):
    """Passes on of the app's log records what the real host gets of them: level and text."""

    def __init__(self, log: HostLog) -> None:
        super().__init__()
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        if record.name.startswith("azure.functions"):
            return  # hidden by the worker
        invocation = _current()
        is_own = invocation is None and record.name.startswith(("azure.", "aiohttp.", "asyncio"))
        if is_own and record.levelno < logging.WARNING:
            return  # of this host's own libraries
        try:
            text = record.getMessage()
            if record.exc_info:
                text += "\n" + logging.Formatter().formatException(record.exc_info)
        except Exception:  # noqa: BLE001 - logging's own rule: a wrong log call must not stop the program
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
