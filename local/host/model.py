"""A loaded function, and the outcome of an invocation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

HTTP, EVENT_GRID, QUEUE, TIMER = "httpTrigger", "eventGridTrigger", "queueTrigger", "timerTrigger"


@dataclass(frozen=True, kw_only=True)
class Function:
    """One function of the app.

    `trigger`: the trigger binding as in function.json, `%SETTING%` resolved.
    """

    name: str
    call: Callable[..., Any]
    is_async: bool
    wants_context: bool
    parameter: str
    kind: str
    trigger: Mapping[str, Any]
    returns_http: bool = False


@dataclass(frozen=True)
class Outcome:
    """The value of an invocation, or the error it failed with."""

    value: Any = None
    error: BaseException | None = None

    @property
    def succeeded(self) -> bool:
        """Whether the function returned a value that its bindings accept."""
        return self.error is None
