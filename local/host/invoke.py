"""Calls functions as the Python worker does: sync ones in a thread pool, async ones on the event loop.

Only the last exception's type, message and stack are told; a value that the bindings cannot take is a failure; a
function over its time fails, and `on_timeout` is called, for the real host then restarts the worker.
"""

from __future__ import annotations

import asyncio
import os
import time
import traceback
import uuid
from concurrent.futures import ThreadPoolExecutor
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import azure.functions as func

from local.host import logs
from local.host.model import Function, Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import timedelta
    from pathlib import Path

# What the worker starts with on a plain (not specialized) plan; its own setting overrides it.
_THREADS = 1000


class FunctionTimeoutError(Exception):
    """The function ran longer than host.json's `functionTimeout`."""


class WorkerRestartError(Exception):
    """The worker process went away under a running function."""


class _NoTrace:
    """No tracing on a laptop."""

    trace_state = ""
    trace_parent = ""
    attributes: Mapping[str, str] = MappingProxyType({})


class InvocationContext(func.Context):
    """What a function gets as its `context` parameter."""

    def __init__(self, function_name: str, invocation_id: str, directory: str) -> None:
        self._name, self._id, self._directory = function_name, invocation_id, directory

    @property
    def invocation_id(self) -> str:
        """The id that the log lines of the host carry."""
        return self._id

    @property
    def thread_local_storage(self) -> Any:
        """For log lines from the app's own threads: they set its `invocation_id`. One for the worker, as there."""
        return logs.of_thread

    @property
    def function_name(self) -> str:
        """The registered name."""
        return self._name

    @property
    def function_directory(self) -> str:
        """The app's folder."""
        return self._directory

    @property
    def trace_context(self) -> Any:
        """Empty here."""
        return _NoTrace()

    @property
    def retry_context(self) -> Any:
        """None: retry policies have no effect here."""
        return None


class Invoker:
    """Runs functions of one app. `timeout`: how long one may run; None: for ever."""

    def __init__(
        self,
        *,
        app_dir: Path,
        log: logs.HostLog,
        timeout: timedelta | None,
        on_timeout: Callable[[], None] | None = None,
    ) -> None:
        self._directory = str(app_dir)
        self._log = log
        self._timeout = timeout
        self._on_timeout = on_timeout
        self._pool = ThreadPoolExecutor(
            max_workers=int(os.environ.get("PYTHON_THREADPOOL_THREAD_COUNT", _THREADS)),
            thread_name_prefix="function",
        )
        self._running: set[asyncio.Future[Any]] = set()

    @property
    def running(self) -> int:
        """How many invocations have not ended."""
        return len(self._running)

    async def invoke(self, function: Function, value: Any, *, reason: str) -> Outcome:
        """Calls `function` with its trigger's `value` and waits for the end; never raises what the function raised."""
        invocation_id = str(uuid.uuid4())
        category = f"Function.{function.name}"
        name = f"Functions.{function.name}"
        self._log.info(f"Executing '{name}' (Reason='{reason}', Id={invocation_id})", category=category)
        begun = time.monotonic()
        outcome = await self._bounded(function, value, invocation_id)
        took = round((time.monotonic() - begun) * 1000)
        verdict = "Succeeded" if outcome.succeeded else "Failed"
        text = f"Executed '{name}' ({verdict}, Id={invocation_id}, Duration={took}ms)"
        if outcome.error is None:
            self._log.info(text, category=category)
        else:
            self._log.error(text + _told(outcome.error), category=category)
        return outcome

    async def _bounded(self, function: Function, value: Any, invocation_id: str) -> Outcome:
        logs.known(function.name, invocation_id)
        running = self._start(function, value, invocation_id)
        self._running.add(running)
        running.add_done_callback(self._forget)
        running.add_done_callback(lambda _ended: logs.over(invocation_id))
        seconds = None if self._timeout is None else self._timeout.total_seconds()
        try:
            result = await asyncio.wait_for(asyncio.shield(running), seconds)
            return Outcome(value=_checked(function, result))
        except TimeoutError as error:
            if running.done():
                return Outcome(error=error)  # the function's own TimeoutError
            running.cancel()
            return self._timed_out(function)
        except asyncio.CancelledError:
            if not running.cancelled():
                raise
            return Outcome(error=WorkerRestartError("the worker process was restarted"))
        except Exception as error:  # noqa: BLE001 - a function may raise anything; it becomes the outcome
            return Outcome(error=error)

    def _forget(self, running: asyncio.Future[Any]) -> None:
        self._running.discard(running)
        if not running.cancelled():
            running.exception()  # one that ended after its time limit has nobody else to look at it

    def _start(self, function: Function, value: Any, invocation_id: str) -> asyncio.Future[Any]:
        arguments: dict[str, Any] = {function.parameter: value}
        if function.wants_context:
            arguments["context"] = InvocationContext(function.name, invocation_id, self._directory)
        if function.is_async:
            return asyncio.ensure_future(_call_async(function, arguments, invocation_id))
        loop = asyncio.get_running_loop()
        return loop.run_in_executor(self._pool, _call_sync, function, arguments, invocation_id)

    def _timed_out(self, function: Function) -> Outcome:
        error = FunctionTimeoutError(f"Timeout value of {self._timeout} was exceeded by function: {function.name}")
        self._log.error(f"{error}. The real host now restarts the worker, and all that runs in it.")
        if self._on_timeout is not None:
            self._on_timeout()
        return Outcome(error=error)

    async def drain(self, seconds: float) -> None:
        """Waits at most `seconds` for running functions; what runs on then has lost its worker."""
        if self._running:
            await asyncio.wait(set(self._running), timeout=seconds)
        for running in self._running:
            running.cancel()
        await asyncio.sleep(0)

    def close(self) -> None:
        """Takes no new calls; does not wait for threads that run on."""
        self._pool.shutdown(wait=False, cancel_futures=True)


async def _call_async(function: Function, arguments: dict[str, Any], invocation_id: str) -> Any:
    logs.enter(function.name, invocation_id)
    return await function.call(**arguments)


def _call_sync(function: Function, arguments: dict[str, Any], invocation_id: str) -> Any:
    logs.enter(function.name, invocation_id)
    try:
        return function.call(**arguments)
    finally:
        logs.leave()


def _checked(function: Function, result: Any) -> Any:
    """The result if the function's bindings take it."""
    if function.returns_http:
        if isinstance(result, (func.HttpResponse, str)):
            return result
        raise TypeError(f"an HTTP function must return an HttpResponse, not {type(result).__name__}")
    if result is not None:
        raise RuntimeError(f"function {function.name!r} without a $return binding returned a non-None value")
    return None


def _told(error: BaseException) -> str:
    """Type, message and stack of the last exception; its causes do not cross to the real host."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [index for index, frame in enumerate(frames) if frame.filename == __file__]
    stack = "".join(traceback.format_list(frames[own[-1] + 1 :] if own else frames))
    return f"\nResult: Failure\nException: {type(error).__name__}: {error}\nStack: {stack}".rstrip()
