"""Small function apps written by the tests, and one Azurite for those with queues."""

from __future__ import annotations

import json
import textwrap
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

_HEAD = """
import asyncio, json, logging, os, threading, time
import azure.functions as func
app = func.FunctionApp()
"""

AppMaker = Callable[..., Path]


@pytest.fixture
def queue_name() -> str:
    return f"q-{uuid.uuid4().hex[:12]}"


@pytest.fixture
def make_app(tmp_path: Path) -> AppMaker:
    """Writes a function app whose `function_app.py` has `code` after the usual first lines."""

    def make(code: str, *, host: dict[str, Any] | None = None, settings: dict[str, Any] | None = None) -> Path:
        folder = tmp_path / "app"
        folder.mkdir(exist_ok=True)
        (folder / "function_app.py").write_text(_HEAD + textwrap.dedent(code), encoding="utf-8")
        (folder / "host.json").write_text(json.dumps({"version": "2.0", **(host or {})}), encoding="utf-8")
        if settings is not None:
            (folder / "local.settings.json").write_text(json.dumps({"Values": settings}), encoding="utf-8")
        return folder

    return make
