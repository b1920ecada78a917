"""The states of a chunk, and the picture of them."""

from __future__ import annotations

from pathlib import Path

from shared.domain.lifecycle import states_diagram


def test_the_diagram_in_the_documentation_is_the_table() -> None:
    page = Path(__file__).parents[3] / "docs" / "architecture.md"
    assert f"```mermaid\n{states_diagram()}\n```" in page.read_text()
