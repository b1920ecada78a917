"""Fuzzes `POST /api/recordings`: `python -m fuzz.fuzz_start -max_total_time=60` (all options are libFuzzer's)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fuzz.driver import fuzz
from fuzz.inputs import request_of

if TYPE_CHECKING:
    from collections.abc import Callable


def load() -> Callable[[bytes], None]:
    """What takes one input."""
    from tests.security.targets import take_start  # noqa: PLC0415 - imported under atheris's eyes

    def one(data: bytes) -> None:
        body, headers = request_of(data)
        take_start(body, headers)

    return one


if __name__ == "__main__":
    fuzz("start", load)
