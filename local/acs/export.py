"""The export into the customer's container, with the real storage SDK."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from azure.core.exceptions import AzureError, ResourceNotFoundError
from azure.storage.blob import BlobServiceClient, ContentSettings

from local.acs.content import HTML_PAGE, Bytes
from local.acs.documents import chunk_metadata
from local.acs.layout import blob_names, blob_urls
from local.acs.media import Beginning, MediaStream, Zeros

if TYPE_CHECKING:
    from local.acs.media import Readable
    from local.acs.model import Chunk, Recording

_LOG = logging.getLogger("local.acs")


@dataclass(frozen=True)
class Exported:
    """What came of one chunk's export. `failure` None: both blobs are written, at these URLs."""

    media_url: str = ""
    metadata_url: str = ""
    failure: str | None = None


class Exporter:
    """Writes chunks into containers of the one account in `connection_string` (None: of none).

    A container URL belongs to the account when it lies below the account's blob endpoint, or when its host is
    `{account}.blob.…`. Every other URL ends as `role-missing`: ACS's identity may not write there.
    """

    def __init__(self, connection_string: str | None) -> None:
        self._service = (
            BlobServiceClient.from_connection_string(
                connection_string, retry_total=1, retry_connect=0, connection_timeout=5, read_timeout=20
            )
            if connection_string
            else None
        )

    def close(self) -> None:
        """Closes the connections."""
        if self._service is not None:
            self._service.close()

    def export(self, recording: Recording, chunk: Chunk, *, kind: str = "ok") -> Exported:
        """Exports one chunk; `kind` is one of `model.EXPORT_KINDS`. Never raises for what a container does."""
        claimed = Exported(*blob_urls(recording, chunk))
        if kind == "claimed-missing":
            return claimed
        if not kind.startswith(("ok", "claimed")):
            return Exported(failure=kind)
        location = self._location(recording.request.container_url or "")
        if location is None or self._service is None:
            return Exported(failure="role-missing")
        container, prefix = location
        media_name, metadata_name = blob_names(recording, chunk)
        content = _content(chunk, kind, most=recording.plan.export_bytes)
        try:
            with self._service.get_container_client(container) as client:
                client.upload_blob(
                    prefix + media_name,
                    MediaStream(content),
                    length=content.size,
                    overwrite=True,
                    content_settings=ContentSettings(content_type=chunk.media.content_type),
                )
                client.upload_blob(
                    prefix + metadata_name,
                    chunk_metadata(recording, chunk),
                    overwrite=True,
                    content_settings=ContentSettings(content_type="application/json"),
                )
        except ResourceNotFoundError:
            return Exported(failure="container-missing")
        except AzureError as error:
            _LOG.warning("acs.export.failed %s", type(error).__name__)
            return Exported(failure="service-outage")
        return claimed

    def _location(self, url: str) -> tuple[str, str] | None:
        """Container and prefix (empty or with a trailing slash) of a URL in our account."""
        if self._service is None:
            return None
        parts, base = urlsplit(url), urlsplit(self._service.url)
        path = unquote(parts.path).strip("/")
        if parts.netloc == base.netloc:
            root = base.path.strip("/")
            if root and not (path + "/").startswith(root + "/"):
                return None
            path = path[len(root) :].strip("/")
        elif not (parts.hostname or "").startswith(f"{self._service.account_name}.blob."):
            return None
        container, _, prefix = path.partition("/")
        return (container, f"{prefix}/" if prefix else "") if container else None


def _content(chunk: Chunk, kind: str, *, most: int | None) -> Readable:
    """What an export of this kind writes in place of the media."""
    media = chunk.media
    if kind == "claimed-zeros":
        return Zeros(media.size)
    if kind == "claimed-html":
        return Bytes(HTML_PAGE, "text/html")
    half = media.size // 2 if most is None else min(most, media.size)
    sizes = {"claimed-empty": 0, "claimed-one-byte": min(1, media.size), "claimed-truncated": half}
    return Beginning(media, sizes[kind]) if kind in sizes else media
