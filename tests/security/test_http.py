"""What a holder of the function key could try at `POST /api/recordings`, and at a replay."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from shared import handlers
from tests.security.hostile import RECORDING_ID, Watchtower, event, serving
from tests.security.targets import check_answer, take_start
from tests.support.fakes import ACCOUNT

CALL = "the-call"


def _start(
    tower: Watchtower, headers: dict[str, str] | None = None, **body: Any
) -> tuple[int, dict[str, Any], dict[str, str]]:
    tower.world.acs.calls.add(CALL)
    with serving(tower.app):
        given = handlers.start_recording(json.dumps({"serverCallId": CALL, **body}).encode(), headers or {})
    check_answer(given, success=201)
    return given.status, json.loads(given.body), given.headers


@pytest.mark.parametrize(
    "url",
    [
        "https://stranger.blob.core.windows.net/recordings",
        "https://customer.blob.core.windows.net.evil.example/archive",
        "https://customer.blob.core.windows.net@evil.example/archive",
        "https://evil.example\\@customer.blob.core.windows.net/archive",
        f"{ACCOUNT}/payroll",
        f"{ACCOUNT}/recordings",
        f"{ACCOUNT}/recordings/team-b",
        f"{ACCOUNT}/recordings/team-abc",
        f"{ACCOUNT}/recordings/team-a/../team-b",
        f"{ACCOUNT}/archive/%2e%2e/payroll",
        f"{ACCOUNT}/archive%2f..%2fpayroll",
        f"{ACCOUNT}/archive?sv=2025&sig=x",
        f"{ACCOUNT}/archive#x",
        f"{ACCOUNT}:444/archive",
        "http://customer.blob.core.windows.net/archive",
        "http://169.254.169.254/latest/meta-data",
        "http://127.0.0.1:10000/devstoreaccount1/recordings",
        "file:///etc/passwd",
        f"{ACCOUNT}/archive\r\nx-ms-evil: 1",
        f"{ACCOUNT}/\uff41rchive",
    ],
)
def test_a_recording_goes_to_no_container_off_the_list(url: str) -> None:
    tower = Watchtower()
    status, problem, _ = _start(tower, containerUrl=url)
    assert status == 400
    assert problem["errors"][0]["field"] == "containerUrl"
    assert tower.world.acs.containers == {}


def test_a_container_on_the_list_in_other_letters_is_the_same_account() -> None:
    tower = Watchtower()
    status, started, _ = _start(tower, containerUrl="https://CUSTOMER.blob.core.windows.net/archive")
    assert (status, started["containerUrl"]) == (201, f"{ACCOUNT}/archive")


@pytest.mark.parametrize("key", ["a\r\nX-Injected: 1", "a\nb", "a b", "\0", "\u00e9", "x" * 256, "", " "])
def test_an_idempotency_key_is_one_short_line_of_ascii_or_refused(key: str) -> None:
    status, problem, _ = _start(Watchtower(), {"idempotency-key": key})
    assert (status, problem["errors"][0]["field"]) == (400, "Idempotency-Key")


def test_what_acs_answers_cannot_inject_a_header() -> None:
    """The Location header is made of a hash, not of the recording id."""
    status, started, headers = _start(Watchtower(), {"idempotency-key": "k1"})
    assert status == 201
    assert re.fullmatch(r"[0-9a-f]{32}", started["key"])
    assert headers == {"Location": f"/api/recordings/{started['key']}"}


@pytest.mark.parametrize(
    "url",
    [
        "http://example.org/callback",
        "https://user:secret@example.org/",
        "https://",
        "ftp://example.org",
        "//example.org",
        "https://example.org/\r\nX: y",
        "https://[bad",
        "javascript:alert(1)",
    ],
)
def test_a_callback_is_plain_https_or_refused(url: str) -> None:
    status, problem, _ = _start(Watchtower(), recordingStateCallbackUrl=url)
    assert (status, problem["errors"][0]["field"]) == (400, "recordingStateCallbackUrl")


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{" + b'"a":[' * 50_000, 413),
        (b"[" * 60_000, 400),
        (b'{"a":' * 10_000, 400),
        (b" " * 70_000, 413),
        (b'{"serverCallId": ' + b"9" * 60_000 + b"}", 400),
        (b"", 400),
        (b"\x00", 400),
        (b"\xff\xfe\x00", 400),
        (b"null", 400),
        (b'{"serverCallId": "\\ud800"}', 400),
        (b'{"\\ud800\\u0000": "x"}', 400),
        (json.dumps({str(i): 1 for i in range(5000)}).encode(), 400),
    ],
    ids=range(12),
)
def test_a_body_too_large_too_deep_or_not_json_is_the_callers_fault(body: bytes, status: int) -> None:
    assert take_start(body, {}).status == status


def test_another_content_type_than_json_is_refused_so_that_no_form_of_a_web_page_can_start() -> None:
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
        assert take_start(b'{"serverCallId": "x"}', {"content-type": kind}).status == 415


def test_a_recording_that_is_replayed_again_and_again_is_rescued_once() -> None:
    """Each replay voids the message of the one before; and what is finished stays finished."""
    tower = Watchtower()
    tower.has_at_acs()
    tower.hears(event())
    with serving(tower.app):
        answers = [handlers.replay_recording(RECORDING_ID, {}) for _ in range(30)]
    tower.works(messages=100)
    tower.check()
    assert {given.status for given in answers} == {202}
    assert len(tower.asked) == 2  # the media, in one range, and its metadata
    before = tower.documents()
    with serving(tower.app):
        assert handlers.replay_recording(RECORDING_ID, {}).status == 200
    assert (tower.documents(), tower.world.queue.waiting) == (before, [])
