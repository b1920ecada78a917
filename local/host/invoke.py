"""Calls functions as the Python worker does: sync ones in a thread pool, async ones on the event loop.

Of an exception only type, message and stack of the last one are logged. A value that the bindings do not accept is a
failure. A function that exceeds its time fails, and `on_timeout` is called: the real host restarts the worker then.
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

# The worker's default on a plan without specialization.
_THREADS = 1000


class FunctionTimeoutError(Exception):
    """The function ran longer than `functionTimeout` of host.json."""


class WorkerRestartError(Exception):
    """The worker process ended while the function ran."""


class _NoTrace:
    trace_state = ""
    trace_parent = ""
    attributes: Mapping[str, str] = MappingProxyType({})


class InvocationContext(func.Context):
    """The function's `context` parameter.

    Threads of the app set `thread_local_storage.invocation_id`, so that their lines are logged for this invocation.
    Nothing is traced, and there is no retry context, because this host refuses retry policies.
    """

    invocation_id = function_name = function_directory = ""
    thread_local_storage: Any = logs.of_thread
    trace_context: Any = _NoTrace()
    retry_context: Any = None

    def __init__(self, function_name: str, invocation_id: str, directory: str) -> None:
        self.function_name, self.invocation_id, self.function_directory = function_name, invocation_id, directory


class Invoker:
    """Runs the functions of one app. `timeout`: how long each may run."""

    def __init__(
        self,
        *,
        app_dir: Path,
        log: logs.HostLog,
        timeout: timedelta,
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

    async def invoke(self, function: Function, value: Any, *, reason: str) -> Outcome:
        """Calls `function` with its trigger's `value` to its end. Its exceptions are returned, not raised."""
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
            self._log.error(text + _described(outcome.error), category=category)
        return outcome

    async def _bounded(self, function: Function, value: Any, invocation_id: str) -> Outcome:
        logs.begin(function.name, invocation_id)
        running = self._start(function, value, invocation_id)
        self._running.add(running)
        running.add_done_callback(self._forget)
        running.add_done_callback(lambda _ended: logs.end(invocation_id))
        try:
            result = await asyncio.wait_for(asyncio.shield(running), self._timeout.total_seconds())
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
            running.exception()  # marks it as retrieved where the invocation has timed out

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
        """Waits `seconds` at most for running functions; then those fail with `WorkerRestartError`."""
        if self._running:
            await asyncio.wait(set(self._running), timeout=seconds)
        for running in self._running:
            running.cancel()
        await asyncio.sleep(0)

    def close(self) -> None:
        """Accepts no more calls. Threads that still run are not awaited."""
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
    """The result, if the function's bindings accept it. TypeError or RuntimeError if they do not."""
    if function.returns_http:
        if isinstance(result, (func.HttpResponse, str)):
            return result
        raise TypeError(f"an HTTP function must return an HttpResponse, not {type(result).__name__}")
    if result is not None:
        raise RuntimeError(f"function {function.name!r} without a $return binding returned a non-None value")
    return None


def _described(error: BaseException) -> str:
    """Type, message and stack of the last exception: its causes do not reach the real host."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [index for index, frame in enumerate(frames) if frame.filename == __file__]
    stack = "".join(traceback.format_list(frames[own[-1] + 1 :] if own else frames))
    return f"\nResult: Failure\nException: {type(error).__name__}: {error}\nStack: {stack}".rstrip()
