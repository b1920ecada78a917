"""What the doctor finds over fakes: each line ok, warn or fail, and a fix with all that are not ok."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

import shared
from shared import app as app_module
from shared import http
from shared.domain import errors as e
from shared.ports import QueueDepth
from shared.settings import SettingsError
from tests.support.fakes import CONTAINER, World, settings, watched
from tests.unit.rig import Rig, claim, event, mp3


class Examined:
    """A world that has seen an event and a sweep."""

    def __init__(self, **changes: Any) -> None:
        self.world = World(settings(**changes))
        self.app = self.world.app()
        self.app.intake.handle(event())
        self.app.sweep.run()

    def lines(self, **ports: Any) -> dict[str, dict[str, str]]:
        app = self.world.app(**ports)
        report = app.doctor.examine()
        assert next(iter(report)) == "status", "scripts look for it at the start"
        worst = max(("ok", "warn", "fail").index(one["status"]) for one in report["checks"])
        assert report["status"] == ("ok", "warn", "fail")[worst]
        assert all(("fix" in one) == (one["status"] != "ok") for one in report["checks"])
        return {one["name"]: one for one in report["checks"]}


def failing(port: Any, method: str, error: Exception) -> Any:
    def around(name: str, call: Any, _arguments: Any) -> Any:
        if name == method:
            raise error
        return call()

    return watched(port, around)


def test_a_healthy_app_is_ok_in_every_line() -> None:
    lines = Examined().lines()
    assert {one["status"] for one in lines.values()} == {"ok"}
    assert {"settings", "app storage", "clock", "ledger", "acs", "fallback", "events", "sweep", "version"} < set(lines)
    assert sum(name.startswith("queue ") for name in lines) == 3
    assert f"container {CONTAINER}" in lines
    assert lines["version"]["message"].startswith(shared.__version__)
    assert "1 unfinished; 1 sampled agree" in lines["ledger"]["message"]


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (e.AcsUnauthorized(status=401), "fail"),
        (e.AcsForbidden(status=403), "fail"),
        (e.AcsUnavailable(), "fail"),
        (e.AcsThrottled(status=429), "warn"),
        (e.AcsInvalidArgument(status=400), "ok"),
        (e.RecordingNotFound(status=404), "ok"),
    ],
)
def test_acs_is_well_once_it_accepts_the_credential(error: e.AcsError, status: str) -> None:
    examined = Examined()
    lines = examined.lines(acs=failing(examined.world.acs, "recording_state", error))
    assert lines["acs"]["status"] == status
    if status != "ok":
        assert lines["acs"]["message"].startswith(error.code)


def test_a_container_that_refuses_fails_and_the_others_do_not() -> None:
    other = type(CONTAINER).parse(f"{CONTAINER.account_url}/other")
    examined = Examined(places=(CONTAINER, other))
    examined.world.containers.at(other).exists = False
    lines = examined.lines()
    assert lines[f"container {CONTAINER}"]["status"] == "ok"
    assert lines[f"container {other}"]["status"] == "fail"
    assert "make the container" in lines[f"container {other}"]["fix"]


def test_an_app_storage_that_is_away_fails_its_lines_only() -> None:
    examined = Examined()
    lines = examined.lines(ledger=failing(examined.world.ledger, "probe", e.StorageAccessDenied("no role")))
    assert lines["app storage"]["message"] == "storage_access_denied: no role"
    assert lines["acs"]["status"] == "ok"


@pytest.mark.parametrize(("skew", "status"), [(-1, "ok"), (20, "ok"), (60, "warn"), (-60, "warn"), (600, "fail")])
def test_a_clock_that_is_wrong_is_said(skew: int, status: str) -> None:
    examined = Examined()
    examined.world.ledger.time = examined.world.clock.now() + timedelta(seconds=skew)
    assert examined.lines()["clock"]["status"] == status


def test_queues_that_are_missing_or_hold_poison_are_said() -> None:
    examined = Examined()
    depths = [QueueDepth("a", None, 0), QueueDepth("b", 4, 2), QueueDepth("c", 0, 0)]

    def around(name: str, call: Any, _arguments: Any) -> Any:
        return depths if name == "depths" else call()

    lines = examined.lines(queue=watched(examined.world.queue, around))
    assert [lines[f"queue {name}"]["status"] for name in "abc"] == ["warn", "warn", "ok"]


def test_a_document_that_says_other_than_its_metadata_is_named() -> None:
    examined = Examined()
    [(key, (data, etag, entry))] = examined.world.ledger.open.items()
    examined.world.ledger.open[key] = (data, etag, replace(entry, state="safe"))
    ledger = examined.lines()["ledger"]
    assert (ledger["status"], key in ledger["message"]) == ("warn", True)


def test_overdue_and_unreadable_documents_are_said() -> None:
    examined = Examined()
    examined.world.clock.advance(timedelta(hours=1))
    examined.world.ledger.put_entry("quarantine/open/abc.json", {})
    report = examined.world.app().doctor.examine()
    found = [(one["status"], one["message"]) for one in report["checks"] if one["name"] == "ledger"]
    assert found == [
        ("fail", "1 documents cannot be read: abc"),
        ("warn", "1 recordings are overdue by more than 15 minutes"),
    ]


def test_events_and_sweeps_that_never_came_or_stopped_are_said() -> None:
    fresh = World()
    lines = {one["name"]: one["status"] for one in fresh.app().doctor.examine()["checks"]}
    assert (lines["events"], lines["sweep"]) == ("warn", "warn")
    examined = Examined()
    examined.world.clock.advance(timedelta(minutes=20))
    assert examined.lines()["sweep"]["status"] == "fail"


@pytest.mark.parametrize(("is_exported", "count", "status"), [(True, 1, "ok"), (False, 2, "ok"), (False, 3, "warn")])
def test_a_container_that_acs_never_writes_to_looks_like_a_missing_role(
    *, is_exported: bool, count: int, status: str
) -> None:
    """ACS's own role cannot be read by the app: what ACS wrote shows it."""
    rig = Rig()
    for number in range(count):
        document = f"doc-{number}"
        if is_exported:
            name = f"20261122/call-{number}/r-{number}-acs/0-audiomp3.{document}.mp3"
            rig.destination.put(name, mp3(), content_type="audio/mpeg", overwrite=False)
            beside = name.replace("audiomp3", "acsmetadata").replace(".mp3", ".json")
            rig.destination.put(beside, b"{}", content_type="application/json", overwrite=False)
            one = claim(document, contentLocation=CONTAINER.blob_url(name))
        else:
            rig.put_media(document)
            one = claim(document)
        rig.receive(event(one, subject=f"/recording/call/call-{number}/serverCallId/s-{number}/recordingId/r-{number}"))
        rig.run(until=timedelta(hours=1))
    lines = {one["name"]: one for one in rig.app().doctor.examine()["checks"]}
    exports = lines[f"exports to {CONTAINER}"]
    assert exports["status"] == status, lines
    assert f"{count if is_exported else 0} of the newest {count}" in exports["message"]


def test_switches_that_take_protection_away_are_said() -> None:
    report = World(settings(preflight="off")).app().doctor.examine()
    assert [one["status"] for one in report["checks"] if one["name"] == "settings"] == ["ok", "warn"]


def test_a_check_that_breaks_takes_no_other_away() -> None:
    examined = Examined()
    lines = examined.lines(queue=failing(examined.world.queue, "depths", KeyError("SECRET")))
    assert lines["queues"]["status"] == "fail"
    assert "SECRET" not in json.dumps(lines)


def test_settings_that_cannot_be_used_are_all_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The doctor answers even then: 200, and what to mend."""

    def unusable() -> None:
        raise SettingsError(["ACS_ENDPOINT: must be set", "PREFLIGHT: must be one of warn, enforce, off"])

    monkeypatch.setattr(http, "the_app", unusable)
    given = http.doctor()
    report = json.loads(given.body)
    assert (given.status, report["status"]) == (200, "fail")
    assert [one["message"][:12] for one in report["checks"][:2]] == ["ACS_ENDPOINT", "PREFLIGHT: m"]


def test_the_answer_is_the_report() -> None:
    app_module._built[:] = [Examined().app]
    try:
        given = http.doctor()
    finally:
        app_module._built.clear()
    assert (given.status, json.loads(given.body)["status"]) == (200, "ok")
