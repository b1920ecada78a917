"""A blob service for measurements: the bytes of blocks are dropped, all else (lists, ETags, small blobs) is true.

What is kept lies in files below one folder, so that several processes serve it together. Signatures are not looked
at: the clients make them all the same, and that is what they are measured for.

Requests are counted: `GET /requests` tells how many of which kind. `PUT /finished/{n}` lets n documents stand in the
ledger that only listings know: a million blobs in no time.
"""

from __future__ import annotations

import base64
import bisect
import contextlib
import fcntl
import heapq
import json
import multiprocessing
import re
import time
from itertools import islice, takewhile
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bench.wire import Connection, Request

_ID = re.compile(r"<(?:Latest|Uncommitted|Committed)>([^<]*)<")
# Blobs up to this size are kept: ledger, metadata, manifests.
_KEPT = 128 * 1024
_DATE = "Sun, 22 Nov 2026 12:00:00 GMT"
# The most that one answer of List Blobs holds (service documentation).
_PAGE = 5000
_LEDGER = "recording-ledger"
_QUEUES = ("recording-rescues", "recording-background")
_KINDS = ("list", "read", "write", "delete", "queue")


class Sink:
    """One account, `/{account}/{container}/{blob}`; every container exists."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        # Shared by the processes forked after this.
        self._finished: Any = multiprocessing.Value("q", 0)
        self._asked: dict[str, Any] = {kind: multiprocessing.Value("q", 0) for kind in _KINDS}

    def handle(self, connection: Connection, request: Request) -> None:
        """One request."""
        account, _, rest = request.path.lstrip("/").partition("/")
        if account in ("requests", "finished"):
            self._control(connection, rest)
            return
        container, _, blob = rest.partition("/")
        comp = request.query.get("comp", "")
        self._count(request, container)
        if container.startswith(_QUEUES):
            self._queue(connection, request)
            return
        if request.method == "PUT" and comp == "block":
            self._put_block(connection, request, f"{container}/{blob}")
            return
        is_media = request.method == "PUT" and not comp and request.length > _KEPT
        if is_media:
            connection.drop(request)
        body = b"" if is_media else connection.body(request)
        if request.query.get("restype") == "container" or not blob:
            self._container(connection, request, container)
            return
        self._blob(connection, request, f"{container}/{blob}", body)

    def _blob(self, connection: Connection, request: Request, document: str, body: bytes) -> None:
        comp = request.query.get("comp", "")
        with self._locked(document):
            if request.method == "PUT" and comp == "blocklist":
                self._put_list(connection, request, document, body)
            elif request.method == "PUT" and not comp:
                self._write(
                    connection,
                    request,
                    document,
                    {"body": base64.b64encode(body).decode(), "size": request.length or len(body)},
                )
            elif request.method == "GET" and comp == "blocklist":
                self._get_list(connection, request, document)
            elif request.method in ("GET", "HEAD"):
                self._get(connection, request, document)
            elif request.method == "DELETE":
                self._file(document).unlink(missing_ok=True)
                connection.answer("202 Accepted", _headers())
            else:
                connection.answer("200 OK", _headers())

    # --- what a measurement asks beside

    def _count(self, request: Request, container: str) -> None:
        kind = {"GET": "read", "HEAD": "read", "DELETE": "delete"}.get(request.method, "write")
        if request.query.get("comp") == "list":
            kind = "list"
        if container.startswith(_QUEUES):
            kind = "queue"
        asked = self._asked[kind]
        with asked.get_lock():
            asked.value += 1

    def _control(self, connection: Connection, finished: str) -> None:
        if finished:
            self._finished.value = int(finished)
        found = {kind: asked.value for kind, asked in self._asked.items()}
        connection.answer("200 OK", {"Content-Type": "application/json"}, json.dumps(found).encode())

    @staticmethod
    def _queue(connection: Connection, request: Request) -> None:
        """Every queue exists and is empty; what is sent is not kept."""
        connection.body(request)
        headers = {**_headers(), "x-ms-approximate-messages-count": "0", "Content-Type": "application/xml"}
        body = '<?xml version="1.0" encoding="utf-8"?><QueueMessagesList/>'
        connection.answer("200 OK" if request.method == "GET" else "204 No Content", headers, body.encode())

    # --- blocks

    def _put_block(self, connection: Connection, request: Request, name: str) -> None:
        connection.drop(request)
        # One short append is atomic: no lock is needed for what several connections write at once.
        with self._file(name, "blocks").open("ab", buffering=0) as kept:
            kept.write(f"{request.query['blockid']} {request.length}\n".encode())
        connection.answer("201 Created", {**_headers(), **_verified(request)})

    def _blocks(self, name: str) -> dict[str, int]:
        try:
            lines = self._file(name, "blocks").read_text().splitlines()
        except FileNotFoundError:
            return {}
        return {block: int(size) for block, size in (line.split(" ") for line in lines)}

    def _put_list(self, connection: Connection, request: Request, name: str, body: bytes) -> None:
        sizes = self._blocks(name)
        ids = _ID.findall(body.decode())
        if any(block not in sizes for block in ids):
            _error(connection, "400 Bad Request", "InvalidBlockList")
            return
        chosen = [[block, sizes[block]] for block in ids]
        self._file(name, "blocks").unlink(missing_ok=True)
        self._write(connection, request, name, {"size": sum(sizes[block] for block in ids), "blocks": chosen})

    def _get_list(self, connection: Connection, request: Request, name: str) -> None:
        kept = self._read(name)
        staged = self._blocks(name)
        if kept is None and not staged:
            _error(connection, "404 Not Found", "BlobNotFound")
            return
        kind = request.query.get("blocklisttype", "committed")
        committed = (kept or {}).get("blocks", []) if kind != "uncommitted" else []
        uncommitted = staged.items() if kind != "committed" else []
        body = (
            '<?xml version="1.0" encoding="utf-8"?><BlockList>'
            f"<CommittedBlocks>{_blocks_xml(committed)}</CommittedBlocks>"
            f"<UncommittedBlocks>{_blocks_xml(uncommitted)}</UncommittedBlocks></BlockList>"
        )
        connection.answer("200 OK", {**_headers(), "Content-Type": "application/xml"}, body.encode())

    # --- blobs

    def _write(self, connection: Connection, request: Request, name: str, kept: dict[str, Any]) -> None:
        before = self._read(name)
        wanted = request.headers.get("if-match")
        if request.headers.get("if-none-match") == "*" and before:
            _error(connection, "409 Conflict", "BlobAlreadyExists")
            return
        if wanted and (before is None or before["etag"] != wanted):
            _error(connection, "412 Precondition Failed", "ConditionNotMet")
            return
        noted = {key: value for key, value in request.headers.items() if key.startswith("x-ms-meta-")}
        kept = {"name": name, "etag": f'"0x{time.monotonic_ns():X}"', "metadata": noted, **kept}
        self._file(name).write_text(json.dumps(kept))
        connection.answer("201 Created", {**_headers(), **_verified(request), "ETag": kept["etag"]})

    def _get(self, connection: Connection, request: Request, name: str) -> None:
        kept = self._read(name)
        if kept is None:
            _error(connection, "404 Not Found", "BlobNotFound", has_body=request.method == "GET")
            return
        data = base64.b64decode(kept.get("body", ""))
        headers = {**_headers(), "ETag": kept["etag"], **kept["metadata"], "x-ms-blob-type": "BlockBlob"}
        if request.method == "HEAD":
            connection.answer("200 OK", {**headers, "Content-Length": str(kept["size"])})
        elif "x-ms-range" in request.headers and data:
            headers["Content-Range"] = f"bytes 0-{len(data) - 1}/{len(data)}"
            connection.answer("206 Partial Content", headers, data)
        else:
            connection.answer("200 OK", headers, data)

    def _container(self, connection: Connection, request: Request, container: str) -> None:
        if request.query.get("comp") != "list":
            connection.answer("201 Created" if request.method == "PUT" else "200 OK", {**_headers(), "ETag": '"0x1"'})
            return
        prefix, marker = request.query.get("prefix", ""), request.query.get("marker", "")
        most = min(int(request.query.get("maxresults") or _PAGE), _PAGE)
        names = list(islice(self._names(container, prefix, marker), most + 1))
        following = f"<NextMarker>{quote(names.pop())}</NextMarker>" if len(names) > most else "<NextMarker/>"
        found = "".join(_blob_xml(name, self._read(f"{container}/{name}")) for name in names)
        head = '<?xml version="1.0" encoding="utf-8"?><EnumerationResults>'
        # The SDK asks for the next page in the size that this one says.
        body = f"{head}<MaxResults>{most}</MaxResults><Blobs>{found}</Blobs>{following}</EnumerationResults>"
        connection.answer("200 OK", {**_headers(), "Content-Type": "application/xml"}, body.encode())

    def _names(self, container: str, prefix: str, marker: str) -> Iterator[str]:
        """The container's blobs that begin with `prefix`, from `marker` on, in order."""
        wanted = quote(f"{container}/{prefix}", safe="")
        there = (path.name for path in self._folder.iterdir())
        files = [file for file in there if file.startswith(wanted) and file.endswith(".json")]
        names = (unquote(file.removesuffix(".json")).removeprefix(f"{container}/") for file in files)
        own = sorted(name for name in names if name >= marker)
        finished = self._finished.value if container == _LEDGER else 0
        first = bisect.bisect_left(range(finished), max(prefix, marker), key=_finished_name)
        made = takewhile(lambda name: name.startswith(prefix), map(_finished_name, range(first, finished)))
        return heapq.merge(own, made)

    # --- files

    def _file(self, name: str, kind: str = "json") -> Path:
        # The name itself, so that a listing is one of the folder; the names of a measurement are short enough.
        return self._folder / f"{quote(name, safe='')}.{kind}"

    def _read(self, name: str) -> dict[str, Any] | None:
        try:
            found: dict[str, Any] = json.loads(self._file(name).read_text())
        except FileNotFoundError:
            return None
        return found

    @contextlib.contextmanager
    def _locked(self, name: str) -> Iterator[None]:
        with self._file(name, "lock").open("ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _finished_name(number: int) -> str:
    return f"recordings/{number:032x}.json"


def _blob_xml(name: str, kept: dict[str, Any] | None) -> str:
    size, etag = (kept["size"], kept["etag"].strip('"')) if kept else (2000, "0x1")
    properties = f"<Content-Length>{size}</Content-Length><Etag>{etag}</Etag><BlobType>BlockBlob</BlobType>"
    noted = {key.removeprefix("x-ms-meta-"): value for key, value in (kept or {}).get("metadata", {}).items()}
    metadata = "".join(f"<{key}>{value}</{key}>" for key, value in noted.items())
    return (
        f"<Blob><Name>{quote(name)}</Name><Properties>{properties}</Properties><Metadata>{metadata}</Metadata></Blob>"
    )


def _blocks_xml(blocks: Any) -> str:
    return "".join(f"<Block><Name>{block}</Name><Size>{size}</Size></Block>" for block, size in blocks)


def _verified(request: Request) -> dict[str, str]:
    """The checksum, returned as by a service that compared it (this one does not look at the bytes)."""
    found = request.headers.get("x-ms-content-crc64")
    return {"x-ms-content-crc64": found} if found else {}


def _headers() -> dict[str, str]:
    return {"x-ms-request-id": "bench", "x-ms-version": "2023-11-03", "Last-Modified": _DATE, "Date": _DATE}


def _error(connection: Connection, status: str, code: str, *, has_body: bool = True) -> None:
    body = f'<?xml version="1.0" encoding="utf-8"?><Error><Code>{code}</Code><Message>{code}</Message></Error>'
    headers = {**_headers(), "x-ms-error-code": code, "Content-Type": "application/xml"}
    connection.answer(status, headers, body.encode() if has_body else b"")
