"""What the host knows of a function once it is loaded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

HTTP, EVENT_GRID, QUEUE, TIMER = "httpTrigger", "eventGridTrigger", "queueTrigger", "timerTrigger"


@dataclass(frozen=True, kw_only=True)
class Function:
    """One function of the app, ready to be called.

    `trigger`: the trigger binding as function.json would hold it, `%SETTING%` resolved.
    `as_text`: the trigger parameter is annotated `str` or `bytes`, so it gets the plain body of that type.
    """

    name: str
    call: Callable[..., Any]
    is_async: bool
    wants_context: bool
    parameter: str
    kind: str
    trigger: Mapping[str, Any]
    as_text: type[str | bytes] | None = None
    returns_http: bool = False


@dataclass(frozen=True)
class Outcome:
    """How an invocation ended: its value, or the error it failed with."""

    value: Any = None
    error: BaseException | None = None

    @property
    def succeeded(self) -> bool:
        """Whether the function returned something its bindings can take."""
        return self.error is None
