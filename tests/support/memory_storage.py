"""Azure Storage in memory, answering below the real SDKs: blobs and queues, as the service documents them.

The SDKs sign, retry, parse and validate as always; only the wire is missing (`MemoryTransport`). Conditional writes,
ranges, block lists with one id length and a week of life, pages as short as they are wanted, messages with visibility,
dequeue counts and pop receipts. `now` is whatever clock the test has. What is not here: leases, snapshots, signatures.
Held to the contract suite like Azurite (`tests/contract`).
"""

from __future__ import annotations

import base64
import io
import itertools
import uuid
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote, urlsplit
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape

import requests
from azure.core.pipeline.transport._requests_basic import RequestsTransport
from requests.adapters import BaseAdapter
from requests.structures import CaseInsensitiveDict
from urllib3 import HTTPHeaderDict, HTTPResponse

from shared.adapters import blob as blob_adapter
from shared.adapters import queue as queue_adapter
from tests.support.memory_blobs import Answer, Blobs, Container, RefusedError, Request, StoredBlob, xml

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


__all__ = ["Answer", "MemoryStorage", "MemoryTransport", "RefusedError", "Request", "StoredBlob", "StoredMessage"]


@dataclass
class StoredMessage:
    """A message; `receipt` changes each time it is received."""

    id: str
    text: str
    visible_at: datetime
    expires_at: datetime | None
    receipt: str
    count: int = 0


Around = Callable[["Request", Callable[[], "Answer"]], "Answer"]


class MemoryStorage:
    """All accounts, by host. `page`: how many names one answer of a listing holds at the most."""

    def __init__(self, now: Callable[[], datetime] = lambda: datetime.now(UTC), *, page: int = 5000) -> None:
        self.now = now
        self.page = page
        self.containers: dict[tuple[str, str], Container] = {}
        self.queues: dict[tuple[str, str], list[StoredMessage]] = {}
        self.around: Around = lambda _request, act: act()
        self.sent: Callable[[str, StoredMessage], None] = lambda _queue, _message: None
        self._versions = itertools.count(1)

    @staticmethod
    def connection_string(account: str = "memory", domain: str = "example") -> str:
        """For the SDKs; the key is any."""
        key = base64.b64encode(b"no secret").decode()
        ends = ";".join(f"{kind.title()}Endpoint=https://{account}.{kind}.{domain}" for kind in ("blob", "queue"))
        return f"DefaultEndpointsProtocol=https;AccountName={account};AccountKey={key};{ends}"

    @contextmanager
    def below_the_adapters(self) -> Iterator[None]:
        """The app's adapters get this storage while it lasts."""
        patched: tuple[Any, ...] = (blob_adapter, queue_adapter)
        kept = [module.pooled_transport for module in patched]
        for module in patched:
            module.pooled_transport = lambda *_given, **_named: MemoryTransport(self)
        try:
            yield
        finally:
            for module, old in zip(patched, kept, strict=True):
                module.pooled_transport = old

    def answer(self, request: Request) -> Answer:
        """The service's answer."""
        try:
            found = self.around(request, lambda: self._answer(request))
        except RefusedError as error:
            text = (
                f"<?xml version='1.0' encoding='utf-8'?><Error><Code>{error.code}</Code><Message>no</Message></Error>"
            )
            headers = {"x-ms-error-code": error.code, "Content-Type": "application/xml"}
            found = Answer(error.status, headers, b"" if request.method == "HEAD" else text.encode())
        return found

    def _answer(self, request: Request) -> Answer:
        first, _, rest = request.path.strip("/").partition("/")
        if ".queue." in request.host:
            return self._queue(request, first, rest)
        if not rest:
            return self._container(request, (request.host, first))
        found = self.containers.get((request.host, first))
        if found is None:
            raise RefusedError(404, "ContainerNotFound")
        return Blobs(self, found).answer(request, unquote(rest))

    def make(self, host: str, name: str) -> None:
        """A container, made by hand."""
        self.containers.setdefault((host, name), Container())

    def blobs(self, host: str, name: str) -> dict[str, StoredBlob]:
        """The blobs of a container; none where there is none."""
        found = self.containers.get((host, name))
        return found.blobs if found else {}

    def put_message(self, host: str, queue: str, text: str) -> None:
        """A message, put by hand."""
        message = StoredMessage(str(uuid.UUID(int=next(self._versions))), text, self.now(), None, self.etag())
        self.queues.setdefault((host, queue), []).append(message)
        self.sent(queue, message)

    def etag(self) -> str:
        """A new one."""
        return f'"0x{next(self._versions):08X}"'

    # --- containers

    def _container(self, request: Request, key: tuple[str, str]) -> Answer:
        if request.method == "PUT":
            if key in self.containers:
                raise RefusedError(409, "ContainerAlreadyExists")
            self.containers[key] = Container()
            return Answer(201, self.plain())
        if key not in self.containers:
            raise RefusedError(404, "ContainerNotFound")
        if request.method == "DELETE":
            del self.containers[key]
            return Answer(202)
        if request.query.get("comp") == "list":
            return self._listing(request, self.containers[key])
        return Answer(200, self.plain())

    def plain(self) -> dict[str, str]:
        now = format_datetime(self.now().astimezone(UTC), usegmt=True)
        return {"ETag": self.etag(), "Last-Modified": now, "Date": now}

    def _listing(self, request: Request, container: Container) -> Answer:
        prefix, marker = request.query.get("prefix", ""), request.query.get("marker", "")
        below = (name for name in container.blobs if name.startswith(prefix))
        names = sorted(name for name in _folded(below, prefix, request.query.get("delimiter", "")) if name >= marker)
        most = min(self.page, int(request.query.get("maxresults", 5000)))
        page, left = names[:most], names[most:]
        blobs = "".join(
            self._listed(name, container.blobs[name])
            if name in container.blobs
            else f"<BlobPrefix><Name>{escape(name)}</Name></BlobPrefix>"
            for name in page
        )
        following = escape(left[0]) if left else ""
        text = f"<EnumerationResults><Blobs>{blobs}</Blobs><NextMarker>{following}</NextMarker></EnumerationResults>"
        return xml(text)

    def _listed(self, name: str, blob: StoredBlob) -> str:
        metadata = "".join(f"<{key}>{escape(value)}</{key}>" for key, value in blob.metadata.items())
        facts = f"<Etag>{blob.etag.strip(chr(34))}</Etag><Content-Length>{len(blob.data)}</Content-Length>"
        facts += "<BlobType>BlockBlob</BlobType>"
        if blob.modified:
            facts += f"<Last-Modified>{format_datetime(blob.modified.astimezone(UTC), usegmt=True)}</Last-Modified>"
        return (
            f"<Blob><Name>{escape(name)}</Name><Properties>{facts}</Properties><Metadata>{metadata}</Metadata></Blob>"
        )

    # --- queues

    def _queue(self, request: Request, name: str, rest: str) -> Answer:  # noqa: PLR0911 - one for each operation
        key = (request.host, name)
        if not name:
            listed = "".join(f"<Queue><Name>{one}</Name></Queue>" for host, one in self.queues if host == request.host)
            return xml(f"<EnumerationResults><Queues>{listed}</Queues><NextMarker/></EnumerationResults>")
        if not rest and request.method == "PUT":
            is_there = key in self.queues
            self.queues.setdefault(key, [])
            return Answer(204 if is_there else 201)
        if key not in self.queues:
            raise RefusedError(404, "QueueNotFound")
        messages = self.queues[key]
        now = self.now()
        messages[:] = [one for one in messages if one.expires_at is None or one.expires_at > now]
        if not rest:
            if request.method == "DELETE":
                del self.queues[key]
                return Answer(204)
            return Answer(200, {"x-ms-approximate-messages-count": str(len(messages))})
        if request.method == "POST":
            return self._sent(request, name, messages)
        if request.method == "GET":
            return self._received(request, messages)
        return self._deleted(request, messages, rest.rpartition("/")[2])

    def _sent(self, request: Request, name: str, messages: list[StoredMessage]) -> Answer:
        text = ET.fromstring(request.body).findtext("MessageText") or ""  # noqa: S314 - the SDK's own
        life = int(request.query.get("messagettl", 7 * 86400))
        hidden = int(request.query.get("visibilitytimeout", 0))
        if not 0 <= hidden <= 7 * 86400:
            raise RefusedError(400, "OutOfRangeQueryParameterValue")
        visible_at = self.now() + timedelta(seconds=hidden)
        expires_at = None if life < 0 else self.now() + timedelta(seconds=life)
        message = StoredMessage(str(uuid.UUID(int=next(self._versions))), text, visible_at, expires_at, self.etag())
        messages.append(message)
        self.sent(name, message)
        return xml(f"<QueueMessagesList>{_shown(message, has_text=False)}</QueueMessagesList>", status=201)

    def _received(self, request: Request, messages: list[StoredMessage]) -> Answer:
        most, is_peek = int(request.query.get("numofmessages", 1)), request.query.get("peekonly") == "true"
        found = sorted((one for one in messages if one.visible_at <= self.now()), key=lambda one: one.visible_at)[:most]
        if not is_peek:
            for one in found:
                one.visible_at = self.now() + timedelta(seconds=int(request.query.get("visibilitytimeout", 30)))
                one.receipt, one.count = self.etag(), one.count + 1
        return xml(f"<QueueMessagesList>{''.join(_shown(one) for one in found)}</QueueMessagesList>")

    @staticmethod
    def _deleted(request: Request, messages: list[StoredMessage], name: str) -> Answer:
        found = next((one for one in messages if one.id == name), None)
        if found is None:
            raise RefusedError(404, "MessageNotFound")
        if found.receipt != request.query.get("popreceipt"):
            raise RefusedError(400, "PopReceiptMismatch")
        messages.remove(found)
        return Answer(204)


def _folded(names: Iterable[str], prefix: str, delimiter: str) -> set[str]:
    """Names, those with the delimiter behind the prefix cut after it."""
    if not delimiter:
        return set(names)
    cut = (name.removeprefix(prefix).partition(delimiter) for name in names)
    return {prefix + head + sign for head, sign, _ in cut}


def _shown(message: StoredMessage, *, has_text: bool = True) -> str:
    at = format_datetime(message.visible_at.astimezone(UTC), usegmt=True)
    times = "".join(f"<{name}>{at}</{name}>" for name in ("InsertionTime", "ExpirationTime", "TimeNextVisible"))
    text = f"<DequeueCount>{message.count}</DequeueCount><MessageText>{escape(message.text)}</MessageText>"
    plain = f"<MessageId>{message.id}</MessageId><PopReceipt>{escape(message.receipt)}</PopReceipt>{times}"
    return f"<QueueMessage>{plain}{text if has_text else ''}</QueueMessage>"


class _Adapter(BaseAdapter):
    """Where requests would open a connection."""

    def __init__(self, storage: MemoryStorage) -> None:
        super().__init__()
        self._storage = storage

    def send(self, request: requests.PreparedRequest, *_given: Any, **_named: Any) -> requests.Response:
        parts = urlsplit(request.url or "")
        body: Any = request.body or b""
        data = body.read() if hasattr(body, "read") else body.encode() if isinstance(body, str) else bytes(body)
        query = dict(parse_qsl(str(parts.query), keep_blank_values=True))
        headers = CaseInsensitiveDict({str(name): str(value) for name, value in request.headers.items()})
        asked = Request(str(request.method), str(parts.netloc), str(parts.path), query, headers, data)
        found = self._storage.answer(asked)
        response = requests.Response()
        response.status_code, response.reason = found.status, "OK" if found.status < 400 else "Error"
        shown = {"Content-Length": str(len(found.body)), "x-ms-request-id": "memory"} | found.headers
        response.headers = CaseInsensitiveDict(shown)
        sent = b"" if request.method == "HEAD" else found.body
        response.raw = HTTPResponse(
            io.BytesIO(sent),
            headers=HTTPHeaderDict(shown),
            status=found.status,
            preload_content=False,
            request_method=request.method,
        )
        response.url, response.request = str(request.url), request
        return response

    def close(self) -> None:
        """Nothing is open."""


class MemoryTransport(RequestsTransport):
    """The SDKs' transport to a `MemoryStorage`."""

    def __init__(self, storage: MemoryStorage) -> None:
        session = requests.Session()
        session.trust_env = False
        session.mount("https://", _Adapter(storage))
        super().__init__(session=session)
