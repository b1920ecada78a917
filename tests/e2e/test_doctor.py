"""`make doctor` on a healthy set-up and on broken ones, over real processes: lines, fixes, exit codes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from local.services import CONTAINER, ROOT
from local.stack import Stack
from tests.e2e.conftest import QUICK
from tests.e2e.support import ARCHIVE, World, plan
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def patient() -> Iterator[World]:
    """A stack of its own: each test breaks it in another way and mends it."""
    with Stack(settings=QUICK, containers=(CONTAINER, ARCHIVE), seed=3) as stack:
        world = World(stack)
        yield world
        world.blobs.close()


def _doctor(world: World, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "APP": world.stack.host_url, "NO_COLOR": "1", **environment}
    command = [sys.executable, "scripts/doctor.py", *arguments]
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=120, check=False)


def _lines(world: World) -> tuple[int, dict[str, dict[str, Any]]]:
    done = _doctor(world, "--json")
    assert done.stdout, done.stderr
    report = json.loads(done.stdout)
    return done.returncode, {check["name"]: check for check in report["checks"]}


def _not_ok(lines: dict[str, dict[str, Any]]) -> dict[str, str]:
    return {name: check["status"] for name, check in lines.items() if check["status"] != "ok"}


def _broken(world: World, **settings: str) -> tuple[int, dict[str, dict[str, Any]]]:
    """What the doctor says of the app with these settings; the old ones are put back."""
    before = dict(world.stack.settings)
    world.stack.settings.update(settings)
    try:
        world.stack.restart_host()
        return _lines(world)
    finally:
        world.stack.settings = before
        world.stack.restart_host()


def test_a_set_up_that_works_is_well_in_every_line(patient: World) -> None:
    patient.start().end(plan(5_000)).whole()
    assert patient.sweep() == 202
    eventually(lambda: patient.logged("sweep.done"))
    code, lines = _lines(patient)
    assert _not_ok(lines) == {}
    assert code == 0
    assert {f"container {patient.url(name)}" for name in (CONTAINER, ARCHIVE)} < set(lines)
    printed = _doctor(patient)
    assert printed.returncode == 0
    assert len(printed.stdout.splitlines()) == len(lines)
    assert all(line.startswith("ok   ") for line in printed.stdout.splitlines())


def test_a_container_that_is_gone(patient: World) -> None:
    patient.blobs.delete_container(ARCHIVE)
    try:
        code, lines = _lines(patient)
        printed = _doctor(patient).stdout
    finally:
        patient.blobs.create_container(ARCHIVE)
    assert (code, _not_ok(lines)) == (2, {f"container {patient.url(ARCHIVE)}": "fail"})
    assert "container_missing" in lines[f"container {patient.url(ARCHIVE)}"]["message"]
    assert "→ make the container" in printed


def test_a_key_that_acs_does_not_accept(patient: World) -> None:
    wrong = patient.stack.settings["ACS_CONNECTION_STRING"].partition("accesskey=")[0] + "accesskey=d3Jvbmc="
    code, lines = _broken(patient, ACS_CONNECTION_STRING=wrong)
    assert (code, _not_ok(lines)["acs"]) == (2, "fail")
    assert lines["acs"]["message"].startswith("acs_unauthorized")
    assert "ACS_CONNECTION_STRING" in lines["acs"]["fix"]


def test_acs_is_away(patient: World) -> None:
    fault = patient.stack.acs.add_fault(kind="status", status=503, operation="get")
    try:
        code, lines = _lines(patient)
    finally:
        patient.stack.acs.faults.remove(fault.fault_id)
    assert (code, _not_ok(lines)) == (2, {"acs": "fail"})
    assert lines["acs"]["message"].startswith("acs_unavailable")


def test_settings_that_cannot_be_used(patient: World) -> None:
    """The app starts nothing with them, and its doctor answers all the same: every fault at once."""
    code, lines = _broken(patient, PREFLIGHT="perhaps", RESCUE_BLOCK_MIB="0", RECORDING_CONTAINER_URL="")
    assert code == 2
    assert set(lines) == {"settings", "version"}
    assert lines["settings"]["status"] == "fail"


def test_an_event_subscription_and_a_sweep_that_never_came() -> None:
    """A fresh app with nothing delivered: warnings, and what to do."""
    with Stack(settings=QUICK, seed=4) as stack:
        world = World(stack)
        code, lines = _lines(world)
        world.blobs.close()
    assert (code, _not_ok(lines)) == (1, {"events": "warn", "sweep": "warn"})
    assert "subscribe" in lines["events"]["fix"]


def test_a_container_that_does_not_let_the_app_in(patient: World) -> None:
    """A wrong key for the recordings' account."""
    given = patient.stack.settings["RECORDING_STORAGE_CONNECTION_STRING"]
    key = next(part for part in given.split(";") if part.startswith("AccountKey="))
    wrong = given.replace(key, "AccountKey=d3Jvbmcgd3Jvbmcgd3Jvbmc=")
    code, lines = _broken(patient, RECORDING_STORAGE_CONNECTION_STRING=wrong)
    assert code == 2
    refused = lines[f"container {patient.url(CONTAINER)}"]
    # Azurite says AuthorizationFailure, which Azure says of a closed network.
    assert (refused["status"], refused["message"].partition(":")[0]) == ("fail", "storage_network_denied")
    assert "key" in refused["fix"]


def test_an_app_that_is_not_there_or_something_else(patient: World) -> None:
    away = _doctor(patient, APP="http://127.0.0.1:9")
    assert (away.returncode, "is it running?" in away.stderr) == (3, True)
    other = _doctor(patient, APP=patient.stack.acs.origin)
    assert (other.returncode, "is it this app?" in other.stderr) == (3, True)
    assert _doctor(patient, APP="nowhere").returncode == 3
