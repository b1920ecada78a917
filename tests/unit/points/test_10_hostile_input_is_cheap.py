"""Point 10: hostile input costs time in proportion to its bytes, and no invented chunk keeps a genuine one out."""

from __future__ import annotations

import gc
import json
import time
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from shared import app as root
from shared import handlers
from shared.domain import media
from shared.domain.errors import RecorderError, TooManyUntried
from shared.domain.recording import ChunkState
from shared.worker.message import decode_message
from tests.unit.rig import HOUR, MEDIA, MINUTE, Rig, claim, event, mp3

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MIB = 1024 * 1024
# CPU, of the issue's own words: well under that.
LIMIT = 2.0


@pytest.fixture(autouse=True)
def _no_app() -> Iterator[None]:
    # A full collection walks all that thousands of earlier tests left behind: no cost of the input.
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()
    root._built.clear()


def of_chunks(make: Callable[[int], Any]) -> str:
    """An event whose array of chunks fills a mebibyte."""
    one = json.dumps(make(0))
    chunks = [make(number) for number in range(MIB // (len(one) + 10))]
    body = json.loads(event())
    body["data"]["recordingStorageInfo"]["recordingChunks"] = chunks
    return json.dumps(body)


def with_field(path: list[str], value: Any) -> str:
    body = json.loads(event())
    inner = body
    for name in path[:-1]:
        inner = inner[name]
    inner[path[-1]] = value
    return json.dumps(body)


LONG = {
    "slashes": "/" * MIB,
    "percents": "%25" * (MIB // 3),
    "double escapes": "%2525" * (MIB // 5),
    "equals": "=" * MIB,
    "dots": "../" * (MIB // 3),
    "digits": "9" * MIB,
    "zeros and a letter": "0" * MIB + "x",
    "wide": "\u6f22" * (MIB // 3),
    "surrogates": "\ud800" * (MIB // 6),
    "spaces": " " * MIB + "x",
    "hosts": "https://" + "a." * (MIB // 2) + "asm.skype.com/x",
    "query": "https://us-storage.asm.skype.com/x?" + "a=b&" * (MIB // 4),
    "subject": "/recording/call/" + "x/recordingId/" * (MIB // 14),
    "base64": "QUFB" * (MIB // 4),
    "schemes": "http://" * (MIB // 7),
    "words of secrets": "sig=eyJ.8:acs-+1" * (MIB // 16),
}
FIELDS = {
    "id": ["id"],
    "subject": ["subject"],
    "type": ["eventType"],
    "time": ["eventTime"],
    "recording id": ["data", "recordingId"],
    "start": ["data", "recordingStartTime"],
    "duration": ["data", "recordingDurationMs"],
    "format": ["data", "recordingFormatType"],
}
ARRAYS: dict[str, Callable[[int], Any]] = {
    "empty objects": lambda _: {},
    "numbers": lambda number: number,
    "chunks": lambda number: claim(f"doc-{number}", number),
    "the same chunk": lambda _: claim(),
    "one document, many indexes": lambda number: claim("doc-0", number),
    "one index, many documents": lambda number: claim(f"doc-{number}", 0),
    "many sources of one chunk": lambda number: claim(contentLocation=f"{MEDIA}/doc-0/content/{number}"),
    "deep paths": lambda number: claim("d", number, contentLocation=f"{MEDIA}/{'d/' * 400}content/video"),
}
SHAPES = {
    "nested arrays": "[" * MIB,
    "nested objects": '{"a":' * (MIB // 5),
    "closed nests": "[" * (MIB // 2) + "]" * (MIB // 2),
    "a batch": json.dumps([json.loads(event())] * (MIB // len(event()))),
    "keys": json.dumps({f"k{number}": number for number in range(MIB // 14)}),
    "one key": '{"a":1' + ',"a":1' * (MIB // 6) + "}",
    "text": '"' + "\\u0000" * (MIB // 6) + '"',
    "no JSON": "\x00" * MIB,
    "digits": "1" * MIB,
    "exponents": json.dumps(["1e999999"] * (MIB // 12)).replace('"', ""),
}


def cpu(action: Callable[[], object]) -> float:
    begun = time.process_time()
    with suppress(RecorderError):
        action()
    return time.process_time() - begun


def events() -> dict[str, str]:
    found = {
        f"{field}: {name}": with_field(path, text) for field, path in FIELDS.items() for name, text in LONG.items()
    }
    found |= {f"location: {name}": event(claim(contentLocation=text)) for name, text in LONG.items()}
    found |= {f"document: {name}": event(claim(text)) for name, text in LONG.items()}
    found |= {f"array: {name}": of_chunks(make) for name, make in ARRAYS.items()}
    return found | SHAPES


def test_a_mebibyte_of_any_event_costs_well_under_two_seconds() -> None:
    slow = {}
    for name, raw in events().items():
        took = cpu(partial(Rig().receive, raw))
        if took >= LIMIT:
            slow[name] = took
    assert not slow


def test_the_same_event_again_and_again_costs_no_more_each_time() -> None:
    """The document does not grow with what is said twice."""
    rig = Rig()
    raw = event(*(claim(f"doc-{number}", number, endReason="x" * 12_000) for number in range(60)))
    first = cpu(lambda: rig.receive(raw))
    for _ in range(5):
        assert cpu(lambda: rig.receive(raw)) < max(LIMIT / 2, 3 * first)
    [(document, _, _)] = rig.ledger.open.values()
    assert len(document) < 512 * 1024


def test_a_mebibyte_of_any_body_costs_well_under_two_seconds() -> None:
    """Larger ones are refused unread; of those that are read, none costs more than its bytes."""
    root._built[:] = [Rig().process]
    headers = {"content-type": "application/json"}
    bodies = [json.dumps({"serverCallId": text[:60_000]}).encode() for text in LONG.values()]
    bodies += [shape.encode()[:60_000] for shape in SHAPES.values()]
    bodies += [shape.encode() for shape in SHAPES.values()]
    for body in bodies:
        assert cpu(partial(handlers.start_recording, body, headers)) < LIMIT / 4
    for text in LONG.values():
        assert cpu(partial(handlers.get_recording, text)) < LIMIT / 4


@pytest.mark.parametrize("shape", SHAPES.values(), ids=list(SHAPES))
def test_a_mebibyte_of_any_queue_message_costs_well_under_two_seconds(shape: str) -> None:
    assert cpu(lambda: decode_message(shape)) < LIMIT / 4


MEDIA_BYTES = {
    "boxes of no length": (b"\0\0\0\x08free" * (MIB // 8)),
    "ftyp and tiny boxes": b"\0\0\0\x08ftyp" + b"\0\0\0\x08free" * (MIB // 8),
    "frame syncs": b"\xff\xfb" * (MIB // 2),
    "tags": b"ID3\x04\0\0\0\0\0\0" * (MIB // 10),
    "chunks of no length": b"RIFF\xff\xff\xff\xffWAVE" + b"LIST\0\0\0\0" * (MIB // 8),
    "markup": b"<" * MIB,
    "zeros": bytes(MIB),
}


@pytest.mark.parametrize("data", MEDIA_BYTES.values(), ids=list(MEDIA_BYTES))
def test_a_mebibyte_of_any_media_costs_well_under_two_seconds(data: bytes) -> None:
    def judged() -> None:
        media.sniff(data)
        media.is_page(data)
        media.check(lambda start, length: data[start : start + length], size=len(data), duration=None)
        check = media.StructureCheck(duration=None)
        for at in range(0, len(data), 65_536):
            check.update(data[at : at + 65_536])
        check.verdict(len(data))

    assert cpu(judged) < LIMIT / 2


@pytest.mark.parametrize("number", [64, 130])
def test_no_invented_chunk_keeps_a_genuine_one_out(number: int) -> None:
    """As many as there is room for, and more, before the genuine event: Event Grid brings that again, and it is in."""
    rig = Rig()
    data = rig.put_media("genuine")
    for start in range(0, number, 32):
        received(rig, event(*(claim(f"invented-{at}", at + 1) for at in range(start, min(start + 32, number)))))
    received(rig, event(claim("genuine", 0), at=rig.clock.now()))
    rig.run(until=MINUTE, most=2000)
    genuine = next(one for one in rig.recording.chunks if one.document_id == "genuine")
    assert genuine.state is ChunkState.RESCUED
    assert data in rig.files().values()
    assert len(rig.recording.chunks) <= 65


def received(rig: Rig, raw: str) -> None:
    """As Event Grid delivers: again after a while, where there was no room."""
    for _ in range(20):
        try:
            rig.receive(raw)
        except TooManyUntried:
            rig.run(until=MINUTE / 6, most=2000)
        else:
            return
    raise AssertionError("never taken")


def test_after_the_genuine_one_invented_chunks_change_nothing_of_it() -> None:
    rig = Rig()
    data = rig.put_media("genuine", mp3())
    rig.receive(event(claim("genuine", 0)))
    for start in range(0, 96, 32):
        received(rig, event(*(claim(f"invented-{at}", at + 1) for at in range(start, start + 32))))
    rig.run(until=MINUTE, most=2000)
    assert rig.recording.chunks[0].state is ChunkState.RESCUED
    assert data in rig.files().values()


def test_an_invented_chunk_costs_a_request_an_hour_and_ends_as_unconfirmed() -> None:
    rig = Rig()
    data = rig.put_media("genuine")
    rig.receive(event(claim("genuine", 0), claim("invented", 1)))
    rig.live(30 * HOUR)
    genuine, invented = rig.recording.chunks
    assert (genuine.state, invented.state) == (ChunkState.RESCUED, ChunkState.UNCONFIRMED)
    assert invented.attempts < 60
    assert data in rig.files().values()
    assert "lost" not in rig.notifier.names
