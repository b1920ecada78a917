"""Checks that the deployed app is the one of the code: settings, functions, queues, containers, events, retention."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from shared.settings import SettingsError, load_settings
from tests.deploy.facts import (
    EVENT_TYPES,
    OF_THE_HOST,
    QUEUES_TO_COME,
    REFUSED_BY_FLEX,
    SETTINGS,
    bindings,
    event_functions,
    queues,
)
from tests.deploy.tree import Bicep, Expr, all_files, keys, parse

if TYPE_CHECKING:
    from pathlib import Path

# What Azure computes, as it might be.
_COMPUTED = {
    "storage.properties.primaryEndpoints.blob": "https://appx.blob.core.windows.net/",
    "storage.properties.primaryEndpoints.queue": "https://appx.queue.core.windows.net/",
    "storage.properties.primaryEndpoints.table": "https://appx.table.core.windows.net/",
    "insights.properties.ConnectionString": "InstrumentationKey=x",
    "${acsHostName}": "acs-x.europe.communication.azure.com",
    "destinationContainerUrl": "https://recx.blob.core.windows.net/recordings",
    "containersAllowed": "",
}


def _recorder(root: Path) -> Bicep:
    return parse(root / "infra" / "app" / "recorder.bicep")


def settings(root: Path) -> list[str]:
    """Every setting that the code reads is deployed, or is left out with a reason; nothing else is deployed."""
    file = _recorder(root)
    deployed = keys(file.variable_nodes["settings"]) | keys(file.variable_nodes["acsKey"])
    left_out = json.loads((root / "infra" / "settings-left-out.json").read_text())
    plain = {name.partition("__")[0] for name in deployed}
    faults = [f"recorder.bicep: Flex refuses {name}" for name in sorted(deployed & REFUSED_BY_FLEX)]
    faults += [
        f"recorder.bicep: the code reads no {name}" for name in sorted(plain - SETTINGS - OF_THE_HOST - REFUSED_BY_FLEX)
    ]
    faults += [f"settings-left-out.json: the code reads no {name}" for name in sorted(left_out.keys() - SETTINGS)]
    faults += [f"{name} is deployed and left out" for name in sorted(plain & left_out.keys())]
    faults += [
        f"{name} is neither in recorder.bicep (`settings`) nor, with a reason, in settings-left-out.json"
        for name in sorted(SETTINGS - plain - left_out.keys())
    ]
    faults += [f"settings-left-out.json: {name} has no reason" for name, reason in left_out.items() if not reason]
    if file.resources["appSettings"].body["properties"] != "union(settings, acsKey, extraSettings)":
        faults.append("recorder.bicep: appSettings are not settings, acsKey and extraSettings")
    return faults + _secret_settings(file)


def _secret_settings(file: Bicep) -> list[str]:
    faults = []
    if "'@Microsoft.KeyVault(SecretUri=${acsConnectionStringSecretUri})'" not in file.variables["acsKey"]:
        faults.append("recorder.bicep: ACS_CONNECTION_STRING is no Key Vault reference")
    if file.variables["settings"].get("APPLICATIONINSIGHTS_AUTHENTICATION_STRING") != "Authorization=AAD":
        faults.append("recorder.bicep: telemetry is not sent by the identity")
    allowed = {"APPLICATIONINSIGHTS_CONNECTION_STRING"}
    named = {name for name in file.variables["settings"] if re.search("KEY|SECRET|CONNECTION_STRING", name)}
    return faults + [f"recorder.bicep: {name} may hold a secret" for name in sorted(named - allowed)]


def usable_settings(root: Path) -> list[str]:
    """The code starts with what is deployed."""
    file = _recorder(root)
    storage = parse(root / "infra" / "app" / "storage.bicep").variables
    given = {}
    for name, set_to in file.variables["settings"].items():
        if not isinstance(set_to, Expr):
            given[name] = set_to
        elif set_to in storage:
            given[name] = str(storage[set_to])
        elif number := re.fullmatch(r"string\((\w+)\)", set_to):
            given[name] = str(file.params[number[1]].default)
        else:
            given[name] = re.sub(r"\$\{\w+\}", lambda one: _COMPUTED[one[0]], _COMPUTED.get(set_to, set_to.strip("'")))
    try:
        load_settings(given)
    except SettingsError as error:
        return error.faults
    return []


def containers(root: Path) -> list[str]:
    """The containers that are made are those of the settings' defaults, and the settings name them."""
    storage = parse(root / "infra" / "app" / "storage.bicep")
    example = json.loads((root / "local.settings.json.example").read_text())["Values"]
    wanted = {
        "FALLBACK_CONTAINER": "fallbackContainer",
        "LEDGER_CONTAINER": "ledgerContainer",
        "REJECTED_EVENTS_CONTAINER": "rejectedContainer",
    }
    deployed = _recorder(root).variables["settings"]
    main = parse(root / "infra" / "main.bicep").modules["recorder"].body["params"]
    faults = []
    for setting, name in wanted.items():
        if storage.variables.get(name) != example[setting]:
            faults.append(f"storage.bicep: {name} is {storage.variables.get(name)!r}, not {example[setting]!r}")
        if (
            deployed.get(setting) != name
            or main.get(name) != f"storage.outputs.{name}"
            or storage.outputs.get(name) != name
        ):
            faults.append(f"{setting} is not what storage.bicep makes")
    made = storage.variables["containerNames"]
    every = {"packageContainer", "deadLetterContainer", *wanted.values()}
    if set(made) != every or storage.resources["containers"].body["name"] != "container":
        faults.append(f"storage.bicep: makes {made}, not {sorted(every)}")
    return faults


def names(root: Path) -> list[str]:
    """Queues and functions are called as function_app.py calls them; the hooks ask under host.json's prefix."""
    made = set(parse(root / "infra" / "app" / "storage.bicep").variables["queueNames"])
    faults = [f"storage.bicep: queue {name} is not made" for name in sorted(queues() - made)]
    faults += [f"storage.bicep: the code has no queue {name}" for name in sorted(made - queues() - QUEUES_TO_COME)]
    for path in sorted((root / "infra").rglob("*.bicep")):
        content = path.read_text()
        for name in re.findall(r"/functions/(\w+)", content):
            if name not in event_functions():
                faults.append(f"{path.name}: {name} takes no events")
        faults += [
            f"{path.name}: no function {name}"
            for name in re.findall(r"'function:(\w+)'", content)
            if name not in bindings()
        ]
    prefix = json.loads((root / "host.json").read_text())["extensions"]["http"]["routePrefix"]
    for hook in ("postdeploy.sh", "postdeploy.ps1"):
        content = (root / "scripts" / hook).read_text()
        [name] = re.findall(r"^\$?function ?= ?'?(\w+)'?$", content, re.MULTILINE)
        if name not in event_functions():
            faults.append(f"{hook}: {name} takes no events")
        if f"/{prefix}/recordings?limit=1" not in content:
            faults.append(f"{hook}: asks under another prefix than host.json's")
    return faults


def subscription(root: Path) -> list[str]:
    """Both event types, for as long as ACS keeps a recording; what Event Grid gives up on is kept."""
    has: dict[str, Any] = (
        parse(root / "infra" / "app" / "subscription.bicep").resources["subscription"].body["properties"]
    )
    faults = []
    if has["filter"].get("includedEventTypes") != EVENT_TYPES:
        faults.append(f"subscription.bicep: {has['filter']}")
    if has.get("retryPolicy") != {"eventTimeToLiveInMinutes": 1440, "maxDeliveryAttempts": 30}:
        faults.append(f"subscription.bicep: {has.get('retryPolicy')}")
    dead = has.get("deadLetterWithResourceIdentity", {}).get("deadLetterDestination", {})
    if dead.get("properties") != {"resourceId": "storageId", "blobContainerName": "deadLetterContainer"}:
        faults.append("subscription.bicep: no dead letters")
    topic = parse(root / "infra" / "app" / "events.bicep").resources["topic"].body
    if (
        topic["location"] != "global"
        or topic["properties"]["topicType"] != "Microsoft.Communication.CommunicationServices"
    ):
        faults.append("events.bicep: not a topic of Communication Services")
    return faults


def retention(root: Path) -> list[str]:
    """No rule deletes what is unfinished, or from the fallback; soft delete and locks are there."""
    file = parse(root / "infra" / "app" / "storage.bicep")
    faults = []
    held = [f"{file.variables['ledgerContainer']}/open/x", f"{file.variables['fallbackContainer']}/x"]
    for rule in ("rejectedRule", "ledgerRule"):
        prefixes = file.variables[rule]["definition"]["filters"].get("prefixMatch") or [""]
        for prefix in prefixes:
            full = re.sub(r"\$\{(\w+)\}", lambda name: str(file.variables[name[1]]), prefix.strip("'"))
            faults += [f"storage.bicep: {rule} deletes {one}" for one in held if one.startswith(full)]
    rules = file.resources["lifeCycle"].body["properties"]["policy"]["rules"]
    if rules != "ledgerRetentionDays > 0 ? [rejectedRule, ledgerRule] : [rejectedRule]":
        faults.append(f"storage.bicep: rules are {rules}")
    for name, one in all_files(root / "infra").items():
        for service in one.of_type("Microsoft.Storage/storageAccounts/blobServices"):
            for policy in ("deleteRetentionPolicy", "containerDeleteRetentionPolicy"):
                if not service.body["properties"].get(policy, {}).get("enabled"):
                    faults.append(f"{name}: {policy} is off")
            locks = one.of_type("Microsoft.Authorization/locks")
            if [lock.body["properties"]["level"] for lock in locks] != ["CanNotDelete"]:
                faults.append(f"{name}: no lock against deletion")
    return faults


def memory(root: Path) -> list[str]:
    """Host, idle worker and the rescues' blocks fit into an instance, with as much again to spare."""
    file = _recorder(root)
    instance, rescue = file.params["instanceMemory"].default, file.params["rescueMemory"].default
    scale = file.resources["app"].body["properties"]["functionAppConfig"]["scaleAndConcurrency"]
    faults = []
    if 2 * (rescue + 400) > instance:
        faults.append(f"recorder.bicep: {rescue} MiB of blocks in an instance of {instance} MB")
    if scale["instanceMemoryMB"] != "instanceMemory" or scale["maximumInstanceCount"] != "maximumInstances":
        faults.append("recorder.bicep: memory or instances are not bounded")
    threads = int(file.variables["settings"]["PYTHON_THREADPOOL_THREAD_COUNT"])
    if file.params["httpConcurrency"].default > threads // 2:
        faults.append(f"recorder.bicep: requests may take more than half of {threads} threads; events need some")
    return faults


def queries(root: Path) -> list[str]:
    """Every log event that a rule or the workbook asks for is one that the code logs."""
    code = "\n".join(path.read_text() for path in sorted((root / "shared").rglob("*.py")))
    asked = (root / "infra" / "app" / "monitoring.bicep").read_text() + (root / "infra" / "workbook.json").read_text()
    events = set(re.findall(r"\\?\"event\\?\":\\?\"([a-z_]+\.[a-z_]+)", asked.replace('\\"', '"')))
    events |= set(re.findall(r"event == '([\w.]+)'", asked))
    for group in re.findall(r"event in \(([^)]*)\)", asked):
        events |= set(re.findall(r"'([\w.]+)'", group))
    faults = [f"the code logs no {name}" for name in sorted(events) if f'"{name}"' not in code]
    runbook = (root / "docs" / "operations.md").read_text()
    for name in ("needsPerson",):
        query = parse(root / "infra" / "app" / "monitoring.bicep").variables[name].strip()
        if query not in runbook:
            faults.append(f"monitoring.bicep: {name} is not the rule of docs/operations.md")
    return faults if len(events) >= 4 else [*faults, f"too few events found: {events}"]
