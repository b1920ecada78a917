"""Anything at all comes in, and nothing bad comes out: see `targets` for what that means."""

from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.security import strategies, targets
from tests.security.hostile import RECORDING_ID

# The same inputs every time, so that a failure in CI is one on a laptop; `make fuzz` is what looks for new ones.
_often = settings(
    max_examples=100, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)


@_often
@given(strategies.events())
def test_a_changed_event_harms_nothing(raw: str) -> None:
    targets.take_event(raw)


@_often
@given(st.text(st.characters(), max_size=300) | strategies.JSON.map(json.dumps) | strategies.DEEP)
@example("[]")
@example("null")
@example('[{"eventType": "Microsoft.Communication.RecordingFileStatusUpdated", "data": NaN}]')
@example("9" * 5000)
@example("x" * 1_100_000)
def test_any_text_as_an_event_harms_nothing(raw: str) -> None:
    targets.take_event(raw)


@_often
@given(strategies.start_bodies() | st.binary(max_size=200) | strategies.DEEP.map(str.encode), strategies.HEADERS)
@example(b'{"\\ud800": 1}', {})
@example(b'{"serverCallId": "call", "pauseOnStart": NaN}', {})
@example(b"x" * 70_000, {})
@example(b'{"serverCallId": "call"}', {"idempotency-key": "k\r\nx: y"})
def test_any_start_gets_an_answer_and_no_foreign_container(body: bytes, headers: dict[str, str]) -> None:
    targets.take_start(body, headers)


@_often
@given(st.text(st.characters()) | st.just(RECORDING_ID), strategies.QUERIES)
def test_any_question_gets_an_answer(identity: str, query: dict[str, str]) -> None:
    targets.take_queries(identity, query)


@_often
@given(strategies.messages() | st.binary(max_size=200) | strategies.DEEP.map(str.encode))
def test_any_queue_message_of_others_moves_nothing(body: bytes) -> None:
    targets.take_message(body)


@pytest.mark.parametrize("body", [b"{" * 100_000, b"[" * 100_000, b"\xff\xfe", b'{"ticket": 1e999}', b"e30="])
def test_a_message_that_is_none_is_left_alone(body: bytes) -> None:
    targets.take_message(body)
