"""Tells when the app's files change, for the host to load it anew as func does: Python files, host.json, settings."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from watchfiles import Change, awatch

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

# Folders that hold no code of the app; watching them would cost thousands of watches.
_SKIPPED = {"node_modules", "__pycache__", "site-packages"}
_QUIET_MS = 100


async def changes(app_dir: Path, settings_file: str) -> AsyncIterator[list[str]]:
    """Yields the names of changed files, one list a burst of changes."""
    watched = {"host.json", settings_file}

    def matters(_: Change, path: str) -> bool:
        return path.endswith(".py") or Path(path).name in watched

    while True:
        # Folder by folder: a watch of the whole tree would take in .venv and node_modules.
        async for burst in awatch(
            *_folders(app_dir), watch_filter=matters, step=_QUIET_MS, recursive=False, rust_timeout=1000
        ):
            yield sorted({path.removeprefix(f"{app_dir}/") for _, path in burst})
            break  # look again which folders there are


def _folders(app_dir: Path) -> list[Path]:
    found = []
    for folder, names, files in os.walk(app_dir):
        names[:] = [
            name
            for name in names
            if name not in _SKIPPED and not name.startswith(".") and not (Path(folder) / name / "pyvenv.cfg").exists()
        ]
        if Path(folder) == app_dir or any(name.endswith(".py") for name in files):
            found.append(Path(folder))
    return found
