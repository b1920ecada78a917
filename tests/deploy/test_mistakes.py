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


EVERY = [(file, *rest) for file, mistakes in MISTAKES.items() for _, *rest in mistakes]


@pytest.mark.parametrize(
    ("name", "right", "wrong", "check"), EVERY, ids=[mistake for of in MISTAKES.values() for mistake, *_ in of]
)
def test_a_mistake_is_seen(name: str, right: str, wrong: str, check: str, tmp_path: Path) -> None:
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
    assert {check for *_, check in EVERY} == set(CHECKS)
