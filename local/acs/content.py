"""Answers of the media host: byte ranges, and the faults that strike them."""

from __future__ import annotations

import asyncio
import hashlib
import re
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING

from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import Iterator

    from local.acs.faults import Fault
    from local.acs.media import Media

HTML_PAGE = b"<!DOCTYPE html><html><head><title>Error</title></head><body><h1>Bad Request</h1></body></html>"
_DRIP_STEP_SECONDS = 0.05
_DRAIN_SECONDS = 0.001
_MOST_BUFFERED = 1024 * 1024


class UnsatisfiableRange(ValueError):
    """The range begins behind the end: 416."""


class UnknownRangeForm(ValueError):
    """A Range header of a form that the emulator does not take."""


@dataclass(frozen=True)
class Bytes:
    """A small body that is at hand, with the interface of `Media`."""

    data: bytes
    content_type: str

    @property
    def size(self) -> int:
        """In bytes."""
        return len(self.data)

    @property
    def etag(self) -> str:
        """A strong entity tag."""
        return f'"{hashlib.sha256(self.data).hexdigest()[:32]}"'

    def blocks(self, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        """The bytes from `start` to `stop`."""
        yield self.data[start:stop]

    def read(self, start: int, length: int) -> bytes:
        """`length` bytes from `start`; fewer at the end."""
        return self.data[start : start + length]


def read_range(header: str | None, size: int) -> tuple[int, int] | None:
    """The span [start, stop) that a Range header asks for; None: the whole.

    One range of bytes, with or without an end, or the last so many bytes. Raises UnsatisfiableRange,
    UnknownRangeForm.
    """
    if header is None:
        return None
    match = re.fullmatch(r"bytes=(\d*)-(\d*)", header.strip())
    if match is None or match.group(0) == "bytes=-":
        raise UnknownRangeForm(header)
    first, last = match.groups()
    if not first:
        start, stop = max(0, size - int(last)), size
    else:
        start = int(first)
        stop = min(int(last) + 1, size) if last else size
        if last and int(last) < start:
            raise UnknownRangeForm(header)
    if start >= size or start >= stop:
        raise UnsatisfiableRange(header)
    return start, stop


@dataclass
class Plan:
    """How an answer goes out: its head announces `length` (None: no length), its body is [start, stop)."""

    status: int
    headers: dict[str, str]
    start: int
    stop: int
    length: int | None


def plan_answer(body: Media | Bytes, span: tuple[int, int] | None) -> Plan:
    """The right answer: 206 with Content-Range for a span, 200 for the whole."""
    start, stop = span or (0, body.size)
    headers = {"Content-Type": body.content_type, "Accept-Ranges": "bytes", "ETag": body.etag}
    if span is not None:
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{body.size}"
    return Plan(206 if span else 200, headers, start, stop, stop - start)


def spoil(plan: Plan, fault: Fault, body: Media | Bytes) -> Plan:
    """The answer as a fault in its head makes it; other faults leave it alone."""
    if fault.kind == "zero-bytes":
        headers = {name: value for name, value in plan.headers.items() if name != "Content-Range"}
        return Plan(200, headers, 0, 0, 0)
    if fault.kind == "ignore-range":
        return plan_answer(body, None)
    if fault.kind in {"no-length", "chunked"}:
        return replace(plan_answer(body, None), length=None)
    if fault.kind == "wrong-range" and "Content-Range" in plan.headers:
        plan.headers["Content-Range"] = f"bytes {plan.start + 1}-{plan.stop}/{body.size + 1}"
    elif fault.kind == "etag":
        plan.headers["ETag"] = fault.etag or f'"{body.etag[1:9]}-changed"'
    elif fault.kind == "total":
        total = fault.bytes or 0
        if "Content-Range" in plan.headers:
            plan.headers["Content-Range"] = f"bytes {plan.start}-{plan.stop - 1}/{total}"
        else:
            plan.stop = min(plan.stop, total)
            plan.length = plan.stop - plan.start
    return plan


async def send(request: web.BaseRequest, plan: Plan, body: Media | Bytes, *, fault: Fault | None) -> web.StreamResponse:
    """Sends an answer, spoilt on its way by a fault in its body; returns it as sent."""
    if fault is not None and fault.kind == "no-length" and request.method != "HEAD":
        await _send_until_closed(request, plan, body, most=fault.bytes)
    response = web.StreamResponse(status=plan.status, headers=plan.headers)
    response.content_length = plan.length
    await response.prepare(request)
    if request.method == "HEAD":
        await response.write_eof()
        return response
    kind = fault.kind if fault else ""
    stop = plan.stop
    is_cut = fault is not None and kind in {"cut", "chunked"} and fault.bytes is not None
    if fault is not None and is_cut:
        stop = min(stop, plan.start + (fault.bytes or 0))
    sent = 0
    for block in _pieces(body, plan.start, stop, fault):
        await response.write(block)
        sent += len(block)
        if fault is not None and kind == "drip" and fault.rate:
            await asyncio.sleep(len(block) / fault.rate)
        if fault is not None and kind == "stall" and sent == fault.bytes:
            await asyncio.sleep(fault.seconds or 0)
    if is_cut:
        hang_up(request)
    else:
        await response.write_eof()
    return response


async def _send_until_closed(request: web.BaseRequest, plan: Plan, body: Media | Bytes, *, most: int | None) -> None:
    """A body that only the end of the connection ends, after `most` bytes at the latest. Raises ConnectionResetError.

    The server itself would send it in chunks, with a proper end.
    """
    wire = request.transport
    if wire is not None:
        fields = "".join(f"{name}: {value}\r\n" for name, value in plan.headers.items())
        wire.write(f"HTTP/1.1 {plan.status} OK\r\n{fields}Connection: close\r\n\r\n".encode())
        for block in body.blocks(0, body.size if most is None else min(most, body.size)):
            wire.write(block)
            while wire.get_write_buffer_size() > _MOST_BUFFERED and not wire.is_closing():  # noqa: ASYNC110 - no event
                await asyncio.sleep(_DRAIN_SECONDS)
        wire.close()
    raise ConnectionResetError


def _pieces(body: Media | Bytes, start: int, stop: int, fault: Fault | None) -> Iterator[bytes]:
    """The body in the pieces that the fault wants: small for a drip, broken where a stall begins."""
    edges = [start, stop]
    if fault is not None and fault.kind == "drip" and fault.rate:
        step = max(1, int(fault.rate * _DRIP_STEP_SECONDS))
        edges = [*range(start, stop, step), stop]
    elif fault is not None and fault.kind == "stall" and fault.bytes:
        edges = [start, min(stop, start + fault.bytes), stop]
    wrong = fault is not None and fault.kind == "wrong-bytes"
    for left, right in pairwise(edges):
        for block in body.blocks(left, right):
            if wrong:
                wrong = False
                yield block[:-1] + bytes((block[-1] ^ 0x01,))
            elif block:
                yield block


def hang_up(request: web.BaseRequest) -> None:
    """Closes the connection after what has been written so far."""
    if request.transport is not None:
        request.transport.close()
