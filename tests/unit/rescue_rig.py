"""One chunk that waits for its try, over fakes: what the tests of a rescue have in common."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from shared.domain.recording import Chunk, ChunkState, Recording
from shared.ports import RescueMessage
from tests.support.fakes import MediaFile, World, settings
from tests.unit.builders import HOUR, MEDIA, NOON, chunk, recording

if TYPE_CHECKING:
    from collections.abc import Callable

S = ChunkState
DATA = b"ID3\x04" + bytes(range(256)) * 20
SHA256 = hashlib.sha256(DATA).hexdigest()
METADATA = b'{"callId": "call-1"}'
ACS_FOLDER = "20261122/call-1/eyJQbGF0-acs"
EXPORT = f"{ACS_FOLDER}/0-audiomp3.{chunk(0).document_id}.mp3"


def world(one: Chunk | None = None, **changes: Any) -> World:
    """A chunk that waits for its first try, its media at ACS for two more hours, in blocks of 1000 bytes."""
    made = World(settings(block_bytes=1_000))
    one = one or chunk(0)
    made.ledger.save(recording(one, **({"deadline": NOON + 2 * HOUR} | changes)), etag=None)
    for location, data in ((MEDIA.format(one.document_id), DATA), (one.metadata_location, METADATA)):
        if location:
            made.media.files[location] = MediaFile(data)
    return made


def the(made: World) -> Recording:
    return made.ledger.recording(recording().key)


def handle(made: World, *, dequeue_count: int = 1, ticket: int | None = None, **ports: Any) -> Chunk:
    """The chunk's message, handled; the chunk as it stands then."""
    one = the(made)
    message = RescueMessage(one.key, one.chunks[0].key, ticket or one.chunks[0].ticket)
    made.app(**ports).rescue.handle(message, dequeue_count=dequeue_count)
    return the(made).chunks[0]


def run(made: World, *, most: int = 2_000, **ports: Any) -> Chunk:
    """All messages until none is left."""
    app = made.app(**ports)
    for _ in range(most):
        if made.deliver_next(app) is None:
            break
    return the(made).chunks[0]


def failing(of: str, error: Exception, *, times: int = 10_000, what: str = "") -> Callable[..., Any]:
    left = [times]

    def around(name: str, call: Callable[[], Any], arguments: tuple[Any, ...]) -> Any:
        if name == of and what in str(arguments) and left[0]:
            left[0] -= 1
            raise error
        return call()

    return around


def put(made: World, name: str, data: bytes) -> None:
    made.destination.put(name, data, content_type="audio/mpeg", overwrite=False)
