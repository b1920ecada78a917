"""Waiting with a bound for what other threads and processes do."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


def eventually(probe: Callable[[], T | None], *, seconds: float = 25.0, what: str = "the expected") -> T:
    """The first truthy value of `probe`; fails after `seconds`."""
    until = time.monotonic() + seconds
    while not (found := probe()):
        assert time.monotonic() < until, f"{what} did not happen within {seconds} s"
        time.sleep(0.02)
    return found
