"""The ways of a recording from the call's end into the container, each over real processes."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from tests.e2e.support import ARCHIVE, plan
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from tests.e2e.support import World


def test_an_export_is_verified_and_told(world: World) -> None:
    """An exported recording is looked at, not copied; the manifest says how it came."""
    recorded = world.start()
    story = recorded.end(plan(300_000)).whole()
    assert (story["state"], story["route"], story["attempts"]) == ("complete", "exported", 1)
    assert story["chunks"][0]["metadata"] == "saved"
    assert world.stack.acs.truth(recorded.id)["chunks"][0]["requests"] == {}
    manifest = recorded.manifest()
    assert (manifest["state"], manifest["route"], manifest["callId"]) == (
        "complete",
        "exported",
        recorded.call.call_id,
    )


def test_a_failed_export_is_rescued_after_an_outage(world: World) -> None:
    """While ACS's media store is down the attempts go on; the window ends 24 h after the recording's end."""
    recorded = world.start(recordingContent="audioVideo")
    for operation in ("media", "metadata"):
        until = world.stack.clock.now() + timedelta(seconds=4)
        world.stack.acs.add_fault(kind="status", status=503, operation=operation, recording_id=recorded.id, end=until)
    recorded.end(plan(3_500_000, export="service-outage"))
    eventually(lambda: recorded.story()["attempts"])
    waiting = recorded.story()
    assert waiting["state"] == "saving"
    error = waiting["chunks"][0]["lastError"]
    assert (error["code"], error["blame"]) == ("media_unavailable", "acs")
    assert 23.9 < waiting["hoursLeft"] <= 24
    story = recorded.whole()
    assert story["route"] == "rescued"
    assert story["attempts"] >= 1
    assert "hoursLeft" not in story
    truth = world.stack.acs.truth(recorded.id)
    ended = datetime.fromisoformat(truth["endedAt"])
    at_risk_from = datetime.fromisoformat(waiting["atRiskFrom"])
    assert abs(at_risk_from - ended - timedelta(hours=24)) < timedelta(seconds=1)


def test_a_rescue_looks_as_the_export_would(world: World) -> None:
    """Folder, names and metadata of a rescue follow ACS's layout; only the guid is another."""
    recorded = world.start(recordingContent="audio", recordingChannel="unmixed")
    chunk = recorded.end(plan(400_000, export="firewall")).whole()["chunks"][0]
    real = world.stack.acs.truth(recorded.id)["chunks"][0]
    for ours, acs in zip((chunk["blob"], chunk["metadataBlob"]), real["blobNames"], strict=True):
        day, call_id, folder, file = ours.removeprefix(world.url("recordings") + "/").split("/")
        assert [day, call_id, folder[:9], file] == [
            part if part != acs.split("/")[2] else part[:9] for part in acs.split("/")
        ]
    facts = world.blobs.get_blob_client("recordings", chunk["blob"].split("/recordings/")[1]).get_blob_properties()
    assert facts.content_settings.content_type == "audio/wav"
    assert facts.metadata == {"sha256": real["sha256"]}


def test_of_three_chunks_only_the_failed_one_is_fetched(world: World) -> None:
    """A mixed event is decided chunk by chunk; the rescued one lies beside the exported ones."""
    recorded = world.start(recordingFormat="wav")
    story = recorded.end(plan(200_000, 2_500_000, 100_000, export_failed_chunks=frozenset({1}))).whole()
    assert story["route"] == "mixed"
    assert story["chunkStates"] == {"exported": 2, "rescued": 1}
    assert len({chunk["blob"].rpartition("/")[0] for chunk in story["chunks"]}) == 1
    truth = world.stack.acs.truth(recorded.id)
    assert [sorted(chunk["requests"]) for chunk in truth["chunks"]] == [[], ["media", "metadata"], []]
    assert [chunk["route"] for chunk in recorded.manifest()["chunks"]] == ["exported", "rescued", "exported"]


def test_a_refusing_container_costs_nothing_but_time(world: World) -> None:
    """The bytes are kept in the fallback at once, an alert is raised, and after the repair they are delivered."""
    world.blobs.delete_container(ARCHIVE)
    # A place of its own: for minutes a start takes one for well that was well at an earlier start.
    recorded = world.start(containerUrl=f"{world.url(ARCHIVE)}/refusing")
    assert "container_missing" in recorded.started["warnings"][0]
    recorded.end(plan(1_700_000))
    kept = recorded.wait_for("in_fallback")
    assert kept["where"] == "fallback"
    assert kept["lastError"]["blame"] == "destination"
    assert recorded.story()["state"] == "safe"
    # The state is in the ledger a moment before the alert is.
    assert eventually(lambda: recorded.story()["alerts"]) == ["container_missing"]
    eventually(lambda: world.logged("alert.container_missing", recording=recorded.key))
    eventually(lambda: len(world.names("recording-fallback", recorded.key)) == 2, what="media and metadata")
    listed = world.get("/api/recordings?state=safe").json()["recordings"]
    assert recorded.key in [one["key"] for one in listed]
    world.blobs.create_container(ARCHIVE)
    story = recorded.whole()
    assert (story["route"], story["chunks"][0]["where"]) == ("delivered", "destination")
    eventually(lambda: not world.names("recording-fallback", recorded.key))


def test_a_place_within_a_container_is_kept_to(world: World) -> None:
    """A container URL with a prefix holds for exports, rescues and the manifest."""
    place = f"{world.url('recordings')}/tenant-7/calls"
    recorded = world.start(containerUrl=place)
    story = recorded.end(plan(50_000, 60_000, export_failed_chunks=frozenset({0}))).whole()
    names = [chunk["blob"] for chunk in story["chunks"]] + [f"{world.url('recordings')}/{story['manifest']['blob']}"]
    assert all(name.startswith(place + "/") for name in names)


def test_an_export_that_the_event_places_at_acs_is_found(world: World) -> None:
    """An event with media URLs in spite of an export: the container is looked at first, nothing comes twice."""
    recorded = world.start()
    story = recorded.end(plan(90_000, export="ok-but-media-url")).whole()
    assert story["route"] == "exported"
    assert "media" not in world.stack.acs.truth(recorded.id)["chunks"][0]["requests"]


def test_a_claimed_export_that_is_not_there_is_not_believed(world: World) -> None:
    """A reported export without a blob stays open and is alerted; when the blob comes after all, it is verified."""
    recorded = world.start()
    recorded.end(plan(80_000, export="claimed-missing"))
    eventually(lambda: recorded.story()["attempts"])
    chunk = recorded.chunk()
    assert (chunk["state"], chunk["lastError"]["code"]) == ("expected", "export_not_found")
    world.stack.acs.late_export(recorded.id, chunks=frozenset({0}))
    assert recorded.whole()["route"] == "exported"


def test_an_empty_export_is_not_believed(world: World) -> None:
    """A blob without bytes does not count as an export."""
    recorded = world.start()
    recorded.end(plan(70_000, export="claimed-empty"))
    eventually(lambda: recorded.story()["attempts"])
    assert recorded.chunk()["lastError"]["code"] == "export_empty"
    world.stack.acs.late_export(recorded.id, chunks=frozenset({0}))
    assert recorded.whole()["route"] == "exported"


def test_an_export_while_the_rescue_waits_leaves_one_blob(world: World) -> None:
    """ACS exports late, between two tries: the next try finds it and fetches nothing."""
    recorded = world.start()
    fault = world.stack.acs.add_fault(kind="status", status=503, operation="media", recording_id=recorded.id)
    recorded.end(plan(1_200_000, export="service-outage"))
    eventually(lambda: recorded.story()["attempts"])
    world.stack.acs.late_export(recorded.id)
    story = recorded.whole()
    assert story["route"] == "exported"
    assert world.stack.acs.faults.remove(fault.fault_id)


def test_an_export_after_the_rescue_is_told_and_overwrites_nothing(world: World) -> None:
    """ACS writes into a folder of its own: our files stay as they are, there is no third copy, and it is noted."""
    recorded = world.start()
    story = recorded.end(plan(600_000, export="service-outage")).whole()
    before = {name for name in world.names("recordings") if recorded.call.call_id in name}
    world.stack.acs.late_export(recorded.id, event=True)
    eventually(lambda: _kinds(recorded.story()) & {"late_export"})
    after = recorded.story()
    assert after["chunks"] == story["chunks"]
    assert (after["state"], after["closedAt"]) == ("complete", story["closedAt"])
    acs = set(world.stack.acs.truth(recorded.id)["chunks"][0]["blobNames"])
    assert {name for name in world.names("recordings") if recorded.call.call_id in name} == before | acs


def _kinds(story: dict[str, Any]) -> set[str]:
    return {entry["kind"] for entry in story["timeline"]}
