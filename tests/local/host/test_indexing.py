"""What the real worker and host refuse is refused, and what this host does not support, with the reason."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import pytest

from local.host import Host
from tests.local.host.support import call

if TYPE_CHECKING:
    from tests.local.host.conftest import AppMaker

GOOD = """
    @app.route(route="good")
    def good(req: func.HttpRequest) -> func.HttpResponse:
        return func.HttpResponse("fine")
"""
# The worker indexes nothing at all.
LOSES_ALL = {
    "import error": "import nothing_of_that_name",
    "duplicate name": """
        @app.function_name("good")
        @app.route(route="other")
        def other(req: func.HttpRequest) -> func.HttpResponse: ...
    """,
    "wrong annotation": """
        @app.route(route="other")
        def other(req: int) -> func.HttpResponse: ...
    """,
    "wrong return annotation": """
        @app.route(route="other")
        def other(req: func.HttpRequest) -> dict: ...
    """,
    "annotation that cannot be evaluated": """
        @app.route(route="other")
        def other(req: "func.NoSuchThing") -> func.HttpResponse: ...
    """,
    "parameter without binding": """
        @app.route(route="other")
        def other(req: func.HttpRequest, more: str) -> func.HttpResponse: ...
    """,
    "binding without parameter": """
        @app.route(route="other", trigger_arg_name="request")
        def other(req: func.HttpRequest) -> func.HttpResponse: ...
    """,
    "context of another type": """
        @app.route(route="other")
        def other(req: func.HttpRequest, context: str) -> func.HttpResponse: ...
    """,
    "two apps": "second = func.FunctionApp()",
}
# The host refuses that one function.
LOSES_ONE = {
    "is invalid: letters and digits only": """
        @app.event_grid_trigger(arg_name="my_event")
        def other(my_event: str): ...
    """,
    "does not resolve to a value": """
        @app.queue_trigger(arg_name="message", queue_name="%NO_SUCH%", connection="AzureWebJobsStorage")
        def other(message: func.QueueMessage): ...
    """,
    "NoSuchStorage (a connection string) is missing": """
        @app.queue_trigger(arg_name="message", queue_name="some", connection="NoSuchStorage")
        def other(message: func.QueueMessage): ...
    """,
    "supports a eventGridTrigger of type str": """
        @app.event_grid_trigger(arg_name="event")
        def other(event: func.EventGridEvent): ...
    """,
    "supports a queueTrigger of type QueueMessage": """
        @app.queue_trigger(arg_name="message", queue_name="some", connection="AzureWebJobsStorage")
        def other(message: str): ...
    """,
    "does not support retry policies": """
        @app.retry(strategy="fixed_delay", max_retry_count="2", delay_interval="00:00:01")
        @app.event_grid_trigger(arg_name="event")
        def other(event: str): ...
    """,
    "does not support run_on_startup": """
        @app.timer_trigger(arg_name="timer", schedule="* * * * * *", run_on_startup=True)
        def other(timer: func.TimerRequest): ...
    """,
    "is not a schedule": """
        @app.timer_trigger(arg_name="timer", schedule="every now and then")
        def other(timer: func.TimerRequest): ...
    """,
    "literal segments, plain {name} parameters and a last {*name} only, not '{id:int}'": """
        @app.route(route="other/{id:int}")
        def other(req: func.HttpRequest) -> func.HttpResponse: ...
    """,
    "this host does not support blobTrigger": """
        @app.blob_trigger(arg_name="blob", path="x/y", connection="AzureWebJobsStorage")
        def other(blob: func.InputStream): ...
    """,
}


def test_one_bad_function_loses_every_url(make_app: AppMaker) -> None:
    for code in LOSES_ALL.values():
        with Host(make_app(textwrap.dedent(GOOD) + textwrap.dedent(code))) as host:
            assert call(host.url, "/api/good").status == 404, code
            assert "No function is indexed" in host.problems[0]
            assert "No function is indexed" in "".join(host.lines)


def test_the_host_refuses_one_function_and_serves_the_others(make_app: AppMaker) -> None:
    for why, code in LOSES_ONE.items():
        with Host(make_app(textwrap.dedent(GOOD) + textwrap.dedent(code))) as host:
            assert call(host.url, "/api/good").status == 200, why
            assert len(host.problems) == 1, why
            assert host.problems[0].startswith("The 'other' function is in error"), why
            assert why in host.problems[0]


def test_a_disabled_function_does_not_start(make_app: AppMaker) -> None:
    with Host(make_app(GOOD, settings={"AzureWebJobs.good.Disabled": "true"})) as host:
        assert call(host.url, "/api/good").status == 404
        assert "good is disabled by a setting" in "".join(host.lines)


def test_an_app_that_cannot_be_configured_does_not_start(make_app: AppMaker) -> None:
    app = make_app(GOOD, host={"extensions": {"queues": {"batchSize": 99}}})
    with pytest.raises(RuntimeError, match="batchSize"):
        Host(app).start()
    with pytest.raises(RuntimeError, match="python apps only"):
        Host(make_app(GOOD), settings={"FUNCTIONS_WORKER_RUNTIME": "node"}).start()
