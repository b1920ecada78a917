"""Azurite as the local services start it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from azure.core.exceptions import AzureError
from azure.storage.blob import BlobServiceClient
from azure.storage.queue import QueueServiceClient

from local import azurite as azurite_module
from local.azurite import Azurite, AzuriteError
from local.node import MINIMUM_MAJOR, find_node, main
from tests.support.processes import is_alive, state_of
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from pathlib import Path


def test_blob_and_queue_answer_the_real_sdks(azurite: Azurite) -> None:
    """With one connection string."""
    with BlobServiceClient.from_connection_string(azurite.connection_string) as service:
        assert service.url.rstrip("/") == azurite.blob_url
        container = service.create_container("first")
        container.upload_blob("a/b.txt", b"bytes")
        assert container.download_blob("a/b.txt").readall() == b"bytes"
    with QueueServiceClient.from_connection_string(azurite.connection_string) as queues:
        assert queues.url.rstrip("/") == azurite.queue_url
        queue = queues.create_queue("first")
        queue.send_message("message")
        assert queue.receive_message() is not None


def test_it_can_be_started_again_on_its_ports() -> None:
    """An outage that ends at the same address; the data are gone."""
    azurite = Azurite()
    with azurite, BlobServiceClient.from_connection_string(azurite.connection_string) as service:
        ports = azurite.blob_port, azurite.queue_port
        service.create_container("kept")
    with pytest.raises(AzuriteError, match="not running"):
        azurite.pause()
    with azurite, BlobServiceClient.from_connection_string(azurite.connection_string) as service:
        assert (azurite.blob_port, azurite.queue_port) == ports
        assert list(service.list_containers()) == []


def test_nothing_is_answered_during_a_pause(azurite: Azurite) -> None:
    """An outage in which connections hang."""
    with BlobServiceClient.from_connection_string(
        azurite.connection_string, retry_total=0, connection_timeout=1, read_timeout=1
    ) as service:
        for _ in range(2):  # and a second pause changes nothing
            azurite.pause()
            azurite.pause()
            assert state_of(azurite.pid) == "T"
            try:
                with pytest.raises(AzureError):
                    service.get_service_properties()
            finally:
                azurite.resume()
            assert service.get_service_properties()


@pytest.mark.parametrize("paused", [False, True])
def test_nothing_is_left_when_the_starter_is_killed(*, paused: bool) -> None:
    """Not even a paused Azurite."""
    program = (
        "import time; from local.azurite import Azurite; a = Azurite().start();"
        f"a.pause() if {paused} else None; print(a.pid, flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as starter:
        assert starter.stdout is not None
        pid = int(starter.stdout.readline())
        assert is_alive(pid)
        starter.send_signal(signal.SIGKILL)
    eventually(lambda: not is_alive(pid), what="Azurite's end")


def test_a_taken_port_fails_the_start(azurite: Azurite) -> None:
    """The error holds Azurite's output."""
    with pytest.raises(AzuriteError, match="EADDRINUSE"):
        Azurite(blob_port=azurite.blob_port).start()


def test_without_its_package_the_error_says_what_to_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fresh clone, before the set-up."""
    monkeypatch.setattr(azurite_module, "MODULES", tmp_path)
    with pytest.raises(AzuriteError, match="make setup"):
        Azurite().start()


def test_the_node_that_is_found_is_new_enough(capfd: pytest.CaptureFixture[str]) -> None:
    """And its folder leads PATH, so that what npm starts finds the same one."""
    assert main(["node", "--print", "process.versions.node + ' ' + process.env.PATH"]) == 0
    version, path = capfd.readouterr().out.split(maxsplit=1)
    assert int(version.partition(".")[0]) >= MINIMUM_MAJOR
    assert path.split(os.pathsep)[0] == str(find_node().program.parent)


def test_npm_runs_on_that_node(capfd: pytest.CaptureFixture[str]) -> None:
    """Its exit code is passed on."""
    assert main(["npm", "--version"]) == 0
    assert capfd.readouterr().out.count(".") == 2
    assert main(["npm", "no-such-command"]) != 0
    assert main(["yarn"]) == 2
