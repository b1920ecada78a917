"""The transport's session takes proxies and CAs from the environment as requests does, and asks it once a host."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from shared.adapters.transport import pooled_session

GIVEN: tuple[Any, ...] = ({}, False, True, None)


@pytest.mark.parametrize("url", ["https://eu-api.asm.skype.com/v1/a", "https://inside.example/b?c=d"])
def test_it_finds_what_requests_would_find(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Proxy, exceptions from it, and the bundle of authorities."""
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:3128")
    monkeypatch.setenv("NO_PROXY", "inside.example")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/ca.pem")
    with pooled_session(1, read_bytes=1024) as ours, requests.Session() as theirs:
        for _ in range(2):
            assert ours.merge_environment_settings(url, *GIVEN) == theirs.merge_environment_settings(url, *GIVEN)


def test_a_host_is_looked_up_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A change of the environment is not seen by a process that runs: so it is in Azure, too."""
    with pooled_session(1, read_bytes=1024) as session:
        first = session.merge_environment_settings("https://eu-api.asm.skype.com/v1/a", *GIVEN)
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/ca.pem")
        assert session.merge_environment_settings("https://eu-api.asm.skype.com/v1/b", *GIVEN) == first
        assert session.merge_environment_settings("https://us-api.asm.skype.com/v1/b", *GIVEN)["verify"] == "/ca.pem"
