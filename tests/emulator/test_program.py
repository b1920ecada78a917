"""`python -m local.acs` as a process of its own."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest

from local.acs.__main__ import config_from, parser

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def program() -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The process and its origin."""
    process = subprocess.Popen(
        [sys.executable, "-m", "local.acs", "--port", "0", "--seed", "5", "--clock-scale", "0"],
        env={**os.environ, "ACS_EMULATOR_LOOSE": "true"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    origin = ""
    for line in process.stdout:
        if found := re.search(r"emulator on (http://\S+)", line):
            origin = found.group(1)
        if line.strip() == "ready":
            break
    yield process, origin
    if process.poll() is None:
        process.kill()
    process.wait(10)
    process.stdout.close()


def test_it_serves_until_it_is_told_to_stop(program: tuple[subprocess.Popen[str], str]) -> None:
    process, origin = program
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"{origin}/_control/health", timeout=10) as answer:
        told: dict[str, Any] = json.load(answer)
    assert (told["status"], told["seed"], told["strict"]) == ("ok", 5, False)
    with opener.open(f"{origin}/_control/clock", timeout=10) as answer:
        assert json.load(answer)["scale"] == 0
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 0


def test_flags_win_over_the_environment() -> None:
    environment = {"ACS_EMULATOR_PORT": "1", "ACS_EMULATOR_LATENCY": "0.5", "ACS_EMULATOR_RETENTION_HOURS": "2"}
    config = config_from(parser(environment).parse_args(["--port", "2", "--event-delay", "0"]))
    assert config.port == 2
    assert config.latency.total_seconds() == 0.5
    assert config.retention.total_seconds() == 7200
    assert config.event_delay.total_seconds() == 0
    assert config.strict
