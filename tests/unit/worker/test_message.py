"""Queue messages: ours are read back, forged and foreign ones move nothing."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.ports import WorkItem
from shared.worker.message import decode_message, encode_message

KEY, CHUNK = "0123456789abcdef" * 2, "0123456789abcdef"
MESSAGES = st.builds(
    WorkItem,
    st.text("0123456789abcdef", min_size=32, max_size=32),
    st.text("0123456789abcdef", min_size=16, max_size=16) | st.sampled_from(("recording", "outbox")),
    st.integers(0, 2**53 - 1),
)
# What the queue binding puts beside a message: a field of the body by such a name would hide it.
OF_THE_HOST = {"id", "dequeuecount", "expirationtime", "insertiontime", "nextvisibletime", "popreceipt", "queuetrigger"}


@given(MESSAGES)
def test_a_message_survives_the_queue_in_either_form(message: WorkItem) -> None:
    body = encode_message(message)
    for form in (body, body.decode(), base64.b64encode(body), base64.b64encode(body).decode(), b" \n" + body):
        assert decode_message(form) == message


def test_no_field_is_named_like_a_messages_own_metadata() -> None:
    fields = json.loads(encode_message(WorkItem(KEY, CHUNK, 1)))
    assert not {name.lower() for name in fields} & OF_THE_HOST


GOOD = {"version": 1, "recordingKey": KEY, "part": CHUNK, "generation": 1}


@pytest.mark.parametrize(
    "fields",
    [
        {},
        [],
        None,
        5,
        GOOD | {"recordingKey": None},
        GOOD | {"recordingKey": KEY[:-1]},
        GOOD | {"recordingKey": KEY.upper()},
        GOOD | {"recordingKey": "../" + KEY[3:]},
        GOOD | {"recordingKey": KEY + "\n"},
        GOOD | {"part": ""},
        GOOD | {"part": [CHUNK]},
        GOOD | {"part": "g" * 16},
        GOOD | {"generation": -1},
        GOOD | {"generation": True},
        GOOD | {"generation": 1.0},
        GOOD | {"generation": "1"},
        GOOD | {"generation": 2**53},
        {name: value for name, value in GOOD.items() if name != "generation"},
    ],
)
def test_a_forged_message_is_none(fields: Any) -> None:
    body = json.dumps(fields).encode()
    assert decode_message(body) is None
    assert decode_message(base64.b64encode(body)) is None


@pytest.mark.parametrize(
    "body", [b"", b"{", b"\xff\xfe", b"not base64!", "ü", "\ud800", b"{" * 100_000, b"[" * 100_000, b'{"a":' * 10_000]
)
def test_a_foreign_message_is_none(body: bytes | str) -> None:
    assert decode_message(body) is None


@given(st.binary(max_size=200) | st.text(max_size=200))
def test_any_body_is_a_message_or_none(body: bytes | str) -> None:
    assert decode_message(body) is None


def test_a_newer_version_may_say_more() -> None:
    assert decode_message(json.dumps(GOOD | {"version": 2, "more": [1]}).encode()) == WorkItem(KEY, CHUNK, 1)
