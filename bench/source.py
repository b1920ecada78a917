"""A media host for measurements: any path `/…/{bytes}/…` is a recording of that many bytes, Range and all.

`/files/{count}/{bytes}/` is a page of links to so many files, for clients that begin with a listing. What every
byte is follows from its offset, so `sha256` knows what any recording must come out as.
"""

from __future__ import annotations

import hashlib
import mmap
import multiprocessing
import re
import tempfile
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bench.wire import Connection, Request

# Not a multiple of any block size, so that no two blocks of a recording are alike.
PERIOD = 24 * 1024 * 1024 + 12_345
_RANGE = re.compile(r"bytes=(\d+)-(\d*)")
_PAGE = re.compile(r"/files/(\d+)/(\d+)/")
_SIZE = re.compile(r"/(\d+)(?:/|$|\.)")


def pattern() -> bytes:
    """The first PERIOD bytes of every recording: a wav's head, then noise."""
    noise = hashlib.shake_128(b"acs-byos-recorder").digest(1 << 20)
    body = b"".join(noise[i:] + noise[:i] for i in range(25))
    return (b"RIFF\xff\xff\xff\xffWAVEfmt " + body)[:PERIOD]


def sha256(size: int) -> str:
    """Of a recording of `size` bytes."""
    digest, whole, left = hashlib.sha256(), pattern(), size
    while left > 0:
        digest.update(whole[:left] if left < PERIOD else whole)
        left -= PERIOD
    return digest.hexdigest()


class Source:
    """`rate`: bytes a second a connection may have; `busy`: requests at once, above which it answers 429."""

    def __init__(self, *, rate: int = 0, busy: int = 0, latency: float = 0.0) -> None:
        self._rate = rate
        self._busy = busy
        self._latency = latency
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the server
        self._file.write(pattern())
        self._file.flush()
        self._view = memoryview(mmap.mmap(self._file.fileno(), PERIOD, prot=mmap.PROT_READ))
        # Shared by the processes forked after this.
        self._under_way: Any = multiprocessing.Value("i", 0)
        self._refused: Any = multiprocessing.Value("i", 0)
        self._most: Any = multiprocessing.Value("i", 0)

    def handle(self, connection: Connection, request: Request) -> None:
        """One request."""
        if request.path == "/stats":
            body = f'{{"refused": {self._refused.value}, "most": {self._most.value}}}'.encode()
            connection.answer("200 OK", {"Content-Type": "application/json"}, body)
            return
        page = _PAGE.fullmatch(request.path)
        if page:
            links = "".join(f'<a href="{n}-{page[2]}.wav">{n}-{page[2]}.wav</a>\n' for n in range(int(page[1])))
            connection.answer("200 OK", {"Content-Type": "text/html"}, f"<html>{links}</html>".encode())
            return
        if not self._busy:
            self._media(connection, request)
            return
        with self._under_way.get_lock():
            self._under_way.value += 1
            self._most.value = max(self._most.value, self._under_way.value)
            is_refused = self._under_way.value > self._busy
        try:
            if is_refused:
                with self._refused.get_lock():
                    self._refused.value += 1
                connection.answer("429 Too Many Requests", {"Retry-After": "1"})
            else:
                self._media(connection, request)
        finally:
            with self._under_way.get_lock():
                self._under_way.value -= 1

    def _media(self, connection: Connection, request: Request) -> None:
        name = request.path.rpartition("-")[2] if "/files/" in request.path else request.path
        size = _SIZE.search("/" + name.lstrip("/"))
        if size is None:
            connection.answer("404 Not Found")
            return
        total = int(size[1])
        headers = {"Content-Type": "application/octet-stream", "Accept-Ranges": "bytes", "ETag": f'"{total}"'}
        if "metadata" in request.path:
            connection.answer("200 OK", {"Content-Type": "application/json"}, b'{"participants": []}')
            return
        asked = _RANGE.fullmatch(request.headers.get("range", ""))
        start, last = (int(asked[1]), int(asked[2] or total - 1)) if asked else (0, total - 1)
        last = min(last, total - 1)
        length = last - start + 1
        if length < 1:
            connection.answer("416 Range Not Satisfiable")
            return
        headers["Content-Length"] = str(length)
        if asked:
            headers["Content-Range"] = f"bytes {start}-{last}/{total}"
        if self._latency:
            time.sleep(self._latency)
        connection.answer("206 Partial Content" if asked else "200 OK", headers)
        while length and request.method == "GET":
            begin = start % PERIOD
            count = min(length, PERIOD - begin)
            connection.send_file(self._file, self._view, begin, count, rate=self._rate)
            start += count
            length -= count
