"""All checks, by the names that the tests and the table of mistakes call them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.deploy import check_access, check_app, check_language, check_scripts

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

CHECKS: dict[str, Callable[[Path], list[str]]] = {
    "language.syntax": check_language.syntax,
    "language.versions": check_language.versions,
    "language.documentation": check_language.documentation,
    "language.names": check_language.names,
    "language.modules": check_language.modules,
    "language.outputs": check_language.outputs,
    "language.azd_parameters": check_language.azd_parameters,
    "access.roles": check_access.roles,
    "access.keys": check_access.keys,
    "access.identities": check_access.identities,
    "access.groups": check_access.groups,
    "app.settings": check_app.settings,
    "app.usable_settings": check_app.usable_settings,
    "app.containers": check_app.containers,
    "app.names": check_app.names,
    "app.subscription": check_app.subscription,
    "app.retention": check_app.retention,
    "app.memory": check_app.memory,
    "app.queries": check_app.queries,
    "scripts.syntax": check_scripts.syntax,
    "scripts.twins": check_scripts.twins,
    "scripts.variables": check_scripts.variables,
    "scripts.templates": check_scripts.templates,
    "scripts.azd_commands": check_scripts.azd_commands,
    "scripts.azd_project": check_scripts.azd_project,
    "scripts.parameters_of_azd": check_scripts.parameters_of_azd,
}
