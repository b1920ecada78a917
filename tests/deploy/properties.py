"""Whether Azure has the properties that the Bicep files set, by their names: as its SDKs for Python spell them.

The SDKs come with the Azure CLI (`.venv-deploy`). Their sources are read, not run: a name is known where any model of
that provider has it, so a property in the wrong place is not seen, a misspelt one is.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from tests.deploy.facts import ROOT
from tests.deploy.tree import all_files

if TYPE_CHECKING:
    from pathlib import Path

PACKAGES = {
    "Microsoft.Authorization": ("authorization", "resource"),
    "Microsoft.Communication": ("communication",),
    "Microsoft.EventGrid": ("eventgrid",),
    "Microsoft.Insights": ("monitor", "applicationinsights"),
    "Microsoft.Network": ("network", "privatedns"),
    "Microsoft.OperationalInsights": ("loganalytics",),
    "Microsoft.Resources": ("resource",),
    "Microsoft.Storage": ("storage",),
    "Microsoft.Web": ("web",),
}
# Of a version that the CLI's packages leave out: "Microsoft.Insights components 2020-02-02".
_NOT_IN_THE_SDK = {"Microsoft.Insights/components": {"DisableLocalAuth"}}
# Bicep's own, and values that a person names.
_OF_BICEP = {
    "parent",
    "scope",
    "dependsOn",
    "name",
    "type",
    "location",
    "tags",
    "identity",
    "properties",
    "kind",
    "sku",
}


def known(provider: str) -> set[str]:
    """Every property name of a provider's models."""
    [packages] = (ROOT / ".venv-deploy" / "lib").glob("python3*/site-packages/azure/mgmt")
    found: set[str] = set()
    for package in PACKAGES[provider]:
        for path in (packages / package).rglob("*model*.py"):
            found |= _in_source(path.read_text())
    return found


def _in_source(source: str) -> set[str]:
    """Names as the older generator writes them (`"key": "properties.x"`) and the newer (`rest_field(name="x")`)."""
    older = {
        part.replace("\\\\", "")
        for key in re.findall(r"""["']key["']: ["']([^"']+)["']""", source)
        for part in re.split(r"(?<!\\)\.", key)
    }
    newer = set(re.findall(r'rest_field\(\s*name="([^"]+)"', source))
    return older | newer | set(re.findall(r"^    (\w+): .*= rest_field\(", source, re.MULTILINE))


def unknown(root: Path) -> list[str]:
    """The properties that are set and that no model has."""
    spelt = {provider: known(provider) for provider in PACKAGES}
    faults = []
    for name, file in all_files(root / "infra").items():
        for one in file.resources.values():
            if one.is_existing or one.type == "Microsoft.Web/sites/config":
                continue
            names = _OF_BICEP | spelt[one.type.partition("/")[0]] | _NOT_IN_THE_SDK.get(one.type, set())
            faults += [f"{name}: {one.name}: Azure has no {key}" for key in sorted(_keys(one.body) - names)]
    return faults


def _keys(value: Any) -> set[str]:
    if isinstance(value, dict):
        return {*value, *(key for one in value.values() for key in _keys(one))}
    if isinstance(value, list):
        return {key for one in value for key in _keys(one)}
    return set()
