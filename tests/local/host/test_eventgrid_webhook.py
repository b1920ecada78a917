"""The Event Grid webhook responds as the extension of the real host does."""

from __future__ import annotations

import json
import textwrap
from typing import TYPE_CHECKING

import pytest

from local.host import Host
from tests.local.host.support import call, notify

if TYPE_CHECKING:
    from collections.abc import Iterator


CODE = """
    @app.event_grid_trigger(arg_name="event")
    def as_text(event: str):
        logging.info("got %s", event)
        if "bad" in event:
            raise ValueError("bad event")

    @app.event_grid_trigger(arg_name="event")
    def returns(event: str):
        return "something"

    @app.route(route="other")
    def other(req: func.HttpRequest) -> func.HttpResponse: ...
"""
HOOK = "/runtime/webhooks/EventGrid?functionName="


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    folder = tmp_path_factory.mktemp("app")
    head = "import logging\nimport azure.functions as func\napp = func.FunctionApp()\n"
    (folder / "function_app.py").write_text(head + textwrap.dedent(CODE), encoding="utf-8")
    (folder / "host.json").write_text('{"version": "2.0"}', encoding="utf-8")
    with Host(folder) as running:
        yield running


def _got(host: Host) -> list[str]:
    return [line.split("INF got ", 1)[1].strip() for line in host.lines if "INF got " in line]


def test_each_event_arrives_as_its_json(host: Host) -> None:
    """An array of the Event Grid schema, or a single CloudEvent."""
    host.lines.clear()
    assert notify(host.url, "as_text", [{"id": "1", "data": {"ä": 1}}, {"id": "2"}]).status == 202
    assert sorted(_got(host)) == ['{"id": "1", "data": {"ä": 1}}', '{"id": "2"}']
    host.lines.clear()
    assert notify(host.url, "as_text", {"specversion": "1.0", "id": "3"}).status == 202
    assert _got(host) == ['{"specversion": "1.0", "id": "3"}']


def test_one_failure_in_an_array_is_500(host: Host) -> None:
    """So is a function that returns something."""
    assert notify(host.url, "as_text", [{"id": "5"}, {"id": "bad"}]).status == 500
    assert notify(host.url, "returns", [{"id": "6"}]).status == 500
    assert "without a $return binding returned a non-None value" in "".join(host.lines)


def test_an_unknown_function_is_404(host: Host) -> None:
    """Names are case-sensitive."""
    for name in ("missing", "other", "", "AS_TEXT"):
        answer = notify(host.url, name, [{}])
        assert (answer.status, answer.body.decode()) == (404, f"cannot find function: '{name}'")


def test_the_query_key_is_not_case_sensitive(host: Host) -> None:
    hook = HOOK.replace("functionName", "FUNCTIONNAME") + "as_text"
    headers = {"aeg-event-type": "Notification"}
    assert call(host.url, hook, method="POST", body=b'[{"id": "7"}]', headers=headers).status == 202


def test_the_handshake_echoes_the_code_as_plain_text(host: Host) -> None:
    """JSON in the body; a CloudEvent's data is a string of JSON."""
    events = [{"id": "v", "data": {"validationCode": "512d38b6", "validationUrl": "https://x"}}]
    answer = notify(host.url, "as_text", events, kind="SubscriptionValidation")
    assert (answer.status, answer.json()) == (200, {"validationResponse": "512d38b6"})
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    cloud = {"id": "v", "data": json.dumps({"validationCode": "7"})}
    assert notify(host.url, "as_text", cloud, kind="SubscriptionValidation").json() == {"validationResponse": "7"}


def test_the_cloud_events_handshake_allows_event_grid_only(host: Host) -> None:
    """The origins of Azure's clouds are echoed; any other, or none, gets the public cloud's."""
    for origin, allowed in (
        ("eventgrid.azure.net", "eventgrid.azure.net"),
        ("eventgrid.azure.us", "eventgrid.azure.us"),
        ("elsewhere.example", "eventgrid.azure.net"),
        (None, "eventgrid.azure.net"),
    ):
        headers = {"WebHook-Request-Origin": origin} if origin else {}
        answer = call(host.url, HOOK + "as_text", method="OPTIONS", headers=headers)
        assert (answer.status, answer.headers["webhook-allowed-origin"]) == (200, allowed)


def test_other_requests(host: Host) -> None:
    """The header decides, not the method."""
    for method, kind, content, status in (
        ("GET", "", b"", 400),
        ("POST", "Unsubscribe", b"", 202),
        ("POST", "", b"[]", 400),
        ("POST", "Other", b"[]", 400),
        ("POST", "Notification", b"not json", 500),
    ):
        headers = {"aeg-event-type": kind} if kind else {}
        assert call(host.url, HOOK + "as_text", method=method, body=content, headers=headers).status == status
