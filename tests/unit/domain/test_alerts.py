"""Every alert that the code can raise is explained, at the level that it is raised at; and the runbook says so."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

import pytest

from shared.domain import errors
from shared.domain.alerts import ALERTS
from shared.domain.locations import Place
from shared.domain.recording import ChunkState
from tests.support import runbook
from tests.support.runbook import PAGE
from tests.unit.test_docs import beginning, calls, subclasses

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shared.domain.alerts import Alert

# Failures of steps on a chunk, and of the manifest: each is an alert at once, or when it lasts.
OF_STEPS = (
    errors.MediaError,
    errors.StorageError,
    errors.DestinationConflict,
    errors.ExportNotFound,
    errors.ExportEmpty,
    errors.ExportBroken,
    errors.FallbackMissing,
    errors.Unexpected,
    errors.WorkerCrashed,
)
# Names that are no literals where they are raised.
COMPUTED = {ChunkState.LOST.value, ChunkState.UNCONFIRMED.value} | {
    f"location_{place.value}" for place in (Place.FOREIGN, Place.OTHER_BLOB)
}
# Raised by `_worker_died` with a code of its own, by the intake under a variable, and by the store as a log line.
ELSEWHERE = {"worker_crashing", "location_of_another_document", "ledger_unreadable"}


def literal() -> Iterator[tuple[str, str]]:
    """Name and level of each alert that is raised by its name."""
    for call in calls("alerted"):
        name = beginning(call.args[1]) if len(call.args) > 1 else None
        if name:
            level = next((one.value for one in call.keywords if one.arg == "level"), None)
            yield name, str(level.value) if isinstance(level, ast.Constant) else "error"


def causes() -> set[str]:
    return {below.code for kind in OF_STEPS for below in subclasses(kind)}


def test_the_table_has_every_alert_and_no_other() -> None:
    raised = {name for name, _ in literal()} | causes() | COMPUTED | ELSEWHERE
    assert set(ALERTS) == raised


def test_every_alert_is_explained_at_its_level() -> None:
    for name, level in literal():
        assert ALERTS[name].level == level, name
    for name in ("export_not_found", "export_empty"):
        assert ALERTS[name].level == "warning"


@pytest.mark.parametrize("alert", ALERTS.values(), ids=lambda one: one.name)
def test_an_alert_says_what_it_means_where_to_look_and_what_to_mend(alert: Alert) -> None:
    for text in (alert.means, alert.look, alert.mend):
        assert len(text) > 5
        assert "  " not in text
    assert alert.means.endswith(".")


def test_the_runbook_is_made_of_the_tables() -> None:
    """`python -m tests.support.runbook` writes it."""
    assert PAGE.read_text() == runbook.rendered(PAGE.read_text())


def test_a_runbook_without_its_marks_is_no_runbook() -> None:
    with pytest.raises(ValueError, match="0 parts named alerts"):
        runbook.rendered("# Operations")
