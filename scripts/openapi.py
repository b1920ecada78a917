"""Writes shared/api/openapi.json from docs/openapi.yaml (`make openapi`): the app serves it and parses no YAML."""

from __future__ import annotations

import json
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent
SOURCE, TARGET = ROOT / "docs" / "openapi.yaml", ROOT / "shared" / "api" / "openapi.json"


def rendered() -> str:
    """The document as JSON."""
    return json.dumps(yaml.safe_load(SOURCE.read_text(encoding="utf-8")), ensure_ascii=False, indent=1) + "\n"


if __name__ == "__main__":
    TARGET.write_text(rendered(), encoding="utf-8")
