"""All checks, by the names that the tests and the table of mistakes call them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.deploy import check_access, check_app, check_language, check_scripts

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_NAMES = {
    check_language: "syntax versions documentation names modules outputs azd_parameters",
    check_access: "roles keys identities groups",
    check_app: "settings usable_settings containers names subscription retention memory queries",
    check_scripts: "syntax twins variables templates azd_commands azd_project parameters_of_azd",
}
CHECKS: dict[str, Callable[[Path], list[str]]] = {
    f"{module.__name__.rpartition('_')[2]}.{name}": getattr(module, name)
    for module, names in _NAMES.items()
    for name in names.split()
}
