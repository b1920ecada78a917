"""The body of a start: every fault is named at once, with its field."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.errors import InvalidRequest
from shared.domain.locations import ContainerUrl, allow_list
from shared.ports import ChannelAffinity, StartRequest
from shared.start.request import (
    COMBINATIONS,
    LOCATORS,
    check_idempotency_key,
    parse_start_request,
)

DEFAULT = ContainerUrl.parse("https://acc.blob.core.windows.net/recordings")
TEAM = ContainerUrl.parse("https://acc.blob.core.windows.net/teams/a")
CALL = {"serverCallId": "aHR0cHM6Ly9jYWxs"}
UNMIXED = CALL | {"recordingChannel": "unmixed"}


def parse(body: Any) -> StartRequest:
    return parse_start_request(body, default_container=DEFAULT, allowed=allow_list([DEFAULT, TEAM]))


def faults(body: Any) -> list[str]:
    with pytest.raises(InvalidRequest) as caught:
        parse(body)
    return [fault.field for fault in caught.value.faults]


def test_a_call_alone_is_recorded_as_mp3_into_the_default_container() -> None:
    assert parse(CALL) == StartRequest("serverCallId", CALL["serverCallId"], DEFAULT, "audio", "mixed", "mp3")


@pytest.mark.parametrize("locator", LOCATORS)
def test_any_one_locator_will_do(locator: str) -> None:
    body = dict.fromkeys(LOCATORS) | {locator: "id"}
    assert (parse(body).locator, parse(body).locator_id) == (locator, "id")


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, ("audio", "mixed", "mp3")),
        ({"recordingContent": "AudioVideo"}, ("audioVideo", "mixed", "mp4")),
        ({"recordingChannel": "Unmixed"}, ("audio", "unmixed", "wav")),
        ({"recordingFormat": "WAV"}, ("audio", "mixed", "wav")),
        (
            {"recordingContent": "audio", "recordingChannel": "mixed", "recordingFormat": "mp3"},
            ("audio", "mixed", "mp3"),
        ),
    ],
)
def test_what_is_left_open_is_filled_with_what_fits(body: dict[str, Any], expected: tuple[str, str, str]) -> None:
    request = parse(CALL | body)
    assert (request.content, request.channel, request.format) == expected


@given(
    st.sampled_from(["audio", "audioVideo"]),
    st.sampled_from(["mixed", "unmixed"]),
    st.sampled_from(["mp3", "mp4", "wav"]),
)
def test_only_what_acs_can_record_is_asked_for(content: str, channel: str, form: str) -> None:
    body = CALL | {"recordingContent": content, "recordingChannel": channel, "recordingFormat": form}
    if (content, channel, form) in COMBINATIONS:
        assert parse(body).format == form
    else:
        assert faults(body) == ["recordingFormat"]


def test_everything_at_once_is_carried_over() -> None:
    request = parse(
        UNMIXED
        | {
            "containerUrl": "https://acc.blob.core.windows.net/teams/a/b",
            "pauseOnStart": False,
            "recordingStateCallbackUrl": "https://app.example/callback?code=1",
            "audioChannelParticipantOrdering": ["8:acs:a", "4:+15551234567"],
            "channelAffinity": [{"participant": "8:acs:a", "channel": 0}, {"participant": "8:acs:a", "channel": 4}],
        }
    )
    assert str(request.container) == "https://acc.blob.core.windows.net/teams/a/b"
    assert request.pause_on_start is False
    assert request.callback_url == "https://app.example/callback?code=1"
    assert request.ordering == ("8:acs:a", "4:+15551234567")
    assert request.affinity == (ChannelAffinity("8:acs:a", 0), ChannelAffinity("8:acs:a", 4))


@pytest.mark.parametrize("body", [None, [], "text", 5, True, [CALL]])
def test_the_body_is_an_object(body: Any) -> None:
    assert faults(body) == [""]


FAULTS: list[tuple[dict[str, Any], list[str]]] = [
    ({}, ["serverCallId"]),
    ({"serverCallId": "a", "roomId": "b"}, ["serverCallId"]),
    ({"serverCallId": ""}, ["serverCallId"]),
    ({"serverCallId": " "}, ["serverCallId"]),
    ({"serverCallId": 5}, ["serverCallId"]),
    ({"serverCallId": ["a"]}, ["serverCallId"]),
    ({"serverCallId": "a\r\nHost: evil"}, ["serverCallId"]),
    ({"serverCallId": "\x00"}, ["serverCallId"]),
    ({"serverCallId": "\ud800"}, ["serverCallId"]),
    ({"serverCallId": "a" * 2049}, ["serverCallId"]),
    ({"roomId": False}, ["roomId"]),
    (CALL | {"servercallid": "a"}, ["servercallid"]),
    (CALL | {"x" * 500: 1}, ["x" * 100]),
    (CALL | {"containerUrl": 5}, ["containerUrl"]),
    (CALL | {"containerUrl": ""}, ["containerUrl"]),
    (CALL | {"containerUrl": "http://acc.blob.core.windows.net/recordings"}, ["containerUrl"]),
    (CALL | {"containerUrl": f"{DEFAULT}?sv=1&sig=x"}, ["containerUrl"]),
    (CALL | {"containerUrl": "https://evil.blob.core.windows.net/recordings"}, ["containerUrl"]),
    (CALL | {"containerUrl": "https://acc.blob.core.windows.net/teams"}, ["containerUrl"]),
    (CALL | {"containerUrl": f"{DEFAULT}/../teams"}, ["containerUrl"]),
    (CALL | {"recordingContent": "video"}, ["recordingContent"]),
    (CALL | {"recordingContent": 1}, ["recordingContent"]),
    (CALL | {"recordingChannel": "stereo"}, ["recordingChannel"]),
    (CALL | {"recordingFormat": "flac"}, ["recordingFormat"]),
    (CALL | {"recordingFormat": ["mp3"]}, ["recordingFormat"]),
    (UNMIXED | {"recordingFormat": "mp3"}, ["recordingFormat"]),
    (CALL | {"recordingContent": "audioVideo", "recordingFormat": "wav"}, ["recordingFormat"]),
    (CALL | {"pauseOnStart": "true"}, ["pauseOnStart"]),
    (CALL | {"pauseOnStart": 1}, ["pauseOnStart"]),
    (CALL | {"recordingStateCallbackUrl": "http://app.example"}, ["recordingStateCallbackUrl"]),
    (CALL | {"recordingStateCallbackUrl": "/callback"}, ["recordingStateCallbackUrl"]),
    (CALL | {"recordingStateCallbackUrl": "https://"}, ["recordingStateCallbackUrl"]),
    (CALL | {"recordingStateCallbackUrl": "https://["}, ["recordingStateCallbackUrl"]),
    (CALL | {"recordingStateCallbackUrl": "https://user@app.example"}, ["recordingStateCallbackUrl"]),
    (CALL | {"recordingStateCallbackUrl": "https://:pw@app.example"}, ["recordingStateCallbackUrl"]),
    (CALL | {"recordingStateCallbackUrl": 5}, ["recordingStateCallbackUrl"]),
    (UNMIXED | {"audioChannelParticipantOrdering": "8:acs:a"}, ["audioChannelParticipantOrdering"]),
    (UNMIXED | {"audioChannelParticipantOrdering": [5]}, ["audioChannelParticipantOrdering"]),
    (UNMIXED | {"audioChannelParticipantOrdering": [""]}, ["audioChannelParticipantOrdering"]),
    (UNMIXED | {"audioChannelParticipantOrdering": ["a\n"]}, ["audioChannelParticipantOrdering"]),
    (UNMIXED | {"audioChannelParticipantOrdering": ["a", "a"]}, ["audioChannelParticipantOrdering"]),
    (UNMIXED | {"audioChannelParticipantOrdering": list("abcdef")}, ["audioChannelParticipantOrdering"]),
    (CALL | {"audioChannelParticipantOrdering": ["a"]}, ["audioChannelParticipantOrdering"]),
    (UNMIXED | {"channelAffinity": {}}, ["channelAffinity"]),
    (UNMIXED | {"channelAffinity": ["a"]}, ["channelAffinity[0]"]),
    (UNMIXED | {"channelAffinity": [{"participant": "a"}]}, ["channelAffinity[0]"]),
    (UNMIXED | {"channelAffinity": [{"participant": "a", "channel": 5}]}, ["channelAffinity[0]"]),
    (UNMIXED | {"channelAffinity": [{"participant": "a", "channel": -1}]}, ["channelAffinity[0]"]),
    (UNMIXED | {"channelAffinity": [{"participant": "a", "channel": True}]}, ["channelAffinity[0]"]),
    (UNMIXED | {"channelAffinity": [{"participant": "a", "channel": 0, "x": 1}]}, ["channelAffinity[0]"]),
    (UNMIXED | {"channelAffinity": [{"participant": "", "channel": 0}]}, ["channelAffinity[0]"]),
    (
        UNMIXED | {"channelAffinity": [{"participant": "a", "channel": 1}, {"participant": "b", "channel": 1}]},
        ["channelAffinity"],
    ),
    (CALL | {"channelAffinity": [{"participant": "a", "channel": 1}]}, ["channelAffinity"]),
]


@pytest.mark.parametrize(("body", "expected"), FAULTS)
def test_each_fault_is_named_by_its_field(body: dict[str, Any], expected: list[str]) -> None:
    assert faults(body) == expected


def test_all_faults_of_a_body_are_named_at_once() -> None:
    found = faults(
        {
            "serverCallId": 5,
            "roomId": "r",
            "colour": "blue",
            "containerUrl": "ftp://x",
            "recordingContent": "smell",
            "pauseOnStart": "no",
            "recordingStateCallbackUrl": "no",
            "audioChannelParticipantOrdering": "no",
            "channelAffinity": [1, 2],
        }
    )
    assert set(found) == {
        "serverCallId",
        "colour",
        "containerUrl",
        "recordingContent",
        "pauseOnStart",
        "recordingStateCallbackUrl",
        "audioChannelParticipantOrdering",
        "channelAffinity",
        "channelAffinity[0]",
        "channelAffinity[1]",
    }


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=8,
)
FIELDS = st.sampled_from(
    [
        *LOCATORS,
        "containerUrl",
        "recordingContent",
        "recordingChannel",
        "recordingFormat",
        "pauseOnStart",
        "recordingStateCallbackUrl",
        "audioChannelParticipantOrdering",
        "channelAffinity",
        "other",
    ]
)


@given(JSON | st.dictionaries(FIELDS, JSON, max_size=6))
def test_any_json_is_a_start_or_a_list_of_faults(body: Any) -> None:
    try:
        request = parse(body)
    except InvalidRequest:
        return
    assert (request.content, request.channel, request.format) in COMBINATIONS
    assert request.container in (DEFAULT, TEAM)


@pytest.mark.parametrize(
    ("given_key", "read"), [(None, None), (" key-1 ", "key-1"), ("k" * 255, "k" * 255), ("~!", "~!")]
)
def test_an_idempotency_key_is_visible_ascii(given_key: str | None, read: str | None) -> None:
    assert check_idempotency_key(given_key) == read


@pytest.mark.parametrize("key", ["", " ", "a b", "k" * 256, "ü", "a\r\nb", "\x00"])
def test_another_idempotency_key_is_refused(key: str) -> None:
    with pytest.raises(InvalidRequest, match="Idempotency-Key"):
        check_idempotency_key(key)
