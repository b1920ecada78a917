"""Keys, signatures, tokens, phone numbers and participant ids: what goes in does not come out."""

from __future__ import annotations

import json
import logging
import re
import time
from dataclasses import asdict

import pytest

from shared import handlers, http
from shared.adapters.translate import storage_error
from shared.domain.errors import (
    AcsError,
    MediaUnauthorized,
    RecorderError,
    StorageAccessDenied,
    StorageError,
    StorageUnavailable,
)
from shared.domain.redaction import clean
from shared.intake.event import redacted
from shared.settings import NAMES, SettingsError, load_settings
from tests.security.hostile import RECORDING_ID, Watchtower, chunk, event, serving
from tests.support.fakes import ACCOUNT, watched

CANARY = "c4n4ry"
SECRETS = {
    "SAS": f"https://x.blob.core.windows.net/c/b?sv=2025-01-05&se=2026&sig={CANARY}%2Fx%3D",
    "SAS in capitals": f"HTTPS://X/b?SIG={CANARY}",
    "signature alone": f"the sig={CANARY} was refused",
    "connection string": f"DefaultEndpointsProtocol=https;AccountName=a;AccountKey={CANARY}+/==;EndpointSuffix=x",
    "ACS connection string": f"endpoint=https://a.communication.azure.com/;accesskey={CANARY}==",
    "SAS in a connection string": f"SharedAccessSignature=sv=2025&sig={CANARY}",
    "key in JSON": f'{{"accessKey": "{CANARY}", "x": 1}}',
    "bearer token": f"Authorization: Bearer {CANARY}.aaa.bbb",
    "token alone": f"invalid token eyJ0eXAi{CANARY}.eyJhdWQi.c2lnbmF0dXJl!",
    "HMAC": f"HMAC-SHA256 SignedHeaders=x-ms-date;host&Signature={CANARY}=",
    "shared key": f"Authorization: SharedKey account:{CANARY}=",
    "signature the service quotes": f"The MAC signature found in the HTTP request '{CANARY}=' is not the same as any",
    "communication user": f"8:acs:{CANARY}-1a1f_00000000",
    "Teams user": f"participant 8:orgid:{CANARY}, left",
    "government user": f"8:gcch-acs:{CANARY}_1",
    "user of a meeting": f"8:teamsvisitor:{CANARY}",
}
PEOPLE = {"phone": "4:+15551234567", "phone without plus": "4:15551234567", "number alone": "call from +15551234567"}


@pytest.mark.parametrize("text", SECRETS.values(), ids=SECRETS.keys())
def test_a_secret_is_taken_out_wherever_it_stands(text: str) -> None:
    assert CANARY not in clean(f"before {text} after")
    assert CANARY not in redacted(json.dumps({"data": {"a": [text, {text: 1}]}}))
    assert CANARY not in redacted(json.dumps({"data": text}).replace("/", "\\/").replace("=", "\\u003d"))
    assert CANARY not in redacted("{no json " + text)
    assert CANARY not in str(StorageError(text))
    assert CANARY not in str(AcsError(text, trace_id=text))
    assert CANARY not in (AcsError(text, trace_id=text).trace_id or "")
    assert CANARY not in str(storage_error(ValueError(text)))


@pytest.mark.parametrize("text", PEOPLE.values(), ids=PEOPLE.keys())
def test_a_phone_number_is_taken_out(text: str) -> None:
    assert "5551234567" not in clean(text)
    assert "5551234567" not in redacted(json.dumps([text]))


def test_what_is_no_secret_stays_as_it_is() -> None:
    plain = (
        "chunk 0-eus-d12-801b of https://us-storage.asm.skype.com/v1/objects/x/content/video at 2026-11-22T10:00:00Z"
    )
    assert clean(plain) == plain
    assert RECORDING_ID in redacted(json.dumps(event()))


@pytest.mark.parametrize(
    "part",
    [
        "http://",
        "https://x?",
        "sig",
        "sig ",
        "sig=",
        "eyJ",
        "eyJ.",
        "1:acs",
        "8:acs-",
        "+1",
        "+1234567",
        "4:+12345",
        "bearer ",
        '"sig" : ',
    ],
)
def test_a_megabyte_of_anything_is_cleaned_in_a_second(part: str) -> None:
    """One event of 'http://http://…' kept the pattern of old busy for minutes."""
    text = part * (1_000_000 // len(part))
    begun = time.thread_time()
    redacted(text)
    clean(text)
    assert time.thread_time() - begun < 1.5


def test_a_log_line_is_one_line_and_no_command_to_a_terminal() -> None:
    line = clean('x\r\n{"event":"forged"}\x1b[2J\x9b31m\u2028\u2029\u0085\u202e\0\ud800 end')
    assert line.isprintable()
    assert line.encode().decode() == line


# --- settings

FULL = {
    "AzureWebJobsStorage": f"AccountName=a;AccountKey={CANARY};BlobEndpoint=http://127.0.0.1:1/a",
    "ACS_CONNECTION_STRING": f"endpoint=https://a.communication.azure.com/;accesskey={CANARY}",
    "RECORDING_CONTAINER_URL": "https://a.blob.core.windows.net/recordings",
    "RECORDING_STORAGE_CONNECTION_STRING": f"AccountName=a;AccountKey={CANARY}",
    "EVENT_TOPIC_ENDPOINT": "https://a.westeurope-1.eventgrid.azure.net/api/events",
    "EVENT_TOPIC_KEY": CANARY,
}


def test_settings_print_no_secret() -> None:
    given = load_settings(FULL)
    assert given.acs_key is not None
    assert given.acs_key.reveal() == CANARY
    for printed in (
        repr(given),
        str(given),
        f"{given}",
        str(asdict(given)),
        f"{given.acs_key}",
        f"{given.acs_key!r:>9}",
    ):
        assert CANARY not in printed


_UNUSABLE = (
    CANARY,
    f"https://a.blob.core.windows.net/recordings?sig={CANARY}",
    f"endpoint=http://{CANARY};accesskey={CANARY}",
    f"https://[{CANARY}",
)
# Secrets that may be any text, so that all of these can be used.
_ANY_TEXT = (
    "RECORDING_STORAGE_CONNECTION_STRING",
    "EVENT_TOPIC_KEY",
    "APPLICATIONINSIGHTS_CONNECTION_STRING",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
)
# The plain word is a good name for a container, and no secret there.
_CONTAINERS = ("FALLBACK_CONTAINER", "LEDGER_CONTAINER", "REJECTED_EVENTS_CONTAINER")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (name, value)
        for name in NAMES
        for value in _UNUSABLE
        if name not in _ANY_TEXT and not (name in _CONTAINERS and value == CANARY)
    ],
)
def test_a_setting_that_cannot_be_used_is_named_and_not_quoted(name: str, value: str) -> None:
    given = {**FULL, name: value}
    if name == "ACS_ENDPOINT":  # read only where there is no connection string
        del given["ACS_CONNECTION_STRING"]
    with pytest.raises(SettingsError) as raised:
        load_settings(given)
    assert name in str(raised.value)
    assert CANARY not in str(raised.value)


@pytest.mark.parametrize("name", _ANY_TEXT)
@pytest.mark.parametrize("value", _UNUSABLE)
def test_a_secret_setting_is_not_shown_whatever_its_text(name: str, value: str) -> None:
    assert CANARY not in repr(load_settings({**FULL, name: value}))


@pytest.mark.parametrize("name", ["WEBSITE_INSTANCE_ID", "WEBSITE_SITE_NAME"])
def test_requests_go_to_no_other_origin_in_azure(name: str) -> None:
    with pytest.raises(SettingsError, match="LOCAL_ACS_ORIGIN: is for a laptop only"):
        load_settings({**FULL, "LOCAL_ACS_ORIGIN": "http://127.0.0.1:7072", name: "x"})


@pytest.mark.parametrize(
    "origin",
    [
        "https://127.0.0.1:1",
        "http://evil.example",
        "http://127.0.0.1@evil.example",
        "http://evil.example\\@127.0.0.1",
        "http://127.0.0.1.evil.example",
        "http://127.0.0.1:1/path",
        "http://127.0.0.1?x",
        "http://0.0.0.0:1",
        "http://[::1",
    ],
)
def test_requests_go_to_no_other_origin_than_loopback(origin: str) -> None:
    with pytest.raises(SettingsError, match="LOCAL_ACS_ORIGIN"):
        load_settings({**FULL, "LOCAL_ACS_ORIGIN": origin})


# --- a whole rescue, with services that say secrets in their errors


def _kept(tower: Watchtower) -> str:
    """Everything that a run left anywhere but in the recordings themselves."""
    world = tower.world
    parts = [data.decode() for data in tower.documents().values()]
    parts += [f"{name} {metadata}" for name, metadata in world.ledger.index.items()]
    parts += [data.decode() for data in (*world.ledger.notes.values(), *world.ledger.rejected.values())]
    parts += [*world.ledger.notes, *world.ledger.rejected, *world.ledger.open, str(world.notifier.alerts)]
    parts += [delivery.body.decode() for delivery in world.queue.waiting]
    for container in (world.destination, world.fallback):
        parts += [*container.blobs]
        parts += [blob.data.decode() for name, blob in container.blobs.items() if "manifest" in name]
    return "\n".join(parts)


def test_a_rescue_keeps_no_secret_that_a_service_or_an_event_told(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    tower = Watchtower()
    tower.has_at_acs()
    secret = " ".join((*SECRETS.values(), *PEOPLE.values()))
    tower.world.destination.refusal = StorageAccessDenied(secret)
    leaky = chunk(document="second", index=1, contentLocation=f"{ACCOUNT}/archive/x.mp3?sig={CANARY}", endReason=secret)
    tower.hears(event(chunk(), leaky, storageType=secret, sessionEndReason=secret), "{" + secret)
    tower.works(messages=4)
    with serving(tower.app):
        reported = [handlers.get_recording(RECORDING_ID), handlers.list_recordings("/api/recordings")]
        reported.append(handlers.replay_recording(RECORDING_ID, {}))
        reported.append(http.verify_recording(RECORDING_ID, {}))
        reported += [ask(b"", {}) for ask in (http.replay_recordings, http.verify_recordings)]
    tower.world.destination.refusal = None
    tower.works(messages=60)
    with serving(tower.app):
        reported.append(handlers.get_recording(RECORDING_ID))
    came_out = _kept(tower) + caplog.text + "".join(given.body.decode() for given in reported)
    assert '"fallback"' in came_out
    assert "alert.storage_access_denied" in came_out
    assert _near(came_out, CANARY) == _near(came_out, "5551234567") == []


def _near(text: str, word: str) -> list[str]:
    """What stands around each `word` in `text`: a failure that can be read."""
    return [text[max(0, at.start() - 100) : at.end() + 20] for at in re.finditer(re.escape(word), text)]


class _LeakyError(Exception):
    """What a library could raise that nobody thought of."""


@pytest.mark.parametrize("kind", [_LeakyError, StorageUnavailable, MediaUnauthorized, OSError])
def test_an_answer_tells_no_secret_of_an_error_nobody_expected(
    kind: type[Exception], caplog: pytest.LogCaptureFixture
) -> None:
    def leaking(name: str, call: object, arguments: object) -> None:
        raise kind(SECRETS["connection string"]) from RecorderError(SECRETS["SAS"])

    tower = Watchtower()
    app = tower.world.app(ledger=watched(tower.world.ledger, leaking))
    with serving(app):
        answers = [handlers.get_recording("x"), handlers.replay_recording("x", {})]
    for given in answers:
        assert given.status >= 500
        assert CANARY not in given.body.decode() + caplog.text
    assert "test_secrets.py" in caplog.text or issubclass(kind, RecorderError)
