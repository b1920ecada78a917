"""Checks of who may do what: roles with their scopes and principals, and that no key opens anything."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from tests.deploy.tree import Bicep, Block, all_files, text, walk

if TYPE_CHECKING:
    from pathlib import Path

# Microsoft's built-in roles ("Azure built-in roles").
ROLES = {
    "storageBlobDataOwner": "b7e6dc6d-f1e8-4753-8033-0f276bb0955b",
    "storageBlobDataContributor": "ba92f5b4-2d11-453d-a403-e96b0029c9fe",
    "storageBlobDataReader": "2a2b9908-6ea1-4ae2-8e65-a410df84e7d1",
    "storageQueueDataContributor": "974c5e8b-45b9-4653-ba55-5f855dd0fb88",
    "storageTableDataContributor": "0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3",
    "monitoringMetricsPublisher": "3913510d-42f4-4e42-8a64-420c390055eb",
    "contributor": "b24988ac-6180-42a0-ab88-20f7382dd24c",
    "communicationAndEmailServiceOwner": "09976791-48a7-449e-bb21-39d1a415f350",
}
_ACCOUNT = "Microsoft.Storage/storageAccounts"
_CONTAINER = f"{_ACCOUNT}/blobServices/containers"
_INSIGHTS = "Microsoft.Insights/components"
_ACS = "Microsoft.Communication/communicationServices"
_OWN, _OTHERS = "app/rbac.bicep", "app/access-destination.bicep"
# (file, role, type of the scope, what names the scope, principal, kind of principal): all of them, and no other.
WANTED = {
    (_OWN, "roles.storageBlobDataOwner", _ACCOUNT, "storageName", "appPrincipalId", "ServicePrincipal"),
    (_OWN, "roles.storageQueueDataContributor", _ACCOUNT, "storageName", "appPrincipalId", "ServicePrincipal"),
    (_OWN, "roles.storageTableDataContributor", _ACCOUNT, "storageName", "appPrincipalId", "ServicePrincipal"),
    (_OWN, "roles.monitoringMetricsPublisher", _INSIGHTS, "insightsName", "appPrincipalId", "ServicePrincipal"),
    (
        _OWN,
        "roles.storageBlobDataContributor",
        _CONTAINER,
        "deadLetterContainer",
        "topicPrincipalId",
        "ServicePrincipal",
    ),
    (_OWN, "roles.storageBlobDataReader", _ACCOUNT, "storageName", "operatorsGroupId", "Group"),
    (_OTHERS, "roles.storageBlobDataContributor", _CONTAINER, "containerName", "acsPrincipalId", "ServicePrincipal"),
    (_OTHERS, "roles.storageBlobDataContributor", _CONTAINER, "containerName", "appPrincipalId", "ServicePrincipal"),
    ("app/access-acs.bicep", "role", _ACS, "acsName", "appPrincipalId", "ServicePrincipal"),
}
# Only these roles may be left out, by a parameter.
CONDITIONS = {"operatorsRead": "(!empty(operatorsGroupId))", "appRecords": "(access != 'keyVaultReference')"}
_ROLE_OF_ACS = "access == 'communicationOwner' ? roles.communicationAndEmailServiceOwner : roles.contributor"
_PRINCIPALS = {
    "appPrincipalId": "recorder.outputs.principalId",
    "topicPrincipalId": "empty(existingEventTopicId) ? events.outputs.principalId : topicExisting.identity.principalId",
    "operatorsGroupId": "operatorsGroupId",
}


def roles(root: Path) -> list[str]:
    """The role assignments are exactly those of `WANTED`, their ids Microsoft's."""
    faults = []
    if json.loads((root / "infra" / "roles.json").read_text()) != ROLES:
        faults.append("roles.json: an id is not that of the built-in role")
    files = all_files(root / "infra")
    found = set()
    for name, file in files.items():
        for one in file.of_type("Microsoft.Authorization/roleAssignments"):
            found.add((name, *_assignment(file, one)))
            faults += [f"{name}: {fault}" for fault in _form(one)]
    faults += [f"missing: {' '.join(one)}" for one in sorted(WANTED - found)]
    faults += [f"not wanted: {' '.join(one)}" for one in sorted(found - WANTED)]
    if files["app/access-acs.bicep"].variables.get("role") != _ROLE_OF_ACS:
        faults.append("access-acs.bicep: another role at ACS than Contributor or the narrower one")
    given = files["main.bicep"].modules["rbac"].body["params"]
    faults += [
        f"main.bicep: {one} of rbac is {given.get(one)}" for one in _PRINCIPALS if given.get(one) != _PRINCIPALS[one]
    ]
    return faults


def _assignment(file: Bicep, one: Block) -> tuple[str, str, str, str, str]:
    scope = file.resources.get(str(one.body.get("scope")))
    properties = one.body["properties"]
    role = re.sub(
        r"^subscriptionResourceId\('Microsoft.Authorization/roleDefinitions', (.*)\)$",
        r"\1",
        properties["roleDefinitionId"],
    )
    kind, name = (scope.type, str(scope.body["name"])) if scope else ("the resource group", "")
    return role, kind, name, str(properties["principalId"]), str(properties.get("principalType"))


def _form(one: Block) -> list[str]:
    """A name that a second run finds again, and no condition but the known ones."""
    faults = []
    scope, properties = one.body.get("scope"), one.body["properties"]
    role = str(properties["roleDefinitionId"]).rpartition(", ")[2].rstrip(")")
    if one.body["name"] != f"guid({scope}.id, {properties['principalId']}, {role})":
        faults.append(f"{one.name}: its name is not of scope, principal and role: {one.body['name']}")
    if one.condition != CONDITIONS.get(one.name):
        faults.append(f"{one.name}: given only if {one.condition}")
    return faults


def keys(root: Path) -> list[str]:
    """No key, no connection string, no listKeys; shared keys, local authentication and public blobs off."""
    faults = []
    for name, file in all_files(root / "infra").items():
        for node in walk(file.root):
            if node.type == "call_expression" and re.match(
                r"list[A-Z]\w*\(|list\(", text(node).rpartition(".")[2] or text(node)
            ):
                faults.append(f"{name}: {text(node)[:40]} reads a key")
            if node.type == "string_content" and re.search(
                r"(?i)accountkey=|accesskey=|sharedaccesskey|[?&]sig=", text(node)
            ):
                faults.append(f"{name}: a key in {text(node)[:40]!r}")
        faults += [
            f"{name}: {fault}" for one in file.resources.values() if not one.is_existing for fault in _closed(one)
        ]
    return faults


def _closed(one: Block) -> list[str]:
    wanted: dict[str, dict[str, object]] = {
        _ACCOUNT: {
            "allowSharedKeyAccess": False,
            "allowBlobPublicAccess": False,
            "minimumTlsVersion": "TLS1_2",
            "supportsHttpsTrafficOnly": True,
            "publicNetworkAccess": "network == 'private' ? 'Disabled' : 'Enabled'",
        },
        _CONTAINER: {"publicAccess": "None"},
        _INSIGHTS: {"DisableLocalAuth": True},
        "Microsoft.Web/sites": {"httpsOnly": True},
        "Microsoft.Web/sites/basicPublishingCredentialsPolicies": {"allow": False},
    }
    has = one.body.get("properties", {})
    return [
        f"{one.name}: {key} is {has.get(key)!r}, not {value!r}"
        for key, value in wanted.get(one.type, {}).items()
        if has.get(key) != value
    ]


def identities(root: Path) -> list[str]:
    """ACS, app and topic have a system-assigned identity, and package and dead letters travel by it."""
    files = all_files(root / "infra")
    faults = []
    for name, resource in (("app/acs.bicep", "acs"), ("app/recorder.bicep", "app"), ("app/events.bicep", "topic")):
        if files[name].resources[resource].body.get("identity") != {"type": "SystemAssigned"}:
            faults.append(f"{name}: {resource} has no system-assigned identity")
    app = files["app/recorder.bicep"].resources["app"].body["properties"]["functionAppConfig"]
    if app["deployment"]["storage"]["authentication"] != {"type": "SystemAssignedIdentity"}:
        faults.append("recorder.bicep: the package is fetched with a key")
    properties = files["app/subscription.bicep"].resources["subscription"].body["properties"]
    if properties.get("deadLetterWithResourceIdentity", {}).get("identity") != {"type": "SystemAssigned"}:
        faults.append("subscription.bicep: dead letters do not travel by the topic's identity")
    return faults


def groups(root: Path) -> list[str]:
    """main.bicep deploys into its own resource group alone: `azd down` deletes every group that it reaches."""
    main = all_files(root / "infra")["main.bicep"]
    foreign = [one.name for one in main.modules.values() if one.body.get("scope") != "group"]
    foreign += [one.name for one in main.resources.values() if not one.is_existing and one.name != "group"]
    return [f"main.bicep: {name} is not deployed into the new group" for name in foreign]
