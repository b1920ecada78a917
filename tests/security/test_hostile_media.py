"""Bytes that only claim to be a recording: judged without an error, a read outside the file, or much time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fuzz.driver import corpus
from tests.security.media_target import take_media

if TYPE_CHECKING:
    from pathlib import Path

_FIRST = [
    b"",
    b"ID3\x04",
    b"RIFF\0\0\0\0WAVE",
    b"RF64\xff\xff\xff\xffWAVEds64",
    b"\0\0\0\x18ftypmp42",
    b"\xff\xfb\x34\0",
]
_often = settings(
    max_examples=300, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)


@_often
@given(st.binary(max_size=3_000), st.sampled_from(_FIRST))
def test_any_bytes_have_one_verdict(data: bytes, first: bytes) -> None:
    take_media(first + data)


@pytest.mark.parametrize("file", corpus("media"), ids=lambda file: file.name)
def test_media_of_the_corpus_have_one_verdict(file: Path) -> None:
    take_media(file.read_bytes())
