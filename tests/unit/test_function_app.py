"""What the Functions host sees: everything is found, bound as the documentation says, and nothing heavy is loaded."""

from __future__ import annotations

import fnmatch
import itertools
import json
import re
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import function_app
from shared import handlers
from shared.adapters.queue import QUEUES as QUEUE_NAMES
from shared.api.openapi import document
from shared.app import HARD_BUDGET
from shared.ports import Lane
from shared.settings import Settings

ROOT = Path(__file__).parents[2]
HOST = json.loads((ROOT / "host.json").read_text())


def bound() -> dict[str, list[dict[str, Any]]]:
    """The bindings by function, as the worker tells them to the host."""
    return {
        str(function.get_function_name()): [binding.get_dict_repr() for binding in function.get_bindings()]
        for function in function_app.app.get_functions()
    }


BOUND = bound()
QUEUES = {
    "rescue_chunk": QUEUE_NAMES[Lane.NORMAL],
    "rescue_urgent_chunk": QUEUE_NAMES[Lane.URGENT],
    "background_work": QUEUE_NAMES[Lane.BACKGROUND],
}


def test_all_functions_are_found() -> None:
    """Two functions of one name, or one bad annotation, would lose them all."""
    http = {function for function, _, _ in ROUTES}
    assert set(BOUND) == http | {"other_verbs"} | {"recording_file_status_updated", "sweep"} | set(QUEUES)


ROUTES = [
    ("start_recording", "POST", "recordings"),
    ("list_recordings", "GET", "recordings"),
    ("get_recording", "GET", "recordings/{recordingId}"),
    ("get_causes", "GET", "causes"),
    ("get_statistics", "GET", "statistics"),
    ("replay_recording", "POST", "recordings/{recordingId}/replay"),
    ("verify_recording", "POST", "recordings/{recordingId}/verify"),
    ("replay_recordings", "POST", "replays"),
    ("verify_recordings", "POST", "verifications"),
    ("stop_recording", "POST", "recordings/{recordingId}/stop"),
    ("pause_recording", "POST", "recordings/{recordingId}/pause"),
    ("resume_recording", "POST", "recordings/{recordingId}/resume"),
    ("list_rejected_events", "GET", "rejected-events"),
    ("replay_rejected_event", "POST", "rejected-events/{eventId}/replay"),
    ("health", "GET", "health"),
    ("doctor", "GET", "doctor"),
    ("openapi", "GET", "openapi.json"),
    ("page", "GET", "ui"),
    ("page_file", "GET", "ui/{file}"),
]
VERBS = {"get", "put", "post", "delete", "patch", "head", "options", "trace"}
# What answers without a key. Each says nothing about a recording.
OPEN = {"health", "page", "page_file"}


def http_trigger(function: str) -> dict[str, Any]:
    [trigger] = [binding for binding in BOUND[function] if binding["type"] == "httpTrigger"]
    return trigger


def methods(function: str) -> set[str]:
    return {str(getattr(one, "value", one)) for one in http_trigger(function)["methods"]}


@pytest.mark.parametrize(("function", "method", "route"), ROUTES)
def test_http_functions_have_their_routes(function: str, method: str, route: str) -> None:
    """The wrong one of GET and POST is answered, too, where no other function has it."""
    assert http_trigger(function)["route"] == route
    shares = sum(one == route for _, _, one in ROUTES) > 1
    assert methods(function) == ({method} if shares else {"GET", "POST"})


def overlap(one: str, other: str) -> bool:
    """Whether a path can match both templates."""
    parts, others = one.split("/"), other.split("/")
    if "{*path}" in (one, other):
        return True
    return len(parts) == len(others) and all(
        a.lower() == b.lower() or "{" in a or "{" in b for a, b in zip(parts, others, strict=True)
    )


def test_no_request_matches_two_functions() -> None:
    """The host of Azure tries routes in the order of the functions' names, not by precedence: the first one wins."""
    http = [name for name, bindings in BOUND.items() if any(one["type"] == "httpTrigger" for one in bindings)]
    both = [
        (one, other)
        for one, other in itertools.combinations(http, 2)
        if methods(one) & methods(other) and overlap(http_trigger(one)["route"], http_trigger(other)["route"])
    ]
    assert both == []


def test_every_route_is_in_the_document_and_nothing_else() -> None:
    paths = json.loads(document())["paths"]
    documented = {(verb.upper(), path.lstrip("/")) for path, item in paths.items() for verb in item if verb in VERBS}
    assert documented == {(method, route) for _, method, route in ROUTES}


def test_nothing_is_open_but_what_holds_no_data() -> None:
    """Whatever function is added wants a key, unless it is named here."""
    http = [name for name, bindings in BOUND.items() if any(one["type"] == "httpTrigger" for one in bindings)]
    levels = {name: http_trigger(name)["authLevel"] for name in http}
    wanted = {name: str(getattr(level, "value", level)).lower() for name, level in levels.items()}
    assert wanted == {name: "anonymous" if name in OPEN else "function" for name in http}


def test_events_are_taken_as_text() -> None:
    """The type `EventGridEvent` loses fields of CloudEvents in the versions the hosts bring."""
    [trigger] = BOUND["recording_file_status_updated"]
    assert trigger["type"] == "eventGridTrigger"
    assert trigger["name"] == "event"
    user_function = function_app.recording_file_status_updated._function.get_user_function()
    assert user_function.__annotations__["event"] is str


@pytest.mark.parametrize(("function", "queue"), QUEUES.items())
def test_rescues_listen_to_the_queues_that_are_written_to(function: str, queue: str) -> None:
    [trigger] = BOUND[function]
    assert (trigger["type"], trigger["queueName"]) == ("queueTrigger", queue)
    assert trigger["connection"] == "AzureWebJobsStorage"


def test_the_sweep_comes_every_five_minutes() -> None:
    [trigger] = BOUND["sweep"]
    assert (trigger["type"], trigger["schedule"]) == ("timerTrigger", "0 */5 * * * *")


def test_the_host_accepts_every_binding_name() -> None:
    """A name with an underscore passes the worker, and is refused by the host with all that is in the app."""
    names = [binding["name"] for bindings in BOUND.values() for binding in bindings]
    assert all(name == "$return" or re.fullmatch(r"[A-Za-z][A-Za-z0-9]*", name) for name in names)


PROGRAM = """
import json, sys
before = set(sys.modules)
import function_app
names = sorted(f.get_function_name() for f in function_app.app.get_functions())
loaded = sorted(n for n in sys.modules if n.split(".")[0] in ("azure", "requests", "aiohttp", "cryptography", "msal"))
print(json.dumps([names, loaded]))
"""


def test_indexing_needs_no_setting_and_loads_no_sdk() -> None:
    """Imported in an empty environment, as the worker does when it indexes: one failure would lose every function."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=ROOT, env={}, capture_output=True, text=True, timeout=60, check=True
    )
    names, loaded = json.loads(done.stdout.splitlines()[-1])
    assert set(names) == set(BOUND)
    assert [name for name in loaded if name != "azure" and not name.startswith("azure.functions")] == []
    assert done.stderr == ""


def span(text: str) -> timedelta:
    hours, minutes, seconds = (int(part) for part in text.split(":"))
    return timedelta(hours=hours, minutes=minutes, seconds=seconds)


def test_a_try_ends_before_the_host_ends_it() -> None:
    """Killed at functionTimeout, a worker takes every other function of its process with it."""
    assert Settings.time_budget + timedelta(minutes=2) < span(HOST["functionTimeout"])
    # What cannot be continued has nearly all of it.
    assert span(HOST["functionTimeout"]) - timedelta(minutes=1) == HARD_BUDGET


def test_the_queue_settings_fit_the_threads_of_the_rescues() -> None:
    queues = HOST["extensions"]["queues"]
    assert (queues["batchSize"] + queues["newBatchThreshold"]) == handlers._AT_ONCE
    assert handlers._rescues._max_workers == 2 * handlers._AT_ONCE
    assert handlers._background._max_workers == handlers._AT_ONCE
    assert queues["messageEncoding"] == "base64"
    assert queues["maxDequeueCount"] >= 5
    assert span(queues["maxPollingInterval"]) <= timedelta(seconds=10)


def test_the_locations_that_are_answered_have_the_hosts_prefix() -> None:
    assert HOST["extensions"]["http"]["routePrefix"] == "api"
    assert HOST["version"] == "2.0"
    assert HOST["extensionBundle"]["version"] == "[4.*, 5.0.0)"


IGNORED = (ROOT / ".funcignore").read_text().splitlines()


def tops() -> set[str]:
    """The names at the top of the repository."""
    listing = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, timeout=30, check=True)
    return {name.partition("/")[0] for name in listing.stdout.splitlines()}


# What a set-up, a run or a user leaves, and a fresh clone does not have.
MADE = {
    ".venv",
    ".venv-deploy",
    ".azure",
    ".vscode",
    ".local",
    "__pycache__",
    "*.pyc",
    "local.settings.json",
    ".coverage",
} | {f".{tool}" for tool in ("mypy_cache", "ruff_cache", "pytest_cache", "hypothesis")}


def test_what_is_not_deployed_exists() -> None:
    """A name in .funcignore that names nothing hides a typing error: what it should keep out is deployed."""
    assert len(IGNORED) == len(set(IGNORED))
    for line in IGNORED:
        assert line in MADE or any(fnmatch.fnmatch(top, line) for top in tops()), line


def test_what_runs_is_deployed_and_nothing_else() -> None:
    kept = {top for top in tops() if not any(fnmatch.fnmatch(top, line) for line in IGNORED)}
    assert kept == {".funcignore", "function_app.py", "host.json", "requirements.txt", "shared"}
