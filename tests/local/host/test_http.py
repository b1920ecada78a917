"""HTTP functions have func's URLs and status codes."""

from __future__ import annotations

import http.client
import json
import os
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from local.host import Host
from tests.local.host.support import call

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.local.host.conftest import AppMaker

CODE = """
    @app.route(route="echo/{id}", methods=["GET", "POST"])
    def echo(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
        seen = {"method": req.method, "url": req.url, "headers": list(req.headers), "params": dict(req.params),
                "route": dict(req.route_params), "body": req.get_body().decode(), "name": context.function_name,
                "id": context.invocation_id, "thread": threading.current_thread().name}
        return func.HttpResponse(json.dumps(seen), status_code=201, mimetype="application/json",
                                 headers={"X-One": "1", "Location": "/there"})

    @app.route(route="async")
    async def waits(req: func.HttpRequest) -> func.HttpResponse:
        await asyncio.sleep(0)
        logging.info("in async")
        return func.HttpResponse("done")

    @app.route(route="mine/{id}")
    def one(req: func.HttpRequest) -> func.HttpResponse:
        return func.HttpResponse("one")

    @app.route(route="mine/all", methods=["GET"])
    def all_of_them(req: func.HttpRequest) -> func.HttpResponse:
        return func.HttpResponse("all")

    @app.route(route="raises")
    def raises(req: func.HttpRequest) -> func.HttpResponse:
        try:
            1 / 0
        except ZeroDivisionError as error:
            raise RuntimeError("last") from error

    @app.route(route="nothing")
    def nothing(req: func.HttpRequest) -> func.HttpResponse:
        return None

    @app.route(route="dictionary")
    def dictionary(req: func.HttpRequest):
        return {"a": 1}

    @app.route(route="text")
    def text(req: func.HttpRequest) -> str:
        return "plain"

    @app.route(route="logs")
    def logs(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
        logging.getLogger("mine").warning('{"event":"kept"}')
        logging.debug("too low")
        logging.getLogger("azure.functions.x").error("hidden")
        thread = threading.Thread(target=lambda: logging.info("from a thread"))
        thread.start()
        thread.join()
        def log_it():
            context.thread_local_storage.invocation_id = context.invocation_id
            logging.info("from a known thread")
        thread = threading.Thread(target=log_it)
        thread.start()
        thread.join()
        return func.HttpResponse("")

    @app.function_name("renamed")
    @app.route()
    def original(req: func.HttpRequest) -> func.HttpResponse:
        return func.HttpResponse(os.environ["COLOUR"] + os.environ["SHAPE"])
"""


@pytest.fixture
def host(make_app: AppMaker) -> Iterator[Host]:
    os.environ["SHAPE"] = "round"
    try:
        with Host(make_app(CODE, settings={"COLOUR": "red", "SHAPE": "square"})) as running:
            yield running
    finally:
        del os.environ["SHAPE"]


def test_a_request_reaches_the_function_as_in_the_real_host(host: Host) -> None:
    answer = call(
        host.url, "/API/Echo/a%20b?x=1&x=2&empty=&y=z", method="POST", body=b"hi", headers={"X-Mixed-Case": "v"}
    )
    assert answer.status == 201
    assert answer.headers["content-type"] == "application/json"
    assert (answer.headers["x-one"], answer.headers["location"]) == ("1", "/there")
    seen = answer.json()
    assert seen["method"] == "POST"
    assert seen["route"] == {"id": "a b"}
    assert seen["params"] == {"x": "1,2", "y": "z"}, "repeated values are joined, empty ones dropped"
    assert seen["body"] == "hi"
    assert "x-mixed-case" in seen["headers"]
    assert seen["url"].startswith(f"{host.url}/API/Echo/")
    assert seen["name"] == "echo"
    assert seen["thread"].startswith("function"), "sync functions run in a pool"


def test_a_chunked_body_without_a_length_arrives_empty(host: Host) -> None:
    connection = http.client.HTTPConnection(urlsplit(host.url).netloc, timeout=20)
    connection.request("POST", "/api/echo/x", body=iter([b"lost"]), encode_chunked=True)
    assert json.loads(connection.getresponse().read())["body"] == ""
    connection.close()


def test_the_status_is_that_of_the_real_host(host: Host) -> None:
    for method, path, status in (
        ("GET", "/api/echo/x", 201),
        ("GET", "/api/echo/x/", 201),
        ("GET", "/api/echo/", 404),
        ("DELETE", "/api/echo/x", 404),
        ("GET", "/echo/x", 404),
        ("GET", "/api/nowhere", 404),
        ("GET", "/api/async", 200),
        ("GET", "/api/text", 200),
        ("GET", "/api/raises", 500),
        ("GET", "/api/nothing", 500),
        ("GET", "/api/dictionary", 500),
        ("GET", "/", 200),
    ):
        answer = call(host.url, path, method=method)
        assert answer.status == status, path
        assert status != 500 or answer.body == b""


def test_a_literal_route_is_preferred_if_it_takes_the_method(host: Host) -> None:
    assert call(host.url, "/api/mine/all").body == b"all"
    assert call(host.url, "/api/mine/all", method="POST").body == b"one"
    assert call(host.url, "/api/mine/x").body == b"one"


def test_without_a_route_the_name_is_the_route_and_settings_are_environment(host: Host) -> None:
    assert call(host.url, "/api/renamed").body == b"redround", "the environment wins over the settings file"


def test_only_the_last_exception_is_logged(host: Host) -> None:
    call(host.url, "/api/raises")
    text = "".join(host.lines)
    assert "Exception: RuntimeError: last" in text
    assert "ZeroDivisionError" not in text
    assert "local/host" not in text, "the stack begins in the app"


def test_level_and_text_are_kept_and_lines_outside_an_invocation_marked(host: Host) -> None:
    call(host.url, "/api/logs")
    lines = [line for line in host.lines if "Functions." not in line]
    assert [line for line in lines if line.endswith('WRN {"event":"kept"}\n')]
    assert [line for line in lines if "INF (outside an invocation: lost in Azure) from a thread" in line]
    assert [line for line in lines if line.endswith("INF from a known thread\n")], "it set its invocation"
    assert not [line for line in lines if "too low" in line or "hidden" in line]


def test_the_list_shows_methods_and_urls(host: Host) -> None:
    assert f"echo: [GET,POST] {host.url}/api/echo/{{id}}" in host.listing


def test_a_host_can_be_started_again(make_app: AppMaker) -> None:
    """It serves when `start` returns, the second time, too; and after a failed start."""
    code = """
        @app.route(route="hello")
        def hello(req: func.HttpRequest) -> func.HttpResponse:
            return func.HttpResponse("hi")
    """
    host = Host(make_app(code, host={"extensions": {"http": {"routePrefix": ""}}}, settings={"ONLY_HERE": "1"}))
    for _ in range(2):
        with host:
            assert call(host.url, "/hello").body == b"hi", "an empty prefix serves from the root"
            assert os.environ["ONLY_HERE"] == "1"
        assert "ONLY_HERE" not in os.environ, "the environment is as before"
    with Host(make_app(code)) as other:
        taken = Host(make_app(code), port=int(other.url.rpartition(":")[2]))
        with pytest.raises(RuntimeError, match="did not start"):
            taken.start()
    with taken:
        assert call(taken.url, "/api/hello").body == b"hi"


def test_a_function_over_its_time_is_a_failure(make_app: AppMaker) -> None:
    code = """
        @app.route(route="slow")
        async def slow(req: func.HttpRequest) -> func.HttpResponse:
            await asyncio.sleep(3)
    """
    with Host(make_app(code, host={"functionTimeout": "00:00:00.2"})) as host:
        assert call(host.url, "/api/slow").status == 500
        assert "Timeout value of" in "".join(host.lines)
