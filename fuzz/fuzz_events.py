"""Fuzzes the Event Grid function: `python -m fuzz.fuzz_events -max_total_time=60` (all options are libFuzzer's)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fuzz.driver import fuzz
from fuzz.inputs import event_of

if TYPE_CHECKING:
    from collections.abc import Callable


def load() -> Callable[[bytes], None]:
    """What takes one input."""
    from tests.security.targets import take_event  # noqa: PLC0415 - imported under atheris's eyes

    def one(data: bytes) -> None:
        take_event(event_of(data))

    return one


if __name__ == "__main__":
    fuzz("events", load)
