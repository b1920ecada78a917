"""The app's own files that its host reads: `host.json` and `local.settings.json`.

A setting that this host does not know is a fault, so that an app never runs with a setting that has no effect here.
All faults are collected and raised together.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

# Read by Azure or by Core Tools; meaningless on a laptop.
_IGNORED = ("version", "extensionBundle", "telemetryMode", "logging.applicationInsights", "logging.console")
_LEVELS = "logging.logLevel."
_TIMESPAN = re.compile(r"(\d{1,2}):(\d{2}):(\d{2}(?:\.\d{1,6})?)")


class ConfigError(Exception):
    """`host.json` or the settings file cannot be used; `faults` names everything that is wrong with it."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("; ".join(faults))
        self.faults = faults


@dataclass(frozen=True, kw_only=True)
class HostConfig:
    """The supported part of host.json, with the real host's defaults.

    `max_polling_interval`: a minute in Azure, but two seconds under func, a development host, and so here.
    """

    route_prefix: str = "api"
    function_timeout: timedelta = timedelta(minutes=30)
    batch_size: int = 16
    new_batch_threshold: int = 8 * (os.cpu_count() or 1)
    max_dequeue_count: int = 5
    visibility_timeout: timedelta = timedelta(0)
    max_polling_interval: timedelta = timedelta(seconds=2)
    log_levels: dict[str, str] = field(default_factory=dict)


def _span(value: Any) -> timedelta:
    match = _TIMESPAN.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError("must be a time span like 00:05:00")
    return timedelta(hours=int(match[1]), minutes=int(match[2]), seconds=float(match[3]))


def _number(low: int, high: int) -> Callable[[Any], int]:
    def check(value: Any) -> int:
        if type(value) is not int or not low <= value <= high:
            raise ValueError(f"must be a number from {low} to {high}")
        return value

    return check


def _prefix(value: Any) -> str:
    if isinstance(value, str):
        return value.strip("/")
    raise ValueError("must be a string")


def _base64(value: Any) -> None:
    if value != "base64":
        raise ValueError("must be base64: this host supports no other encoding")


# Path in host.json -> field of HostConfig (None: only checked), and the check.
_SETTINGS: dict[str, tuple[str | None, Callable[[Any], Any]]] = {
    "functionTimeout": ("function_timeout", _span),
    "extensions.http.routePrefix": ("route_prefix", _prefix),
    "extensions.queues.batchSize": ("batch_size", _number(1, 32)),
    "extensions.queues.newBatchThreshold": ("new_batch_threshold", _number(0, 1000)),
    "extensions.queues.maxDequeueCount": ("max_dequeue_count", _number(1, 1000)),
    "extensions.queues.visibilityTimeout": ("visibility_timeout", _span),
    "extensions.queues.maxPollingInterval": ("max_polling_interval", _span),
    "extensions.queues.messageEncoding": (None, _base64),
}


def read_host_json(app_dir: Path) -> HostConfig:
    """Reads `host.json` of the app. ConfigError with every fault; a missing file is one, as for func."""
    file = app_dir / "host.json"
    if not file.is_file():
        raise ConfigError([f"{file} is missing: this folder is not a function app"])
    tree = _json(file)
    if not isinstance(tree, dict) or tree.get("version") != "2.0":
        raise ConfigError(['host.json must be an object with "version": "2.0"'])
    fields: dict[str, Any] = {"log_levels": {}}
    faults = []
    for path, value in _leaves(tree, ""):
        if path.startswith(_LEVELS):
            fields["log_levels"][path.removeprefix(_LEVELS)] = str(value)
        elif path in _SETTINGS:
            name, check = _SETTINGS[path]
            try:
                checked = check(value)
            except ValueError as error:
                faults.append(f"host.json: {path} {error}, not {value!r}")
            else:
                fields |= {name: checked} if name else {}
        elif not any(path == one or path.startswith(f"{one}.") for one in _IGNORED):
            faults.append(f"host.json: this host does not support {path}")
    if faults:
        raise ConfigError(faults)
    # As in the real host, the default follows the batch's size.
    fields.setdefault("new_batch_threshold", fields.get("batch_size", 16) // 2 * (os.cpu_count() or 1))
    return HostConfig(**fields)


def _leaves(node: Any, path: str) -> list[tuple[str, Any]]:
    if isinstance(node, dict):
        return [leaf for key, child in node.items() for leaf in _leaves(child, f"{path}.{key}" if path else key)]
    return [(path, node)]


def _json(file: Path) -> Any:
    try:
        return json.loads(file.read_text(encoding="utf-8-sig"))
    except ValueError as error:
        raise ConfigError([f"{file.name} is not JSON: {error}"]) from error


def read_settings(file: Path) -> dict[str, str]:
    """`Values` of a local settings file; {} if there is none. ConfigError with every fault.

    As with func, every value must be a string, and an encrypted file cannot be read.
    """
    if not file.is_file():
        return {}
    tree = _json(file)
    if not isinstance(tree, dict) or not isinstance(values := tree.get("Values", {}), dict):
        raise ConfigError([f'{file.name} must be an object with an object "Values"'])
    if tree.get("IsEncrypted"):
        raise ConfigError([f"{file.name} is encrypted: run `func settings decrypt` first"])
    faults = [f"{file.name}: {key} must be a string" for key, value in values.items() if not isinstance(value, str)]
    if faults:
        raise ConfigError(faults)
    return dict(values)
