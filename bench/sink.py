"""A blob service for measurements: the bytes of blocks are dropped, all else (lists, ETags, small blobs) is true.

What is kept lies in files below one folder, so that several processes serve it together. Signatures are not looked
at: the clients make them all the same, and that is what they are measured for.
"""

from __future__ import annotations

import base64
import contextlib
import fcntl
import json
import re
import time
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


class Sink:
    """One account, `/{account}/{container}/{blob}`; every container exists."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def handle(self, connection: Connection, request: Request) -> None:
        """One request."""
        _, _, rest = request.path.lstrip("/").partition("/")
        container, _, blob = rest.partition("/")
        comp = request.query.get("comp", "")
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
        document = f"{container}/{blob}"
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

    # --- blocks

    def _put_block(self, connection: Connection, request: Request, name: str) -> None:
        connection.drop(request)
        # One short append is atomic: no lock is needed for what several connections write at once.
        with self._file(name, "blocks").open("ab", buffering=0) as kept:
            kept.write(f"{request.query['blockid']} {request.length}\n".encode())
        connection.answer("201 Created", _headers())

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
        connection.answer("201 Created", {**_headers(), "ETag": kept["etag"]})

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
        prefix = quote(f"{container}/{request.query.get('prefix', '')}", safe="")
        files = sorted(path.name for path in self._folder.iterdir())
        names = [name for name in files if name.startswith(prefix) and name.endswith(".json")]
        found = "".join(_blob_xml(kept) for name in names if (kept := self._read(unquote(name.removesuffix(".json")))))
        head = '<?xml version="1.0" encoding="utf-8"?><EnumerationResults>'
        body = f"{head}<Blobs>{found}</Blobs><NextMarker/></EnumerationResults>"
        connection.answer("200 OK", {**_headers(), "Content-Type": "application/xml"}, body.encode())

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


def _blob_xml(kept: dict[str, Any]) -> str:
    name, etag = quote(kept["name"].partition("/")[2]), kept["etag"].strip('"')
    properties = f"<Content-Length>{kept['size']}</Content-Length><Etag>{etag}</Etag><BlobType>BlockBlob</BlobType>"
    return f"<Blob><Name>{name}</Name><Properties>{properties}</Properties></Blob>"


def _blocks_xml(blocks: Any) -> str:
    return "".join(f"<Block><Name>{block}</Name><Size>{size}</Size></Block>" for block, size in blocks)


def _headers() -> dict[str, str]:
    return {"x-ms-request-id": "bench", "x-ms-version": "2023-11-03", "Last-Modified": _DATE, "Date": _DATE}


def _error(connection: Connection, status: str, code: str, *, has_body: bool = True) -> None:
    body = f'<?xml version="1.0" encoding="utf-8"?><Error><Code>{code}</Code><Message>{code}</Message></Error>'
    headers = {**_headers(), "x-ms-error-code": code, "Content-Type": "application/xml"}
    connection.answer(status, headers, body.encode() if has_body else b"")
