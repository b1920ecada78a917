"""Events that nobody at ACS sent: they reach no host and no container that is not on a list, and spoil no recording."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from shared.domain import naming
from shared.domain.errors import TooManyUntried
from shared.domain.locations import ContainerUrl, is_media_location
from shared.domain.recording import Chunk, ChunkState, RecordingState
from shared.intake.event import MAX_CHUNKS
from tests.security.hostile import (
    ARCHIVE,
    DOCUMENT,
    MEDIA,
    MP3,
    RECORDING_ID,
    Watchtower,
    chunk,
    cloud_event,
    event,
    is_sent_to_acs,
)
from tests.support.fakes import ACCOUNT, NOON, settings

if TYPE_CHECKING:
    from collections.abc import Callable

KEY = naming.recording_key(RECORDING_ID)

OFF_THE_LIST = {
    "another host": "https://evil.example/v1/objects/x/content/video",
    "suffix of another's domain": "https://us-storage.asm.skype.com.evil.example/x",
    "no dot before the suffix": "https://evilasm.skype.com/x",
    "userinfo": "https://us-storage.asm.skype.com@evil.example/x",
    "userinfo with the right host": "https://user:secret@us-storage.asm.skype.com/x",
    "empty userinfo": "https://@us-storage.asm.skype.com/x",
    "backslash": "https://evil.example\\@us-storage.asm.skype.com/x",
    "backslash before the path": "https://evil.example\\.asm.skype.com/x",
    "fragment": "https://evil.example#.asm.skype.com/x",
    "query": "https://evil.example?.asm.skype.com/x",
    "semicolon": "https://evil.example;.asm.skype.com/x",
    "IPv4": "https://169.254.169.254/metadata/instance",
    "IPv4 as one number": "https://2852039166/metadata",
    "IPv6": "https://[::1]/x",
    "IPv6 with a zone": "https://[fe80::1%25.asm.skype.com]/x",
    "loopback": "https://127.0.0.1/x",
    "another port": "https://us-storage.asm.skype.com:8443/x",
    "port zero": "https://us-storage.asm.skype.com:0/x",
    "no number as port": "https://us-storage.asm.skype.com:x/x",
    "plain http": "http://us-storage.asm.skype.com/x",
    "another scheme": "ftp://us-storage.asm.skype.com/x",
    "file": "file:///etc/passwd",
    "no scheme": "//us-storage.asm.skype.com/x",
    "bare domain": "https://asm.skype.com/x",
    "only the suffix": "https://.asm.skype.com/x",
    "dot at the end": "https://us-storage.asm.skype.com./x",
    "punycode of another": "https://xn--asm-skype-com-2ve.example/x",
    "full-width letters": "https://us-storage.\uff41sm.skype.com/x",
    "ideographic dot": "https://us-storage.asm\u3002skype.com/x",
    "percent in the host": "https://us-storage%2easm.skype.com/x",
    "line break": "https://us-storage.asm.skype.com/x\r\nHost: evil.example",
    "tab": "https://us-storage.asm\t.skype.com/x",
    "blank in front": " https://us-storage.asm.skype.com/x",
    "NUL": "https://us-storage.asm.skype.com\0.evil.example/x",
    "very long": "https://us-storage.asm.skype.com/" + "x" * 20_000,
    "blob account off the list": "https://stranger.blob.core.windows.net/recordings/a/b.mp3",
    "account that looks like ours": "https://customer.blob.core.windows.net.evil.example/recordings/a.mp3",
    "container off the list": f"{ACCOUNT}/payroll/a/b.mp3",
    "way up out of the place": f"{ACCOUNT}/archive/../payroll/b.mp3",
    "the same, escaped": f"{ACCOUNT}/archive/%2e%2e/payroll/b.mp3",
    "escaped slash": f"{ACCOUNT}/archive/..%2fpayroll/b.mp3",
    "beside the place": f"{ACCOUNT}/recordings/team-b/a.mp3",
    "longer than the place": f"{ACCOUNT}/recordings/team-abc/a.mp3",
    "the place itself": f"{ACCOUNT}/recordings/team-a",
    "blob over http": "http://customer.blob.core.windows.net/archive/a.mp3",
    "blob with a SAS": f"{ACCOUNT}/archive/a.mp3?sv=2025&sig=abc",
    "blob with userinfo": "https://x@customer.blob.core.windows.net/archive/a.mp3",
    "blob at another port": "https://customer.blob.core.windows.net:444/archive/a.mp3",
}


@pytest.mark.parametrize("location", OFF_THE_LIST.values(), ids=OFF_THE_LIST.keys())
@pytest.mark.parametrize("form", [event, cloud_event])
def test_a_location_off_the_lists_gets_no_request(form: Callable[..., dict[str, Any]], location: str) -> None:
    tower = Watchtower()
    claim = chunk(contentLocation=location, metadataLocation=location, deleteLocation=location)
    tower.hears(form(claim))
    tower.works(messages=8)
    tower.check()
    assert not tower.asked
    only = tower.world.ledger.recording(KEY).chunks[0]
    assert (only.sources, only.exports, only.delete_locations) == ((), (), ())
    assert (only.metadata_sources, only.metadata_exports) == ((), ())


@pytest.mark.parametrize(
    "location",
    [
        "https://us-storage.asm.skype.com/v1/objects/x",
        "HTTPS://US-Storage.ASM.Skype.COM/v1/objects/x",
        "https://us-storage.asm.skype.com:443/x",
        "https://eu.asyncgw.teams.microsoft.com/x",
        "https://x.ams.gov.teams.microsoft.us/x",
        "https://us-storage.asm.skype.com/a/../../b?c=d#e",
    ],
)
def test_what_is_taken_for_a_media_host_is_one_to_the_http_library_too(location: str) -> None:
    assert is_media_location(location)
    assert is_sent_to_acs(location.lower())


def test_a_rescued_chunk_stays_within_the_recordings_own_place_whatever_folder_the_event_claims() -> None:
    """A chunk claimed in another container of the list named the folder, and so led out of the prefix."""
    tower = Watchtower()
    place = ContainerUrl.parse(tower.was_started().container_url)
    tower.has_at_acs()
    elsewhere = f"{ACCOUNT}/archive/20261122/other/12345678-1/1-audiomp3.mp3"
    tower.hears(event(chunk(), chunk(document="second", index=1, contentLocation=elsewhere)))
    tower.works()
    tower.check()
    assert place.prefix == "team-a"
    blobs = [one.blob for one in tower.world.ledger.recording(KEY).chunks if one.blob]
    assert len(blobs) == 1
    assert blobs[0].startswith("team-a/")


@pytest.mark.parametrize("folder", ["finance", "a/b/c", "20261122/call", "2026/call/x", "x" * 900 + "/20261122/call/x"])
def test_a_folder_that_is_not_laid_out_as_acs_does_it_gets_no_file(folder: str) -> None:
    tower = Watchtower(ARCHIVE)
    tower.has_at_acs()
    claimed = f"{ACCOUNT}/archive/{folder}/1.mp3"
    tower.hears(event(chunk(), chunk(document="second", index=1, contentLocation=claimed)))
    tower.works()
    tower.check()
    rescued = tower.world.ledger.recording(KEY).chunks[0]
    assert rescued.state is ChunkState.RESCUED
    assert not (rescued.blob or "").startswith(folder + "/")


def test_files_of_others_in_the_container_are_neither_overwritten_nor_removed() -> None:
    """Not even a manifest.json beside a file that an event claims to be the recording."""
    tower = Watchtower(ARCHIVE)
    container = tower.world.destination
    for name in ("app/manifest.json", "app/data.mp3"):
        container.put(name, b"the customer's own", content_type="text/plain", overwrite=False)
    tower.hears(event(chunk(contentLocation=f"{ACCOUNT}/archive/app/data.mp3", metadataLocation=None)))
    tower.works()
    assert container.read("app/manifest.json") == container.read("app/data.mp3") == b"the customer's own"


@pytest.mark.parametrize("is_started_here", [True, False])
def test_a_forged_event_that_comes_first_does_not_lose_the_recording(*, is_started_here: bool) -> None:
    """It knows the recording's id; it lies about time, format, folder and chunks. The true event comes after it."""
    tower = Watchtower()
    if is_started_here:
        tower.was_started()
    forged = event(
        chunk(document="forged", index=0, contentLocation=f"{MEDIA}/forged/content/video"),
        time="2020-01-01T00:00:00Z",
        recordingStartTime="2020-01-01T00:00:00Z",
        recordingFormatType="Wav",
        recordingDurationMs=1,
    )
    tower.hears(forged)
    tower.works(messages=5)
    tower.has_at_acs()
    tower.hears(event())
    tower.works()
    tower.check()
    genuine = next(one for one in tower.world.ledger.recording(KEY).chunks if one.document_id == DOCUMENT)
    assert genuine.abandon_after >= NOON + timedelta(hours=23, minutes=50)
    assert genuine.state is ChunkState.RESCUED
    assert (genuine.blob or "").endswith(".mp3")


def _only(tower: Watchtower) -> Chunk:
    (only,) = tower.world.ledger.recording(KEY).chunks
    return only


def test_an_event_of_long_ago_gives_up_nothing_that_was_started_here() -> None:
    tower = Watchtower()
    recording = tower.was_started()
    tower.hears(event(time="2001-01-01T00:00:00Z", recordingStartTime="2001-01-01T00:00:00Z"))
    assert _only(tower).abandon_after >= recording.created_at + timedelta(hours=24)


def test_an_event_of_the_future_does_not_put_off_the_deadline_beyond_the_window() -> None:
    tower = Watchtower()
    tower.hears(event(time="2099-01-01T00:00:00Z", recordingStartTime="2098-01-01T00:00:00Z"))
    assert _only(tower).at_risk_from <= tower.world.clock.now() + timedelta(hours=24)
    assert _only(tower).abandon_after <= tower.world.clock.now() + timedelta(hours=26)


def test_a_forged_event_moves_no_chunk_out_of_a_finished_state() -> None:
    tower = Watchtower()
    tower.has_at_acs()
    tower.hears(event())
    tower.works()
    before = tower.world.ledger.recording(KEY)
    assert before.state is RecordingState.COMPLETE
    stolen = f"{ACCOUNT}/archive/20261122/other/12345678-1/0-audiomp3.mp3"
    tower.hears(event(chunk(contentLocation=stolen, metadataLocation=stolen), time="2026-11-22T11:59:00Z"))
    tower.works()
    after = tower.world.ledger.recording(KEY).chunks[0]
    assert (after.state, after.blob, after.sha256) == (
        ChunkState.RESCUED,
        before.chunks[0].blob,
        before.chunks[0].sha256,
    )
    assert tower.world.destination.read(after.blob or "") == MP3


def test_a_recording_takes_no_more_chunks_than_one_event_may_have() -> None:
    """Else events could make a ledger document grow without end."""
    tower = Watchtower()
    half = MAX_CHUNKS // 2 + 1
    tower.hears(event(*(chunk(document=f"a{i}", index=i) for i in range(half))))
    with pytest.raises(TooManyUntried):
        tower.hears(event(*(chunk(document=f"b{i}", index=i) for i in range(half))))
    assert len(tower.world.ledger.recording(KEY).chunks) == half


def test_notes_do_not_grow_without_end() -> None:
    tower = Watchtower()
    for i in range(9):
        claims = (chunk(document=f"{i}-{j}", index=i * 20 + j) for j in range(6))
        tower.hears(event(*claims, storageType=f"AzureBlob {i}"))
    assert len(tower.world.ledger.recording(KEY).timeline) <= 100


def test_a_deletion_at_acs_is_asked_for_the_chunks_own_object_only() -> None:
    """With DELETE_AT_ACS, a forged event could have deleted another recording's media before it was rescued."""
    tower = Watchtower(given=settings(delete_at_acs=True))
    tower.has_at_acs("mine")
    victim = f"{MEDIA}/victims-document"
    tower.hears(event(chunk(document="mine", deleteLocation=victim)))
    tower.works()
    assert tower.world.ledger.recording(KEY).closed_at is not None
    assert tower.world.media.deleted == []


def test_the_chunks_own_object_is_deleted_where_the_settings_say_so() -> None:
    tower = Watchtower(given=settings(delete_at_acs=True))
    tower.has_at_acs()
    tower.hears(event())
    tower.works()
    assert tower.world.media.deleted == [f"{MEDIA}/{DOCUMENT}"]
