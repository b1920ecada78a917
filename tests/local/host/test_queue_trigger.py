"""Queue messages are leased, run, renewed, deleted, released and dead-lettered as by the Storage queues extension."""

from __future__ import annotations

import json
import time
from datetime import timedelta
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from azure.storage.queue import QueueClient

from local.host import Host
from tests.local.host.support import base64_queue
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from pathlib import Path

    from local.azurite import Azurite
    from tests.local.host.conftest import AppMaker

CODE = """
    @app.queue_trigger(arg_name="message", queue_name="%QUEUE%", connection="Storage")
    def work(message: func.QueueMessage):
        body = message.get_body().decode()
        logging.info("begin %s", json.dumps([body, message.id, message.dequeue_count, bool(message.pop_receipt),
            str(message.insertion_time), str(message.expiration_time)]))
        if "bad" in body:
            raise ValueError(body)
        if body.startswith("sleep"):
            time.sleep(float(body.split()[1]))
        logging.info("end %s", body)
"""


def _host(app: Path, azurite: Azurite, queue: str, *, lease: float = 600, grace: float = 5) -> Host:
    settings = {"QUEUE": queue, "Storage": azurite.connection_string}
    return Host(app, settings=settings, queue_lease=timedelta(seconds=lease), grace=grace)


def _seen(host: Host, word: str = "begin") -> list[Any]:
    mark = f"INF {word} "
    return [line.split(mark, 1)[1].strip() for line in host.lines if mark in line]


def _is_empty(queue: QueueClient) -> bool:
    return queue.get_queue_properties().approximate_message_count == 0


def test_a_message_arrives_with_its_metadata_and_is_deleted(
    make_app: AppMaker, azurite: Azurite, queue_name: str
) -> None:
    with (
        _host(make_app(CODE), azurite, queue_name) as host,
        base64_queue(azurite.connection_string, queue_name) as queue,
    ):
        eventually(lambda: "does not exist" in "".join(host.lines), what="the warning about the missing queue")
        queue.create_queue()
        sent = queue.send_message("hello")
        body, identity, tries, has_receipt, inserted, expires = json.loads(eventually(lambda: _seen(host))[0])
        assert (body, identity, tries, has_receipt) == ("hello", sent.id, 1, True)
        assert inserted.endswith("+00:00")
        assert expires > inserted
        eventually(lambda: _is_empty(queue))
        assert "Reason='New queue message detected on" in "".join(host.lines)


def test_a_failing_message_is_retried_and_then_dead_lettered(
    make_app: AppMaker, azurite: Azurite, queue_name: str
) -> None:
    app = make_app(CODE, host={"extensions": {"queues": {"maxDequeueCount": 3}}})
    with (
        base64_queue(azurite.connection_string, queue_name) as queue,
        base64_queue(azurite.connection_string, f"{queue_name}-poison") as poison,
    ):
        queue.create_queue()
        queue.send_message("bad one")
        with _host(app, azurite, queue_name) as host:
            eventually(lambda: "Moving message to queue" in "".join(host.lines))
            eventually(lambda: _is_empty(queue))
            assert [json.loads(line)[2] for line in _seen(host)] == [1, 2, 3]
            assert [message.content for message in poison.peek_messages()] == ["bad one"]


def test_visibility_timeout_is_the_pause_after_a_failure(make_app: AppMaker, azurite: Azurite, queue_name: str) -> None:
    app = make_app(CODE, host={"extensions": {"queues": {"visibilityTimeout": "00:00:01"}}})
    with base64_queue(azurite.connection_string, queue_name) as queue:
        queue.create_queue()
        queue.send_message("bad")
        with _host(app, azurite, queue_name) as host:
            eventually(lambda: _seen(host))
            begun = time.monotonic()
            eventually(lambda: len(_seen(host)) == 2)
            assert time.monotonic() - begun > 0.7


def test_a_long_run_keeps_its_message(make_app: AppMaker, azurite: Azurite, queue_name: str) -> None:
    with base64_queue(azurite.connection_string, queue_name) as queue:
        queue.create_queue()
        queue.send_message("sleep 2.2")
        with _host(make_app(CODE), azurite, queue_name, lease=1) as host:
            eventually(lambda: _seen(host, "end"))
            eventually(lambda: _is_empty(queue))
            assert len(_seen(host)) == 1, "the lease was renewed while the function ran"


def test_batches_are_bounded(make_app: AppMaker, azurite: Azurite, queue_name: str) -> None:
    app = make_app(CODE, host={"extensions": {"queues": {"batchSize": 2, "newBatchThreshold": 1}}})
    with base64_queue(azurite.connection_string, queue_name) as queue:
        queue.create_queue()
        for _ in range(6):
            queue.send_message("sleep 0.3")
        with _host(app, azurite, queue_name) as host:
            eventually(lambda: len(_seen(host, "end")) == 6)
            running = list(accumulate((" begin " in line) - (" end " in line) for line in host.lines))
            assert 2 <= max(running) <= 3, "batchSize + newBatchThreshold at most"


def test_a_message_that_is_not_base64_goes_to_the_poison_queue_at_once(
    make_app: AppMaker, azurite: Azurite, queue_name: str
) -> None:
    """At its first delivery, and without a run."""
    app = make_app(CODE, host={"extensions": {"queues": {"visibilityTimeout": "00:10:00"}}})
    with (
        QueueClient.from_connection_string(azurite.connection_string, queue_name) as queue,
        QueueClient.from_connection_string(azurite.connection_string, f"{queue_name}-poison") as poison,
    ):
        queue.create_queue()
        queue.send_message("{not base64}")
        with _host(app, azurite, queue_name) as host:
            eventually(lambda: _is_empty(queue))
            eventually(lambda: "is not base64 (host.json: messageEncoding). Moving" in "".join(host.lines))
            assert not _seen(host)
            assert [message.content for message in poison.peek_messages()] == ["{not base64}"]


def test_json_properties_override_metadata_of_their_name(make_app: AppMaker, azurite: Azurite, queue_name: str) -> None:
    with base64_queue(azurite.connection_string, queue_name) as queue:
        queue.create_queue()
        queue.send_message('{"ID": "mine", "other": 1}')
        with _host(make_app(CODE), azurite, queue_name) as host:
            assert json.loads(eventually(lambda: _seen(host))[0])[1] == "mine"


def test_a_stop_returns_a_running_message_to_its_queue(make_app: AppMaker, azurite: Azurite, queue_name: str) -> None:
    code = CODE.replace("def work", "async def work").replace("time.sleep", "await asyncio.sleep")
    with base64_queue(azurite.connection_string, queue_name) as queue:
        queue.create_queue()
        queue.send_message("sleep 60")
        with _host(make_app(code), azurite, queue_name, grace=0.3) as host:
            eventually(lambda: _seen(host))
            begun = time.monotonic()
        assert time.monotonic() - begun < 3
        assert len(queue.peek_messages()) == 1
