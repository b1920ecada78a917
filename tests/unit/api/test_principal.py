"""Who asks is what the host says, and no word of the caller's own."""

from __future__ import annotations

import base64
import json

import pytest

from shared.api.principal import caller

OBJECT = "00000000-0000-0000-0000-00000000abcd"
OBJECT_ID = "http://schemas.microsoft.com/identity/claims/objectidentifier"
KEY_ID = "http://schemas.microsoft.com/2017/07/functions/claims/keyid"


def principal(**claims: str) -> dict[str, str]:
    listed = [{"typ": kind, "val": value} for kind, value in claims.items()]
    text = json.dumps({"auth_typ": "aad", "claims": listed})
    return {"x-ms-client-principal": base64.b64encode(text.encode()).decode()}


@pytest.fixture
def _sign_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEBSITE_AUTH_ENABLED", "True")


@pytest.mark.usefixtures("_sign_in")
@pytest.mark.parametrize(
    ("headers", "name"),
    [
        (principal(**{OBJECT_ID: OBJECT, "name": "A Person", "appid": "app"}), f"entra:{OBJECT}"),
        (principal(oid=OBJECT), f"entra:{OBJECT}"),
        (principal(appid=OBJECT), f"entra:{OBJECT}"),
        (principal(**{KEY_ID: "night-shift"}), "key:night-shift"),
        ({"x-ms-client-principal-id": OBJECT}, f"entra:{OBJECT}"),
        ({}, "api"),
    ],
)
def test_a_caller_is_named_by_what_the_host_says(headers: dict[str, str], name: str) -> None:
    assert caller(headers) == name


@pytest.mark.usefixtures("_sign_in")
@pytest.mark.parametrize(
    "headers",
    [
        principal(oid="person@contoso.example"),
        principal(oid="x\r\ny"),
        principal(oid="x" * 101),
        {"x-ms-client-principal": "%%%"},
        {"x-ms-client-principal": base64.b64encode(b"[]").decode()},
        {"x-ms-client-principal": base64.b64encode(b'{"claims": [1]}').decode()},
        {"x-ms-client-principal": base64.b64encode(b"[" * 9000).decode()},
        {"x-ms-client-principal": "A" * 20_000},
    ],
)
def test_no_address_and_nothing_unreadable_gets_into_a_timeline(headers: dict[str, str]) -> None:
    assert caller(headers) == "api"


def test_without_a_sign_in_in_front_the_header_is_a_claim_of_the_callers_own() -> None:
    """App Service takes the header away only where its authentication is on."""
    assert caller(principal(oid=OBJECT) | {"x-ms-client-principal-id": OBJECT}) == "api"
