"""The inputs beside the fuzz targets harm nothing either; what a fuzzer finds is put there when it is mended."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fuzz.driver import corpus
from fuzz.inputs import event_of, request_of
from tests.security.targets import take_event, take_start

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("file", corpus("events"), ids=lambda file: file.name)
def test_an_event_of_the_corpus_harms_nothing(file: Path) -> None:
    take_event(event_of(file.read_bytes()))


@pytest.mark.parametrize("file", corpus("start"), ids=lambda file: file.name)
def test_a_request_of_the_corpus_harms_nothing(file: Path) -> None:
    body, headers = request_of(file.read_bytes())
    take_start(body, headers)
