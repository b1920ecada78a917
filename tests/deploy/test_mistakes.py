"""Each check sees the mistake that it is there for."""

import shutil
from pathlib import Path

import pytest

from tests.deploy.checks import CHECKS
from tests.deploy.facts import ROOT
from tests.deploy.mistakes import MISTAKES

PARTS = (
    "infra",
    "scripts",
    "docs",
    "shared",
    ".github",
    "azure.yaml",
    "host.json",
    "README.md",
    "local.settings.json.example",
)


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_seen(mistake: str, tmp_path: Path) -> None:
    name, right, wrong, check = MISTAKES[mistake]
    for part in PARTS:
        source = ROOT / part
        if source.is_dir():
            shutil.copytree(source, tmp_path / part, ignore=shutil.ignore_patterns("*.png", "__pycache__"))
        elif source.exists():
            shutil.copy(source, tmp_path / part)
    path = tmp_path / name
    content = path.read_text()
    assert right in content
    path.write_text(content.replace(right, wrong))
    assert CHECKS[check](tmp_path) != []


def test_every_check_is_tried() -> None:
    assert {check for *_, check in MISTAKES.values()} == set(CHECKS)
