"""What the deployment has to fit: the code's own names, read from the app, host.json and the settings."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

from shared.settings import NAMES

ROOT = Path(__file__).parents[2]
SETTINGS = frozenset(NAMES)

# Settings of the host, the worker and Application Insights, which the code does not read itself.
OF_THE_HOST = {
    "APPLICATIONINSIGHTS_CONNECTION_STRING",
    "APPLICATIONINSIGHTS_AUTHENTICATION_STRING",
    "PYTHON_THREADPOOL_THREAD_COUNT",
}
# What a Flex Consumption app may not have: it is said by `functionAppConfig` there, or has no meaning (Microsoft's
# "Flex Consumption plan deprecations"; the Azure CLI drops the same ones when it moves an app to Flex).
REFUSED_BY_FLEX = {
    "ENABLE_ORYX_BUILD",
    "FUNCTIONS_EXTENSION_VERSION",
    "FUNCTIONS_MAX_HTTP_CONCURRENCY",
    "FUNCTIONS_WORKER_DYNAMIC_CONCURRENCY_ENABLED",
    "FUNCTIONS_WORKER_PROCESS_COUNT",
    "FUNCTIONS_WORKER_RUNTIME",
    "FUNCTIONS_WORKER_RUNTIME_VERSION",
    "SCM_DO_BUILD_DURING_DEPLOYMENT",
    "WEBSITE_CONTENTAZUREFILECONNECTIONSTRING",
    "WEBSITE_CONTENTOVERVNET",
    "WEBSITE_CONTENTSHARE",
    "WEBSITE_DNS_SERVER",
    "WEBSITE_MAX_DYNAMIC_APPLICATION_SCALE_OUT",
    "WEBSITE_NODE_DEFAULT_VERSION",
    "WEBSITE_RUN_FROM_PACKAGE",
    "WEBSITE_SKIP_CONTENTSHARE_VALIDATION",
    "WEBSITE_TIME_ZONE",
    "WEBSITE_USE_PLACEHOLDER",
    "WEBSITE_VNET_ROUTE_ALL",
}
# A queue that Bicep makes before function_app.py binds it. Take a name away when the code has it.
QUEUES_TO_COME: set[str] = set()
EVENT_TYPES = ["Microsoft.Communication.RecordingFileStatusUpdated", "Microsoft.Communication.CallStarted"]


@cache
def bindings() -> dict[str, list[dict[str, Any]]]:
    """Each function's bindings, as the worker gives them to the host: in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.deploy.index"], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    found: dict[str, list[dict[str, Any]]] = json.loads(done.stdout)
    return found


def queues() -> set[str]:
    """The queues that the code is triggered by."""
    return {one["queueName"] for given in bindings().values() for one in given if one["type"] == "queueTrigger"}


def event_functions() -> set[str]:
    """The functions that Event Grid may deliver to."""
    return {name for name, given in bindings().items() if any(one["type"] == "eventGridTrigger" for one in given)}
