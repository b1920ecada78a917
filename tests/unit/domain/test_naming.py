"""Names of blobs: hostile ids stay inside their prefix, unique and the same at every try."""

from __future__ import annotations

import re
import uuid
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain import naming
from tests.unit.builders import NOON

# Includes control characters, NUL and lone surrogates; and ids built of what is dangerous.
ANY = st.text(max_size=200)
HOSTILE = ANY | st.text(st.sampled_from("./\\%~\x00 ab"), max_size=30)
PLAIN = re.compile(r"[A-Za-z0-9_.=~-]{1,120}")

WICKED = [
    "",
    ".",
    "..",
    "../..",
    "../../other/x",
    "/etc/passwd",
    "a/../../b",
    "a..b",
    "a\\..\\b",
    "%2e%2e%2f",
    "a\x00b",
    "a\r\nb",
    "a b",
    "a?sig=x",
    "a#b",
    "con.",
    ".hidden",
    "~0123456789abcdef",
    "x" * 2_000,
    "ü" * 300,
    "\U0001f4de",
    "\ud800",
    "\u202eevil",
]


@pytest.mark.parametrize("raw", WICKED)
def test_a_hostile_id_becomes_one_plain_segment(raw: str) -> None:
    made = naming.segment(raw)
    assert PLAIN.fullmatch(made)
    assert ".." not in made
    assert not made.startswith(".")
    assert not made.endswith(".")
    assert "~" in made
    assert made == naming.segment(raw)


@given(HOSTILE)
def test_any_id_becomes_one_plain_segment(raw: str) -> None:
    made = naming.segment(raw)
    assert PLAIN.fullmatch(made)
    assert ".." not in made
    assert not made.endswith(".")


@given(HOSTILE, HOSTILE)
def test_different_ids_never_share_a_segment(one: str, other: str) -> None:
    """Not even an id that looks like what another is rewritten to."""
    assert (naming.segment(one) == naming.segment(other)) is (one == other)
    rewritten = naming.segment(one)
    if rewritten != one:
        assert naming.segment(rewritten) != rewritten


@pytest.mark.parametrize("raw", ["0-eus-d12-801b3f3fc462fe8a01e6810cbff729b8", "eyJQbGF0", "a", "a.b=_-c", "x" * 120])
def test_an_id_of_acs_stands_as_it_is(raw: str) -> None:
    assert naming.segment(raw) == raw


@given(HOSTILE, HOSTILE, HOSTILE, st.integers(0, 10**6), st.sampled_from(["", "team/a"]))
def test_a_chunks_files_lie_within_their_place(
    call: str, recording: str, document: str, index: int, prefix: str
) -> None:
    key = naming.recording_key(recording)
    folder = naming.recording_folder(prefix=prefix, start=NOON, call_id=call, recording_id=recording, key=key)
    media = naming.media_file(index=index, form="mp3", document_id=document)
    name = f"{folder}/{media}"
    assert name.startswith(f"{prefix}/20261122/" if prefix else "20261122/")
    assert len(name.removeprefix(prefix).strip("/").split("/")) == 4
    assert len(name) < 512
    assert name.isascii()
    assert name.isprintable()
    assert folder == naming.recording_folder(prefix=prefix, start=NOON, call_id=call, recording_id=recording, key=key)


@given(HOSTILE, HOSTILE)
def test_two_recordings_of_one_call_have_two_folders(one: str, other: str) -> None:
    """Recording ids share their first characters: the guid tells them apart. Two spellings of one id are one."""
    keys = {raw: naming.recording_key("eyJQbGF0" + raw) for raw in (one, other)}
    folders = {
        naming.recording_folder(prefix="", start=NOON, call_id="call", recording_id="eyJQbGF0" + raw, key=key)
        for raw, key in keys.items()
    }
    assert len(folders) == len(set(keys.values()))


def test_the_layout_is_the_one_acs_writes() -> None:
    folder = naming.recording_folder(
        prefix="", start=NOON, call_id="call-1", recording_id="eyJQbGF0Zm9ybUVuZHBvaW50SWQi", key="k"
    )
    assert re.fullmatch(r"20261122/call-1/eyJQbGF0-[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}", folder)
    document = "0-eus-d12-801b"
    files = [
        naming.media_file(index=0, form="mp3", document_id=document),
        naming.media_file(index=1, form="wav", document_id=document),
        naming.media_file(index=2, form="mp4", document_id=document),
        naming.metadata_file(index=0, document_id=document),
    ]
    assert files == [
        "0-audiomp3.0-eus-d12-801b.mp3",
        "1-audiowav.0-eus-d12-801b.wav",
        "2-audiovideomp4.0-eus-d12-801b.mp4",
        "0-acsmetadata.0-eus-d12-801b.json",
    ]


def test_a_recording_without_an_id_is_named_by_its_key() -> None:
    folder = naming.recording_folder(prefix="p", start=NOON, call_id="c", recording_id=None, key="0123456789abcdef")
    assert folder.startswith("p/20261122/c/01234567-")


def test_files_are_looked_for_on_the_days_around_too() -> None:
    just_after_midnight = datetime(2027, 1, 1, 0, 5, tzinfo=UTC)
    assert naming.day_prefixes(prefix="", start=just_after_midnight) == ["20270101/", "20261231/", "20270102/"]
    assert naming.call_prefixes(prefix="team", call_id="c/../d", start=just_after_midnight) == [
        f"team/{day}/{naming.segment('c/../d')}/" for day in ("20270101", "20261231", "20270102")
    ]


@given(HOSTILE, st.integers(0, 10**6))
def test_keys_are_short_hex_and_stable(raw: str, index: int) -> None:
    assert re.fullmatch(r"[0-9a-f]{32}", naming.recording_key(raw))
    assert re.fullmatch(r"[0-9a-f]{16}", naming.chunk_key(raw, index))
    assert naming.chunk_key(raw, index) != naming.chunk_key(raw, index + 1)


def test_a_chunks_key_does_not_run_index_and_document_together() -> None:
    assert naming.chunk_key("2:x", 1) != naming.chunk_key("x", 12)
    assert naming.chunk_key("1:x", 1) != naming.chunk_key("x", 11)


@given(st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=255))
def test_an_idempotency_key_gives_one_repeatability_id(key: str) -> None:
    """The service wants a UUID; a caller's own UUID is handed on as it is."""
    made = naming.repeatability_id(key)
    assert str(uuid.UUID(made)) == made
    assert made == naming.repeatability_id(key)
    assert naming.repeatability_id(made) == made
