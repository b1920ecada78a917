"""Point 3: the documented `deleteLocation` (`…/content/deletedata`), short ones, `contentLocation` null or a blob URL
with nothing there, `metadataLocation` only: the media is found.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import pytest

from local.acs import EventForm
from tests.e2e.support import plan
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from tests.e2e.support import World


def without(*names: str, **more: str) -> EventForm:
    return EventForm(omit=frozenset(names), **more)  # type: ignore[arg-type]  # texts only


FORMS = {
    "documented deleteLocation only": without("contentLocation", "metadataLocation", delete_location="documented"),
    "short deleteLocation only": without("contentLocation", "metadataLocation"),
    "contentLocation null": EventForm(state=(("contentLocation", None),), delete_location="documented"),
    "a blob URL with nothing there": EventForm(content_location="missing-blob", delete_location="documented"),
    "the same, and a short deleteLocation": EventForm(content_location="missing-blob"),
    "metadataLocation only": without("contentLocation", "deleteLocation"),
    "the metadata beside a blob that is missing": without("deleteLocation", content_location="missing-blob"),
    "no URL of the container or of metadata": without("metadataLocation", delete_location="documented"),
}


@pytest.mark.parametrize("form", FORMS.values(), ids=list(FORMS))
def test_the_media_is_found(world: World, form: EventForm) -> None:
    """And with it the metadata, where the event says that there are any."""
    recorded = world.start()
    recorded.end(plan(60_000, 30_000, export="firewall", event_form=form))
    story = eventually(lambda: _closed(recorded.story()), what="the rescue")
    assert (story["state"], story["route"]) == ("complete", "rescued")
    real = world.stack.acs.truth(recorded.id)["chunks"]
    assert [one["sha256"] for one in story["chunks"]] == [one["sha256"] for one in real]
    for one in story["chunks"]:
        name = one["blob"].split("/recordings/")[1]
        data = world.blobs.get_blob_client("recordings", name).download_blob().readall()
        assert hashlib.sha256(data).hexdigest() == one["sha256"]
    metadata = "absent" if "metadataLocation" in form.omit else "saved"
    assert {one["metadata"] for one in story["chunks"]} == {metadata}


def _closed(story: dict[str, Any]) -> dict[str, Any] | None:
    return story if story.get("closedAt") and "nextDueAt" not in story else None


def test_with_no_location_at_acs_a_person_is_told_and_a_later_event_is_enough(world: World) -> None:
    """Nothing names the media: that is said at once, and the event that does comes later."""
    recorded = world.start()
    form = without("contentLocation", "metadataLocation", "deleteLocation")
    recorded.end(plan(60_000, export="firewall", event_form=form))
    world.stack.acs.wait_idle()
    recorded.wait_for("pending")
    world.stack.acs.publish_again(recorded.id, form=EventForm())
    assert recorded.whole()["route"] == "rescued"
