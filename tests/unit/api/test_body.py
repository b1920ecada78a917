"""Bodies are read strictly, and a fault says where it is."""

from __future__ import annotations

from typing import Any

import pytest

from shared.api.body import NotJson, read_json
from shared.domain.errors import Fault, InvalidRequest


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"a": 1,\n "b": }', "line 2, column 7: Expecting value"),
        (b'{"a": 1', "line 1, column 8: Expecting ',' delimiter"),
        (b"", "line 1, column 1: Expecting value"),
        (b'{"a": "\xff"}', "byte 7 is no UTF-8"),
        (b'{"a": NaN}', "NaN is not JSON"),
        (b'{"a": -Infinity}', "-Infinity is not JSON"),
        (b"[" * 60_000, "brackets are nested too deeply"),
        (b"9" * 5000, "a number has too many digits"),
    ],
)
def test_what_is_no_json_is_said_with_its_place(body: bytes, message: str) -> None:
    with pytest.raises(NotJson) as caught:
        read_json(body, {})
    assert caught.value.faults == [Fault("", message)]


def test_a_key_that_is_given_twice_is_refused_and_named() -> None:
    """Which of the two is meant cannot be known: another parser may take the other one."""
    with pytest.raises(InvalidRequest) as caught:
        read_json(b'{"a": 1, "b": {"c": 1, "c": 2}, "a": 1, "a": 3}', {})
    assert [fault.field for fault in caught.value.faults] == ["c", "a"]


@pytest.mark.parametrize(("body", "value"), [(b'{"a": [1, null]}', {"a": [1, None]}), (b"[]", []), (b'"x"', "x")])
def test_what_is_json_is_decoded(body: bytes, value: Any) -> None:
    assert read_json(body, {"content-type": "application/json; charset=utf-8"}) == value
