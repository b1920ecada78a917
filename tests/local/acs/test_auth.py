"""Who is let in."""

from __future__ import annotations

import base64
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from local.acs import AcsConfig, AcsEmulator
from tests.local.acs import raw

if TYPE_CHECKING:
    from tests.local.acs.finished import Finished

TARGET = f"/calling/recordings/none{raw.VERSION}"


def get(acs: AcsEmulator, headers: dict[str, str], body: bytes | None = None) -> raw.Answer:
    return raw.send(acs, "GET", TARGET, {"Host": acs.config.resource_host} | headers, body)


@pytest.mark.parametrize("header", ["x-ms-date", "date"])
def test_a_signed_request_passes_with_either_date_header(acs: AcsEmulator, header: str) -> None:
    assert get(acs, raw.signed(acs, "GET", TARGET, date_header=header)).status == 404


def test_the_signature_may_be_over_another_spelling_of_the_same_path(acs: AcsEmulator) -> None:
    sent, signed = (f"/calling/recordings/{name}{raw.VERSION}" for name in ("eyJ==", "eyJ%3D%3D"))
    host = {"Host": acs.config.resource_host}
    for one, other in ((sent, signed), (signed, sent)):
        assert raw.send(acs, "GET", one, host | raw.signed(acs, "GET", other)).status == 404


def test_a_clock_a_little_off_passes(acs: AcsEmulator) -> None:
    assert get(acs, raw.signed(acs, "GET", TARGET, age=timedelta(minutes=14))).status == 404


REFUSED: dict[str, Any] = {
    "nothing": lambda _: {},
    "another scheme": lambda _: {"Authorization": "Basic abc"},
    "no signature": lambda acs: raw.signed(acs, "GET", TARGET) | {"Authorization": "HMAC-SHA256 Signature="},
    "another key": lambda acs: raw.signed(acs, "GET", TARGET, key=base64.b64encode(b"other").decode()),
    "another path": lambda acs: raw.signed(acs, "GET", TARGET + "1"),
    "another verb": lambda acs: raw.signed(acs, "POST", TARGET),
    "another host": lambda acs: raw.signed(acs, "GET", TARGET, host="other.communication.azure.com"),
    "another host signed and sent": lambda acs: (
        raw.signed(acs, "GET", TARGET, host="other.communication.azure.com") | {"Host": "other.communication.azure.com"}
    ),
    "an old date": lambda acs: raw.signed(acs, "GET", TARGET, age=timedelta(minutes=16)),
    "a date to come": lambda acs: raw.signed(acs, "GET", TARGET, age=timedelta(minutes=-16)),
    "a date of another form": lambda acs: raw.signed(acs, "GET", TARGET) | {"x-ms-date": "2026-11-22T00:00:00Z"},
    "another body's hash": lambda acs: raw.signed(acs, "GET", TARGET, b"body"),
    "a hash changed after signing": lambda acs: raw.signed(acs, "GET", TARGET) | {"x-ms-content-sha256": "AAAA"},
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_request_not_signed_right_is_401_with_code_7509(acs: AcsEmulator, name: str) -> None:
    answer = get(acs, REFUSED[name](acs))
    assert (answer.status, answer.code) == (401, "7509"), answer.body
    assert "www-authenticate" in answer.headers
    assert acs.config.access_key not in answer.body.decode()


@pytest.mark.parametrize("audience", ["https://communication.azure.com", "https://communication.azure.com/"])
def test_a_bearer_token_of_the_right_audience_passes(acs: AcsEmulator, audience: str) -> None:
    assert get(acs, {"Authorization": f"Bearer {raw.jwt(aud=audience)}"}).status == 404


@pytest.mark.parametrize(
    "token",
    [
        "nonsense",
        "a.b.c",
        f"{raw.jwt().split('.')[0]}.bm90IGpzb24.c2ln",
        f"{raw.jwt().split('.')[0]}.WzFd.c2ln",
        f"{raw.jwt().split('.')[1]}.{raw.jwt().split('.')[1]}.c2ln",
        raw.jwt(aud="https://storage.azure.com"),
        raw.jwt(aud=None),
        raw.jwt(exp=int(time.time()) - 1),
        raw.jwt(exp="soon"),
    ],
)
def test_a_bad_bearer_token_is_401_with_code_7510(acs: AcsEmulator, token: str) -> None:
    answer = get(acs, {"Authorization": f"Bearer {token}"})
    assert (answer.status, answer.code) == (401, "7510")
    assert token not in answer.body.decode()


def test_media_hosts_take_bearer_tokens_unless_configured_not_to(finished: Finished) -> None:
    headers = {"Host": "us-storage.asm.skype.com", "Authorization": f"Bearer {raw.jwt()}"}
    path = f"/v1/objects/{finished.chunk.document_id}/content/video"
    assert raw.send(finished.acs, "GET", path, headers).status == 200
    with AcsEmulator(AcsConfig(media_bearer=False)) as refusing:
        assert raw.send(refusing, "GET", path, headers).status == 401


def test_a_media_request_signed_for_the_media_host_itself_is_refused(finished: Finished) -> None:
    path = f"/v1/objects/{finished.chunk.document_id}/content/video"
    host = "us-storage.asm.skype.com"
    headers = {"Host": host} | raw.signed(finished.acs, "GET", path, host=host)
    assert raw.send(finished.acs, "GET", path, headers).status == 401
