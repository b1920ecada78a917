"""Undoes what an app changes in the process that runs it: loaded modules and environment variables."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from types import ModuleType

# In the app's folder, but not part of the app.
_NEVER_DEPLOYED = {"__main__", "local", "tests", "bench", "conftest"}


class AppModules:
    """Loads the app's own modules anew for each run, as a new process would.

    Between `enter` and `leave` the app's folder is first on the path; `leave` restores the modules loaded before.
    """

    def __init__(self, app_dir: Path) -> None:
        self._folder = app_dir
        self._before: dict[str, ModuleType] | None = None

    def enter(self) -> None:
        """Unloads everything that was loaded from the app's folder."""
        self._before = self._take_out()
        sys.path.insert(0, str(self._folder))

    def leave(self) -> None:
        """Undoes `enter`, if it was called."""
        if self._before is None:
            return
        self._take_out()
        sys.modules.update(self._before)
        if str(self._folder) in sys.path:
            sys.path.remove(str(self._folder))

    def _take_out(self) -> dict[str, ModuleType]:
        loaded = {name: module for name, module in sys.modules.items() if self._is_of_app(name, module)}
        for name in loaded:
            del sys.modules[name]
        return loaded

    def _is_of_app(self, name: str, module: ModuleType) -> bool:
        file = getattr(module, "__file__", None)
        if not file or name.partition(".")[0] in _NEVER_DEPLOYED:
            return False
        return file.startswith(f"{self._folder}{os.sep}") and "site-packages" not in file


class Environment:
    """Sets environment variables; `restore` puts the previous values back."""

    def __init__(self) -> None:
        self._before: dict[str, str | None] = {}

    def set(self, values: Mapping[str, str]) -> None:
        """Sets the variables."""
        for name, value in values.items():
            self._before.setdefault(name, os.environ.get(name))
            os.environ[name] = value

    def restore(self) -> None:
        """Undoes `set`."""
        for name, value in self._before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        self._before.clear()
