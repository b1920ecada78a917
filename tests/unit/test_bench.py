"""The measurements run: each in its quick form, which brings real bytes by the real SDKs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.mark.parametrize("bench", ["rescue", "window"])
def test_a_bench_runs_in_its_quick_form(bench: str) -> None:
    """It checks by itself that every byte came; nothing is published."""
    ran = subprocess.run(
        [sys.executable, "-m", f"bench.{bench}", "--quick"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr[-3000:]
    assert ("MB over idle" if bench == "rescue" else "| 12 h |") in ran.stdout
