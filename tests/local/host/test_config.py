"""host.json and local.settings.json: the supported part, and every fault at once."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from local.host.config import ConfigError, HostConfig, read_host_json, read_settings


def _write(folder: Path, tree: Any) -> Path:
    (folder / "host.json").write_text(json.dumps(tree), encoding="utf-8")
    return folder


def test_the_defaults_are_those_of_func(tmp_path: Path) -> None:
    assert read_host_json(_write(tmp_path, {"version": "2.0"})) == HostConfig()
    assert HostConfig().function_timeout == timedelta(minutes=30)


def test_every_supported_setting_is_read(tmp_path: Path) -> None:
    queues = {
        "batchSize": 4,
        "newBatchThreshold": 2,
        "maxDequeueCount": 3,
        "visibilityTimeout": "00:00:30",
        "maxPollingInterval": "00:00:01.5",
        "messageEncoding": "base64",
    }
    tree = {
        "version": "2.0",
        "functionTimeout": "00:10:00",
        "telemetryMode": "OpenTelemetry",
        "extensionBundle": {"id": "x"},
        "extensions": {"http": {"routePrefix": "/v1/"}, "queues": queues},
        "logging": {"logLevel": {"default": "Warning", "Function.tick": "Error"}},
    }
    assert read_host_json(_write(tmp_path, tree)) == HostConfig(
        route_prefix="v1",
        function_timeout=timedelta(minutes=10),
        batch_size=4,
        new_batch_threshold=2,
        max_dequeue_count=3,
        visibility_timeout=timedelta(seconds=30),
        max_polling_interval=timedelta(seconds=1.5),
        log_levels={"default": "Warning", "Function.tick": "Error"},
    )


def test_the_apps_own_host_json_is_supported() -> None:
    assert read_host_json(Path(__file__).resolve().parents[3]).route_prefix == "api"


def test_all_faults_are_reported_at_once(tmp_path: Path) -> None:
    queues = {"batchSize": 33, "maxDequeueCount": 0, "visibilityTimeout": "soon", "messageEncoding": "none"}
    tree = {
        "version": "2.0",
        "functionTimeout": "-1",
        "extensions": {"queues": queues},
        "concurrency": {"dynamicConcurrencyEnabled": True},
    }
    with pytest.raises(ConfigError) as caught:
        read_host_json(_write(tmp_path, tree))
    assert len(caught.value.faults) == 6
    assert "this host does not support concurrency.dynamicConcurrencyEnabled" in caught.value.faults[-1]


def test_a_folder_that_is_not_a_function_app_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="not a function app"):
        read_host_json(tmp_path)
    trees: list[Any] = [{}, {"version": "1.0"}, []]
    for tree in trees:
        with pytest.raises(ConfigError, match="version"):
            read_host_json(_write(tmp_path, tree))


def test_values_of_the_settings_file_must_be_strings(tmp_path: Path) -> None:
    file = tmp_path / "local.settings.json"
    assert read_settings(file) == {}
    file.write_text('{"IsEncrypted": false, "Values": {"A": "1"}}', encoding="utf-8")
    assert read_settings(file) == {"A": "1"}
    file.write_text('{"Values": {"A": "1", "B": 2, "C": {}}}', encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        read_settings(file)
    assert len(caught.value.faults) == 2
    file.write_text('{"IsEncrypted": true, "Values": {}}', encoding="utf-8")
    with pytest.raises(ConfigError, match="encrypted"):
        read_settings(file)
