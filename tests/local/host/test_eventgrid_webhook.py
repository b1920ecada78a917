"""The Event Grid webhook answers as the extension of the real host does."""

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
    def as_event(event: func.EventGridEvent):
        logging.info("got %s %s %s", event.id, event.event_type, event.get_json())

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


def test_each_event_of_an_array_comes_as_its_json(host: Host) -> None:
    host.lines.clear()
    assert notify(host.url, "as_text", [{"id": "1", "data": {"ä": 1}}, {"id": "2"}]).status == 202
    assert sorted(_got(host)) == ['{"id": "1", "data": {"ä": 1}}', '{"id": "2"}']


def test_a_single_cloud_event_comes_as_its_json(host: Host) -> None:
    host.lines.clear()
    assert notify(host.url, "AS_TEXT", {"specversion": "1.0", "id": "3"}).status == 202
    assert _got(host) == ['{"specversion": "1.0", "id": "3"}']


def test_the_typed_event_has_what_the_event_grid_schema_has(host: Host) -> None:
    host.lines.clear()
    event = {"id": "4", "eventType": "T", "data": {"a": 1}, "eventTime": "2026-01-01T00:00:00.1234567Z"}
    assert notify(host.url, "as_event", [event]).status == 202
    assert _got(host) == ["4 T {'a': 1}"]


def test_one_failure_of_an_array_is_500(host: Host) -> None:
    assert notify(host.url, "as_text", [{"id": "5"}, {"id": "bad"}]).status == 500


def test_a_function_that_returns_something_fails(host: Host) -> None:
    assert notify(host.url, "returns", [{"id": "6"}]).status == 500
    assert "without a $return binding returned a non-None value" in "".join(host.lines)


@pytest.mark.parametrize("name", ["missing", "other", ""])
def test_a_function_that_is_not_there_is_404(host: Host, name: str) -> None:
    answer = notify(host.url, name, [{}])
    assert (answer.status, answer.body.decode()) == (404, f"cannot find function: '{name}'")


def test_the_handshake_echoes_the_code(host: Host) -> None:
    events = [{"id": "v", "data": {"validationCode": "512d38b6", "validationUrl": "https://x"}}]
    answer = notify(host.url, "as_text", events, kind="SubscriptionValidation")
    assert (answer.status, answer.json()) == (200, {"validationResponse": "512d38b6"})
    cloud = {"id": "v", "data": json.dumps({"validationCode": "7"})}
    assert notify(host.url, "as_text", cloud, kind="SubscriptionValidation").json() == {"validationResponse": "7"}


def test_the_cloud_events_handshake_allows_the_origin(host: Host) -> None:
    answer = call(
        host.url, HOOK + "as_text", method="OPTIONS", headers={"WebHook-Request-Origin": "eventgrid.azure.net"}
    )
    assert (answer.status, answer.headers["webhook-allowed-origin"]) == (200, "eventgrid.azure.net")


@pytest.mark.parametrize(
    ("kind", "content", "status"),
    [("Unsubscribe", b"", 202), ("", b"[]", 400), ("Other", b"[]", 400), ("Notification", b"not json", 500)],
)
def test_other_requests(host: Host, kind: str, content: bytes, status: int) -> None:
    headers = {"aeg-event-type": kind} if kind else {}
    assert call(host.url, HOOK + "as_text", method="POST", body=content, headers=headers).status == status


def test_an_event_function_can_be_run_by_hand(host: Host) -> None:
    body = json.dumps({"input": '{"id": "hand"}'}).encode()
    assert call(host.url, "/admin/functions/as_text", method="POST", body=body).status == 202
