"""The body of `POST /api/recordings`, checked: every fault is named at once, with its field and what to do."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

from shared.domain.errors import Fault, InvalidRequest
from shared.domain.locations import AllowList, ContainerUrl
from shared.ports import ChannelAffinity, StartRequest

LOCATORS = ("serverCallId", "groupCallId", "roomId", "callConnectionId")
CONTENTS = {"audio": "audio", "audiovideo": "audioVideo"}
CHANNELS = ("mixed", "unmixed")
FORMATS = ("mp3", "mp4", "wav")
# What the service can record (its REST documentation); all else is refused there with an opaque 400.
COMBINATIONS = {
    ("audio", "mixed", "mp3"),
    ("audio", "mixed", "wav"),
    ("audio", "unmixed", "wav"),
    ("audioVideo", "mixed", "mp4"),
}
MAX_UNMIXED_CHANNELS = 5
_OPTIONAL = (
    "containerUrl",
    "recordingContent",
    "recordingChannel",
    "recordingFormat",
    "pauseOnStart",
    "recordingStateCallbackUrl",
    "audioChannelParticipantOrdering",
    "channelAffinity",
)
_MOST_UNKNOWN = 10
_IDEMPOTENCY_KEY = re.compile(r"[\x21-\x7e]{1,255}")


def check_idempotency_key(value: str | None) -> str | None:
    """The header's value, or None where it is absent. InvalidRequest unless 1 to 255 visible ASCII characters."""
    if value is None:
        return None
    if not _IDEMPOTENCY_KEY.fullmatch(value.strip()):
        raise InvalidRequest([Fault("Idempotency-Key", "must be 1 to 255 visible ASCII characters")])
    return value.strip()


def parse_start_request(body: Any, *, default_container: ContainerUrl, allowed: AllowList) -> StartRequest:
    """Reads the decoded JSON body. Raises InvalidRequest with every fault."""
    if not isinstance(body, dict):
        raise InvalidRequest([Fault("", "the body must be a JSON object")])
    return _Reader(body, allowed).read(default_container)


class _Reader:
    def __init__(self, body: dict[str, Any], allowed: AllowList) -> None:
        self.body = body
        self.allowed = allowed
        self.faults: list[Fault] = []

    def fault(self, name: str, message: str) -> None:
        self.faults.append(Fault(name, message))

    def read(self, default_container: ContainerUrl) -> StartRequest:
        known = (*LOCATORS, *_OPTIONAL)
        # As many as help a caller: the answer must not be many times what was sent.
        for name in [name for name in self.body if name not in known][:_MOST_UNKNOWN]:
            self.fault(name[:100], f"is not a field of this request; known are {', '.join(known)}")
        locator, locator_id = self.locator()
        content, channel, form = self.kind()
        request = StartRequest(
            locator=locator,
            locator_id=locator_id,
            container=self.container() or default_container,
            content=content,
            channel=channel,
            format=form,
            pause_on_start=self.flag("pauseOnStart"),
            callback_url=self.callback(),
            ordering=self.ordering(channel),
            affinity=self.affinity(channel),
        )
        if self.faults:
            raise InvalidRequest(self.faults)
        return request

    def locator(self) -> tuple[str, str]:
        given = [name for name in LOCATORS if self.body.get(name) is not None]
        if len(given) != 1:
            found = f"{len(given)} are given ({', '.join(given)})" if given else "none is given"
            self.fault("serverCallId", f"exactly one of {', '.join(LOCATORS)} must be given; {found}")
        for name in given:
            self.text(name)
        return (given[0], str(self.body[given[0]])) if given else ("", "")

    def text(self, name: str, *, most: int = 2048) -> str | None:
        value = self.body.get(name)
        if value is None:
            return None
        if not isinstance(value, str) or not value.strip() or len(value) > most or not value.isprintable():
            self.fault(name, f"must be a text of 1 to {most} printable characters")
            return None
        return value

    def container(self) -> ContainerUrl | None:
        url = self.text("containerUrl")
        if url is None:
            return None
        try:
            container = ContainerUrl.parse(url)
        except ValueError as error:
            self.fault("containerUrl", str(error))
            return None
        if not self.allowed.allows(container):
            self.fault("containerUrl", "is not on the allow-list (setting RECORDING_CONTAINERS_ALLOWED)")
        return container

    def choice(self, name: str, known: dict[str, str], default: str) -> str:
        value = self.body.get(name)
        if value is None:
            return default
        if not isinstance(value, str) or value.lower() not in known:
            self.fault(name, f"must be one of {', '.join(known.values())}")
            return ""
        return known[value.lower()]

    def kind(self) -> tuple[str, str, str]:
        content = self.choice("recordingContent", CONTENTS, "audio")
        channel = self.choice("recordingChannel", dict(zip(CHANNELS, CHANNELS, strict=True)), "mixed")
        usual = {("audioVideo", "mixed"): "mp4", ("audio", "unmixed"): "wav"}.get((content, channel), "mp3")
        form = self.choice("recordingFormat", dict(zip(FORMATS, FORMATS, strict=True)), usual)
        if content and channel and form and (content, channel, form) not in COMBINATIONS:
            offered = "; ".join(" ".join(combination) for combination in sorted(COMBINATIONS))
            self.fault("recordingFormat", f"ACS cannot record {content} {channel} {form}; it offers {offered}")
        return content, channel, form

    def flag(self, name: str) -> bool | None:
        value = self.body.get(name)
        if value is not None and not isinstance(value, bool):
            self.fault(name, "must be true or false")
            return None
        return value

    def callback(self) -> str | None:
        url = self.text("recordingStateCallbackUrl")
        if url is None:
            return None
        try:
            parts = urlsplit(url)
            is_plain = parts.scheme == "https" and parts.hostname and "@" not in parts.netloc
        except ValueError:
            is_plain = False
        if not is_plain:
            self.fault("recordingStateCallbackUrl", "must be an absolute https URL without userinfo")
        return url

    def ordering(self, channel: str) -> tuple[str, ...]:
        name = "audioChannelParticipantOrdering"
        value = self.body.get(name)
        if value is None:
            return ()
        if not isinstance(value, list) or not all(isinstance(v, str) and v and v.isprintable() for v in value):
            self.fault(name, "must be a list of raw participant ids, e.g. 8:acs:… or 4:+15551234")
            return ()
        self.unmixed_only(name, channel, len(value))
        if len(set(value)) != len(value):
            self.fault(name, "names a participant twice")
        return tuple(value)

    def affinity(self, channel: str) -> tuple[ChannelAffinity, ...]:
        name = "channelAffinity"
        value = self.body.get(name)
        if value is None:
            return ()
        if not isinstance(value, list):
            self.fault(name, "must be a list of {participant, channel}")
            return ()
        self.unmixed_only(name, channel, len(value))
        found = [self.one_affinity(f"{name}[{i}]", item) for i, item in enumerate(value)]
        channels = [item.channel for item in found if item]
        if len(set(channels)) != len(channels):
            self.fault(name, "gives a channel twice")
        return tuple(item for item in found if item)

    def one_affinity(self, name: str, item: Any) -> ChannelAffinity | None:
        fields = item if isinstance(item, dict) else {}
        participant, number = fields.get("participant"), fields.get("channel")
        if (
            set(fields) != {"participant", "channel"}
            or not (isinstance(participant, str) and participant and participant.isprintable())
            or not (type(number) is int and 0 <= number < MAX_UNMIXED_CHANNELS)
        ):
            self.fault(name, "must be {participant: raw id, channel: 0 to 4}")
            return None
        return ChannelAffinity(participant, number)

    def unmixed_only(self, name: str, channel: str, count: int) -> None:
        if channel == "mixed":
            self.fault(name, "goes with recordingChannel unmixed only")
        if count > MAX_UNMIXED_CHANNELS:
            self.fault(name, f"at most {MAX_UNMIXED_CHANNELS} channels can be recorded")
