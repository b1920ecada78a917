"""A function around every call of a port: to fail it, to lose its answer, to count it, to let others in between."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import Callable

P = TypeVar("P")


class Around(Protocol):
    """Makes the call, or does not; returns what the caller is to see."""

    def __call__(self, name: str, call: Callable[[], Any], arguments: tuple[Any, ...], /) -> Any: ...


class _Watched:
    def __init__(self, port: Any, around: Around) -> None:
        self._port = port
        self._around = around

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._port, name)
        if not callable(method):
            return method

        def called(*arguments: Any, **named: Any) -> Any:
            return self._around(name, lambda: method(*arguments, **named), arguments)

        return called


def watched(port: P, around: Around) -> P:
    """`port` with `around` at each of its calls.

    A generator or a context manager (`pieces`, `open`) runs when it is used, after the call that `around` sees.
    """
    return cast("P", _Watched(port, around))
