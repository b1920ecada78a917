"""What the app's own files say to its host: `host.json` and `local.settings.json`.

Both are read as the real host reads them. Faults are collected and raised together; what is valid there but has no
effect here is kept in `notices`, to be said loudly at start.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

# Read and meaningless on a laptop: not worth a notice.
_QUIET = ("version", "extensionBundle", "logging.applicationInsights", "logging.fileLoggingMode", "logging.console")
_TIMESPAN = re.compile(r"^(?:(\d+)\.)?(\d{1,2}):(\d{2})(?::(\d{2})(?:\.(\d{1,7}))?)?$")
_DEFAULT_TIMEOUT = timedelta(minutes=30)
_LARGEST_BATCH = 32
# Azure: a minute. func, which runs as a development host, looks every two seconds at least, and so does this host.
DEVELOPMENT_POLLING = timedelta(seconds=2)


class ConfigError(Exception):
    """`host.json` or the settings file cannot be used; `faults` names everything that is wrong with it."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("; ".join(faults))
        self.faults = faults


@dataclass(frozen=True, kw_only=True)
class QueueOptions:
    """`extensions.queues` of host.json, with the real host's defaults."""

    batch_size: int = 16
    new_batch_threshold: int = 8 * (os.cpu_count() or 1)
    max_dequeue_count: int = 5
    visibility_timeout: timedelta = timedelta(0)
    max_polling_interval: timedelta = DEVELOPMENT_POLLING
    base64: bool = True


@dataclass(frozen=True, kw_only=True)
class HostConfig:
    """All of host.json that is honoured here."""

    route_prefix: str = "api"
    function_timeout: timedelta | None = _DEFAULT_TIMEOUT
    queues: QueueOptions = field(default_factory=QueueOptions)
    log_levels: dict[str, str] = field(default_factory=dict)
    notices: tuple[str, ...] = ()


def parse_timespan(text: str) -> timedelta:
    """A .NET time span (`[days.]hh:mm[:ss[.fraction]]`) as a timedelta; ValueError if it is none."""
    match = _TIMESPAN.match(text.strip())
    if not match:
        raise ValueError(f"{text!r} is not a time span like 00:05:00")
    days, hours, minutes, seconds, fraction = match.groups()
    return timedelta(
        days=int(days or 0),
        hours=int(hours),
        minutes=int(minutes),
        seconds=int(seconds or 0),
        microseconds=int((fraction or "0").ljust(7, "0")[:6]),
    )


class _Reader:
    """Takes known values out of a JSON tree by dotted path, and collects faults and what nobody took."""

    def __init__(self, tree: dict[str, Any]) -> None:
        self._leaves = dict(_leaves(tree, ""))
        self.faults: list[str] = []

    def take(self, path: str, *, default: Any, kind: type) -> Any:
        if path not in self._leaves:
            return default
        value = self._leaves.pop(path)
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            self.faults.append(f"host.json: {path} must be a {kind.__name__}, not {value!r}")
            return default
        return value

    def span(self, path: str, *, default: timedelta) -> timedelta:
        text = self.take(path, default=None, kind=str)
        try:
            return default if text is None else parse_timespan(text)
        except ValueError as error:
            self.faults.append(f"host.json: {path}: {error}")
            return default

    def rest(self) -> list[str]:
        return [path for path in self._leaves if not path.startswith(_QUIET)]

    def group(self, prefix: str) -> dict[str, Any]:
        taken = {path: value for path, value in self._leaves.items() if path.startswith(prefix)}
        for path in taken:
            del self._leaves[path]
        return {path.removeprefix(prefix): value for path, value in taken.items()}


def _leaves(node: Any, path: str) -> list[tuple[str, Any]]:
    if isinstance(node, dict):
        return [leaf for key, child in node.items() for leaf in _leaves(child, f"{path}.{key}" if path else key)]
    return [(path, node)]


def read_host_json(app_dir: Path) -> HostConfig:
    """Reads `host.json` of the app; raises `ConfigError` with every fault (a missing file is one, as for func)."""
    file = app_dir / "host.json"
    if not file.is_file():
        raise ConfigError([f"{file} is missing: this folder is not a function app"])
    try:
        tree = json.loads(file.read_text(encoding="utf-8-sig"))
    except ValueError as error:
        raise ConfigError([f"host.json is not JSON: {error}"]) from error
    if not isinstance(tree, dict) or tree.get("version") != "2.0":
        raise ConfigError(['host.json must be an object with "version": "2.0"'])
    reader = _Reader(tree)
    config = HostConfig(
        route_prefix=reader.take("extensions.http.routePrefix", default="api", kind=str).strip("/"),
        function_timeout=_timeout(reader),
        queues=_queues(reader),
        log_levels={key: str(value) for key, value in reader.group("logging.logLevel.").items()},
        notices=tuple(f"host.json: {path} has no effect in this host" for path in reader.rest()),
    )
    if reader.faults:
        raise ConfigError(reader.faults)
    return config


def _timeout(reader: _Reader) -> timedelta | None:
    text = reader.take("functionTimeout", default=None, kind=str)
    if text == "-1":
        return None
    try:
        return _DEFAULT_TIMEOUT if text is None else parse_timespan(text)
    except ValueError as error:
        reader.faults.append(f"host.json: functionTimeout: {error}")
        return _DEFAULT_TIMEOUT


def _queues(reader: _Reader) -> QueueOptions:
    base = "extensions.queues."
    batch = reader.take(base + "batchSize", default=16, kind=int)
    if not 1 <= batch <= _LARGEST_BATCH:
        reader.faults.append(f"host.json: {base}batchSize must be 1 to {_LARGEST_BATCH}, not {batch}")
    dequeues = reader.take(base + "maxDequeueCount", default=5, kind=int)
    if dequeues < 1:
        reader.faults.append(f"host.json: {base}maxDequeueCount must be at least 1, not {dequeues}")
    encoding = reader.take(base + "messageEncoding", default="base64", kind=str).lower()
    if encoding not in {"base64", "none"}:
        reader.faults.append(f"host.json: {base}messageEncoding must be base64 or none, not {encoding!r}")
    polling = reader.span(base + "maxPollingInterval", default=DEVELOPMENT_POLLING)
    if polling < timedelta(milliseconds=100):
        reader.faults.append(f"host.json: {base}maxPollingInterval must be at least 00:00:00.1")
    return QueueOptions(
        batch_size=batch,
        new_batch_threshold=reader.take(
            base + "newBatchThreshold", default=(batch // 2) * (os.cpu_count() or 1), kind=int
        ),
        max_dequeue_count=dequeues,
        visibility_timeout=reader.span(base + "visibilityTimeout", default=timedelta(0)),
        max_polling_interval=polling,
        base64=encoding == "base64",
    )


def read_settings(file: Path) -> dict[str, str]:
    """`Values` of a local settings file; {} if there is none. Raises `ConfigError` with every fault.

    As with func, only strings are settings: a nested value is a fault, an encrypted file cannot be read.
    """
    if not file.is_file():
        return {}
    try:
        tree = json.loads(file.read_text(encoding="utf-8-sig"))
    except ValueError as error:
        raise ConfigError([f"{file.name} is not JSON: {error}"]) from error
    if not isinstance(tree, dict) or not isinstance(values := tree.get("Values", {}), dict):
        raise ConfigError([f'{file.name} must be an object with an object "Values"'])
    if tree.get("IsEncrypted"):
        raise ConfigError([f"{file.name} is encrypted: run `func settings decrypt` first"])
    faults = [f"{file.name}: {key} must be a string" for key, value in values.items() if not isinstance(value, str)]
    if faults:
        raise ConfigError(faults)
    return dict(values)
