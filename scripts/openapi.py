"""Writes shared/api/openapi.json from docs/openapi.yaml (`make openapi`): the app serves it and parses no YAML."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
SOURCE, TARGET = ROOT / "docs" / "openapi.yaml", ROOT / "shared" / "api" / "openapi.json"


class Strict(yaml.SafeLoader):
    """Refuses a key that is given twice: YAML would take the last one, and a merge may leave two."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002 - the base class's
        """See the base class. ValueError."""
        keys = [key.value for key, _ in node.value]
        if twice := {key for key in keys if keys.count(key) > 1 and key != "<<"}:
            raise ValueError(f"{', '.join(sorted(twice))} twice in one mapping, line {node.start_mark.line + 1}")
        return super().construct_mapping(node, deep=deep)


def written() -> Any:
    """The document as it is written. ValueError where a key is given twice."""
    return yaml.load(SOURCE.read_text(encoding="utf-8"), Loader=Strict)  # noqa: S506 - a safe loader, made stricter


def rendered() -> str:
    """The document as JSON."""
    return json.dumps(written(), ensure_ascii=False, indent=1) + "\n"


if __name__ == "__main__":
    TARGET.write_text(rendered(), encoding="utf-8")
