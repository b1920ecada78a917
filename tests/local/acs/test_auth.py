"""Who is let in."""

from __future__ import annotations

import base64
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from tests.local.acs import raw

if TYPE_CHECKING:
    from local.acs import AcsEmulator
    from tests.local.acs.finished import Finished

TARGET = f"/calling/recordings/none{raw.VERSION}"


def get(acs: AcsEmulator, headers: dict[str, str], body: bytes | None = None) -> raw.Answer:
    return raw.send(acs, "GET", TARGET, {"Host": acs.config.resource_host} | headers, body)


def test_a_signed_request_passes(acs: AcsEmulator) -> None:
    """With either date header, by a clock a little off, and over another spelling of the same path."""
    for header in ("x-ms-date", "date"):
        headers = raw.signed(acs, "GET", TARGET, date_header=header, age=timedelta(minutes=14))
        assert get(acs, headers).status == 404
    sent, signed = (f"/calling/recordings/{name}{raw.VERSION}" for name in ("eyJ==", "eyJ%3D%3D"))
    host = {"Host": acs.config.resource_host}
    for one, other in ((sent, signed), (signed, sent)):
        assert raw.send(acs, "GET", one, host | raw.signed(acs, "GET", other)).status == 404


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


def test_a_request_not_signed_right_is_401_with_code_7509(acs: AcsEmulator) -> None:
    for name, headers in REFUSED.items():
        answer = get(acs, headers(acs))
        assert (answer.status, answer.code) == (401, "7509"), name
        assert "www-authenticate" in answer.headers
        assert acs.config.access_key not in answer.body.decode()


def test_a_bearer_token_is_checked(acs: AcsEmulator) -> None:
    """Its form, its audience and its expiry; 401 with code 7510."""
    for audience in ("https://communication.azure.com", "https://communication.azure.com/"):
        assert get(acs, {"Authorization": f"Bearer {raw.jwt(aud=audience)}"}).status == 404
    head, claims, _ = raw.jwt().split(".")
    for token in (
        "nonsense",
        "a.b.c",
        f"{head}.bm90IGpzb24.c2ln",
        f"{head}.WzFd.c2ln",
        f"{claims}.{claims}.c2ln",
        raw.jwt(aud="https://storage.azure.com"),
        raw.jwt(aud=None),
        raw.jwt(exp=int(time.time()) - 1),
        raw.jwt(exp="soon"),
    ):
        answer = get(acs, {"Authorization": f"Bearer {token}"})
        assert (answer.status, answer.code) == (401, "7510"), token
        assert token not in answer.body.decode()


def test_media_hosts_take_bearer_tokens(finished: Finished) -> None:
    headers = {"Host": "us-storage.asm.skype.com", "Authorization": f"Bearer {raw.jwt()}"}
    path = f"/v1/objects/{finished.chunk.document_id}/content/video"
    assert raw.send(finished.acs, "GET", path, headers).status == 200


def test_a_media_request_signed_for_the_media_host_itself_is_refused(finished: Finished) -> None:
    path = f"/v1/objects/{finished.chunk.document_id}/content/video"
    host = "us-storage.asm.skype.com"
    headers = {"Host": host} | raw.signed(finished.acs, "GET", path, host=host)
    assert raw.send(finished.acs, "GET", path, headers).status == 401
