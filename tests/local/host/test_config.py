"""host.json and local.settings.json are read as func reads them, with all faults told at once."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from local.host.config import ConfigError, parse_timespan, read_host_json, read_settings

if TYPE_CHECKING:
    from pathlib import Path


def _write(folder: Path, tree: Any) -> Path:
    (folder / "host.json").write_text(json.dumps(tree), encoding="utf-8")
    return folder


def test_the_defaults_are_funcs(tmp_path: Path) -> None:
    config = read_host_json(_write(tmp_path, {"version": "2.0"}))
    assert config.route_prefix == "api"
    assert config.function_timeout == timedelta(minutes=30)
    assert (config.queues.batch_size, config.queues.max_dequeue_count) == (16, 5)
    assert config.queues.max_polling_interval == timedelta(seconds=2), "what func, a development host, uses"
    assert config.queues.base64


def test_every_honoured_setting_arrives(tmp_path: Path) -> None:
    queues = {
        "batchSize": 4,
        "newBatchThreshold": 2,
        "maxDequeueCount": 3,
        "visibilityTimeout": "00:00:30",
        "maxPollingInterval": "00:00:01.5",
        "messageEncoding": "none",
    }
    tree = {
        "version": "2.0",
        "functionTimeout": "-1",
        "extensions": {"http": {"routePrefix": "/v1/"}, "queues": queues},
        "logging": {"logLevel": {"default": "Warning", "Function.tick": "Error"}},
    }
    config = read_host_json(_write(tmp_path, tree))
    assert config.route_prefix == "v1"
    assert config.function_timeout is None
    assert config.queues.batch_size == 4
    assert config.queues.new_batch_threshold == 2
    assert config.queues.max_dequeue_count == 3
    assert config.queues.visibility_timeout == timedelta(seconds=30)
    assert config.queues.max_polling_interval == timedelta(seconds=1.5)
    assert not config.queues.base64
    assert config.log_levels == {"default": "Warning", "Function.tick": "Error"}
    assert config.notices == ()


def test_what_has_no_effect_here_is_said(tmp_path: Path) -> None:
    tree = {"version": "2.0", "concurrency": {"dynamicConcurrencyEnabled": True}, "extensionBundle": {"id": "x"}}
    notices = read_host_json(_write(tmp_path, tree)).notices
    assert notices == ("host.json: concurrency.dynamicConcurrencyEnabled has no effect in this host",)


def test_all_faults_are_told_at_once(tmp_path: Path) -> None:
    queues = {"batchSize": 33, "maxDequeueCount": 0, "visibilityTimeout": "soon", "messageEncoding": "hex"}
    tree = {"version": "2.0", "functionTimeout": 5, "extensions": {"queues": queues}}
    with pytest.raises(ConfigError) as caught:
        read_host_json(_write(tmp_path, tree))
    assert len(caught.value.faults) == 5


@pytest.mark.parametrize("tree", [{}, {"version": "1.0"}, []])
def test_a_host_json_of_another_version_is_refused(tmp_path: Path, tree: Any) -> None:
    with pytest.raises(ConfigError, match="version"):
        read_host_json(_write(tmp_path, tree))


def test_a_folder_without_host_json_is_no_app(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="not a function app"):
        read_host_json(tmp_path)


@pytest.mark.parametrize(
    ("text", "seconds"), [("00:05:00", 300), ("1.00:00:00", 86400), ("00:00:00.1", 0.1), ("01:30", 5400)]
)
def test_a_time_span_is_dotnets(text: str, seconds: float) -> None:
    assert parse_timespan(text) == timedelta(seconds=seconds)


def test_values_of_the_settings_file_are_strings_only(tmp_path: Path) -> None:
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
