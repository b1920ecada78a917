"""Fuzzes the Event Grid function by real events with something changed: Hypothesis makes them of libFuzzer's bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from fuzz.driver import fuzz

if TYPE_CHECKING:
    from collections.abc import Callable


def load() -> Callable[[bytes], None]:
    """What takes one input."""
    from tests.security.test_fuzz import test_a_changed_event_harms_nothing  # noqa: PLC0415 - under atheris's eyes

    return cast("Callable[[bytes], None]", test_a_changed_event_harms_nothing.hypothesis.fuzz_one_input)  # type: ignore[attr-defined]  # put there by @given


if __name__ == "__main__":
    fuzz("changed", load)
