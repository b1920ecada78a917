"""Whether a recording is whole: compares what ACS recorded (the emulator's truth) with what the containers hold.

The blobs are read back with the storage SDK; no statement of the app is used without a check.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from azure.core.exceptions import ResourceNotFoundError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from azure.storage.blob import BlobServiceClient


@dataclass(frozen=True)
class ProvenChunk:
    """One chunk: its SHA-256 at ACS and in the container (None: there is no blob)."""

    index: int
    size: int
    source_sha256: str
    container_sha256: str | None


@dataclass(frozen=True)
class Proof:
    """All chunks of a recording, and every difference as a sentence; whole if there are none."""

    chunks: tuple[ProvenChunk, ...]
    differences: tuple[str, ...]


def prove(
    story: Mapping[str, Any],
    truth: Mapping[str, Any],
    *,
    metadata: Mapping[int, bytes],
    service: BlobServiceClient,
) -> Proof:
    """Compares one finished recording. `story`: the app's status; `truth`: the control plane's, with checksums.

    `metadata`: ACS's metadata of each chunk, by index.
    """
    found: list[str] = []
    if story["state"] != "complete" or not story.get("closedAt"):
        found.append(f"the app says that it is {story['state']}, closed: {story.get('closedAt')}")
    known = {chunk["index"]: chunk for chunk in story["chunks"]}
    if sorted(known) != [chunk["index"] for chunk in truth["chunks"]]:
        found.append(f"the app knows the chunks {sorted(known)}, ACS made {len(truth['chunks'])}")
    proven = []
    expected: set[str] = set()
    for real in truth["chunks"]:
        chunk = known.get(real["index"], {})
        digest = _compare(chunk, real, metadata[real["index"]], service, found)
        proven.append(ProvenChunk(real["index"], real["bytes"], real["sha256"], digest))
        expected |= {url for url in (chunk.get("blob"), chunk.get("metadataBlob")) if url}
    _manifest(story, truth, service, expected, found)
    return Proof(tuple(proven), tuple(found))


def _compare(
    chunk: Mapping[str, Any],
    real: Mapping[str, Any],
    metadata: bytes,
    service: BlobServiceClient,
    found: list[str],
) -> str | None:
    """Compares media and metadata of one chunk; returns the SHA-256 of the media in the container."""
    label = f"chunk {real['index']}"
    if chunk.get("where") != "destination":
        found.append(f"{label} is not in the destination: {chunk.get('where')}")
        return None
    data = _sha256(service, chunk["blob"])
    if data is None:
        found.append(f"{label}: there is no blob at {chunk['blob']}")
        return None
    size, digest = data
    if (size, digest) != (real["bytes"], real["sha256"]):
        found.append(f"{label}: the container has {size} bytes, SHA-256 {digest}")
    if chunk.get("size") != real["bytes"] or chunk.get("sha256") not in (real["sha256"], None):
        found.append(f"{label}: the app says {chunk.get('size')} bytes, SHA-256 {chunk.get('sha256')}")
    if not chunk.get("metadataBlob") or _read(service, chunk["metadataBlob"]) != metadata:
        found.append(f"{label}: its metadata is missing or differs: {chunk.get('metadataBlob')}")
    return digest


def _manifest(
    story: Mapping[str, Any],
    truth: Mapping[str, Any],
    service: BlobServiceClient,
    expected: set[str],
    found: list[str],
) -> None:
    """Compares the manifest, and finds files of this call that do not belong there."""
    container = "/".join(story["containerUrl"].split("/")[:5])  # http://host/account/container
    name = story["manifest"].get("blob")
    data = _read(service, f"{container}/{name}") if name else None
    if data is None:
        found.append("there is no manifest")
        return
    listed = {one["index"]: one for one in json.loads(data)["chunks"]}
    for real in truth["chunks"]:
        one = listed.get(real["index"], {})
        if one.get("size") != real["bytes"] or one.get("sha256") not in (real["sha256"], None):
            found.append(f"the manifest says of chunk {real['index']}: {one}")
    names = service.get_container_client(container.rpartition("/")[2]).list_blob_names()
    there = {f"{container}/{blob}" for blob in names if truth["callId"] in blob.split("/")}
    found.extend(f"an unexpected file: {url}" for url in sorted(there - expected - {f"{container}/{name}"}))


def _blob(service: BlobServiceClient, url: str) -> Any:
    """The SDK's client of a blob by its plain URL in the local account."""
    container, _, name = urlsplit(url).path.removeprefix(f"/{service.account_name}/").partition("/")
    return service.get_blob_client(container, name)


def _read(service: BlobServiceClient, url: str) -> bytes | None:
    try:
        return bytes(_blob(service, url).download_blob().readall())
    except ResourceNotFoundError:
        return None


def _sha256(service: BlobServiceClient, url: str) -> tuple[int, str] | None:
    digest, size = hashlib.sha256(), 0
    try:
        for piece in _blob(service, url).download_blob().chunks():
            digest.update(piece)
            size += len(piece)
    except ResourceNotFoundError:
        return None
    return size, digest.hexdigest()
