"""Groups of what holds unfinished recordings up."""

from __future__ import annotations

from typing import Any

import pytest

from shared.api.causes import HINTS, causes, hint
from shared.domain import errors
from shared.domain.errors import Blame, InvalidRequest
from shared.domain.journal import noted
from shared.domain.naming import recording_key
from shared.domain.recording import ChunkState, Manifest, Plan, Problem
from tests.support.fakes import World
from tests.unit.builders import CONTAINER_URL, HOUR, NOON, chunk, recording


@pytest.fixture
def world() -> World:
    return World()


def made(world: World, name: str, *chunks: Any, **changes: Any) -> str:
    one = recording(*chunks, key=recording_key(name), recording_id=name, **changes)
    world.app().store.commit(one.key, None, lambda _: one)
    return one.key


def failed(code: str, blame: Blame, **changes: Any) -> Any:
    return chunk(0, last_error=Problem(code, blame, "no", NOON), **changes)


def test_recordings_are_grouped_by_cause_and_where_the_container_is_to_blame_by_that(world: World) -> None:
    denied = {
        name: made(
            world,
            name,
            failed("storage_access_denied", Blame.DESTINATION, at_risk_from=NOON + hours * HOUR),
            container_url=f"{CONTAINER_URL}/{place}",
        )
        for name, hours, place in (("a", 9, "x"), ("b", 5, "x"), ("c", 7, "y"))
    }
    gone = made(world, "d", failed("media_not_found", Blame.ACS, at_risk_from=NOON + HOUR), container_url=CONTAINER_URL)
    made(world, "waits", chunk())
    done = chunk(0, ChunkState.LOST, last_error=Problem("media_not_found", Blame.ACS, "no", NOON))
    made(world, "over", done, closed_at=NOON, manifest=Manifest("written"))
    role = "Give this app's identity the role Storage Blob Data Contributor on the container, then replay."
    first, second, third = causes(world.app().store)["causes"]
    assert (first["cause"], first["blame"], first["count"], first["sample"]) == ("media_not_found", "acs", 1, [gone])
    assert "containerUrl" not in first
    assert second == {
        "cause": "storage_access_denied",
        "blame": "destination",
        "containerUrl": f"{CONTAINER_URL}/x",
        "count": 2,
        "nearestRisk": "2026-11-22T17:00:00.000Z",
        "sample": [denied["b"], denied["a"]],
        "hint": role,
    }
    assert (third["containerUrl"], third["sample"]) == (f"{CONTAINER_URL}/y", [denied["c"]])


def test_a_sample_is_small_and_what_is_safe_has_no_risk(world: World) -> None:
    denied = Problem("storage_network_denied", Blame.DESTINATION, "403", NOON)
    for number in range(8):
        made(world, f"r{number}", chunk(0, ChunkState.IN_FALLBACK, last_error=denied))
    [group] = causes(world.app().store)["causes"]
    assert (group["count"], len(group["sample"])) == (8, 5)
    assert "nearestRisk" not in group


def test_a_manifest_that_cannot_be_written_is_a_cause(world: World) -> None:
    done = chunk(0, ChunkState.RESCUED, metadata_state="saved", next_attempt_at=None)
    one = noted(recording(done, finishing=Plan(NOON + HOUR, 2)), "manifest_failed", at=NOON, code="storage_full")
    world.app().store.commit(one.key, None, lambda _: one)
    [group] = causes(world.app().store)["causes"]
    assert (group["cause"], group["blame"]) == ("storage_full", "destination")


def test_a_parameter_is_refused(world: World) -> None:
    with pytest.raises(InvalidRequest):
        causes(world.app().store, [("state", "lost")])


def subclasses(kind: type[errors.RecorderError]) -> list[type[errors.RecorderError]]:
    return [kind, *(one for below in kind.__subclasses__() for one in subclasses(below))]


def test_every_failure_of_a_step_has_a_hint() -> None:
    """What can be the newest failure of a chunk: media, storage, exports, conflicts, crashes."""
    kinds = [*subclasses(errors.MediaError), *subclasses(errors.StorageError)]
    kinds += [errors.DestinationConflict, errors.ExportNotFound, errors.ExportEmpty, errors.ExportBroken]
    kinds += [errors.FallbackMissing, errors.Unexpected, errors.WorkerCrashed]
    assert {kind.code for kind in kinds} - set(HINTS) == set()
    known = {kind.code for kind in subclasses(errors.RecorderError)} | {"event_overdue"}
    assert set(HINTS) - known == set()


def test_a_hint_names_whose_storage_it_is() -> None:
    assert "the app's own storage account" in hint("storage_access_denied", "app")
    assert hint("nothing_known", "acs") == "Look at the error of one of the recordings."
    assert all("{" not in hint(code, "destination") for code in HINTS)
