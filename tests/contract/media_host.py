"""What the suites of port `Media` share: lies in both tongues, and a reader."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.contract.sides import FakeSide, RealSide
from tests.support.fakes import lies

if TYPE_CHECKING:
    from collections.abc import Callable

    from shared.ports import Media
    from tests.contract.sides import Held, Side

SIZE = 300_000
# One lie in both tongues: the fake's, and the emulator's fault of the same meaning.
LIES: dict[str, tuple[Any, dict[str, Any]]] = {
    "whole": (lies.whole, {"kind": "ignore-range"}),
    "empty": (lies.empty, {"kind": "zero-bytes"}),
    "page": (lies.page, {"kind": "html200"}),
    "wrong range": (lies.wrong_range, {"kind": "wrong-range"}),
    "etag": (lies.changed_etag, {"kind": "etag"}),
    "cut": (lies.cut_short(900), {"kind": "cut", "bytes": 100}),
}


def lie(side: Side, held: Held, name: str) -> None:
    """The next answer for this location is not to be trusted."""
    if isinstance(side, FakeSide):
        side.world.media.lie(held.location, LIES[name][0])
    elif isinstance(side, RealSide):
        side.acs.add_fault(operation="media", document_id=document(held), count=1, **LIES[name][1])


def document(held: Held) -> str:
    return held.location.split("/")[-3]


def read(side: Side, held: Held, start: int, length: int) -> tuple[int, str, int | None, str | None, str | None, bytes]:
    with side.ports.media.open(held.location, start=start, length=length) as answer:
        data = b"".join(answer.pieces)
    return answer.status, answer.content_type, answer.content_length, answer.content_range, answer.etag, data


def deleted_at(location: str) -> str:
    return location.partition("/content/")[0]


ASKING: dict[str, Callable[[Media, str], object]] = {
    "open": lambda media, location: media.open(location, start=0, length=10).__enter__(),
    "read_all": lambda media, location: media.read_all(location, limit=10_000_000),
    "delete": lambda media, location: media.delete(location),
}
READING = [name for name in ASKING if name != "delete"]
