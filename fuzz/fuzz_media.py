"""Fuzzes what judges media: `python -m fuzz.fuzz_media -max_total_time=60` (all options are libFuzzer's)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fuzz.driver import fuzz

if TYPE_CHECKING:
    from collections.abc import Callable


def load() -> Callable[[bytes], None]:
    """What takes one input."""
    from tests.security.media_target import take_media  # noqa: PLC0415 - imported under atheris's eyes

    return take_media


if __name__ == "__main__":
    fuzz("media", load)
