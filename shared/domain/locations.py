"""Where a URL points: the customer's container, an ACS media host, or somewhere this app never goes.

Events are not trusted: a forged one could name any host, and both the storage SDK (with a bearer token) and the
ACS SDK (with a signature) would send a credential there. So every location passes through here first.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, quote, unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterable

# The media hosts that SDK 1.6.0 itself allows (`recording_url_validator.py`); kept here as our own check too.
MEDIA_HOST_SUFFIXES = (".asm.skype.com", ".asyncgw.teams.microsoft.com", ".ams.gov.teams.microsoft.us")
BLOB_HOST_SUFFIXES = (
    ".blob.core.windows.net",
    ".blob.core.usgovcloudapi.net",
    ".blob.core.chinacloudapi.cn",
    ".blob.storage.azure.net",
)
_LOOPBACK = ("127.0.0.1", "localhost", "[::1]", "::1")
_CONTAINER_NAME = re.compile(r"(?!.*--)[a-z0-9][a-z0-9-]{1,61}[a-z0-9]")
_EMULATOR_ACCOUNT = re.compile(r"[a-z0-9-]{1,63}")
_UNFIT = re.compile(r"[\x00-\x20\x7f\\]")
_HOST = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?")
# Leaves room for what is added below it: a blob's name has at most 1024 characters (service documentation).
_LONGEST_PLACE = 512
_LONGEST_BLOB_NAME = 1024


class Place(StrEnum):
    """What a location in an event turns out to be."""

    DESTINATION = "destination"  # a container on the allow-list
    OTHER_BLOB = "other_blob"  # a blob account that is not on the allow-list
    MEDIA = "media"  # an ACS media host
    FOREIGN = "foreign"  # anything else, or nothing


def _split(url: str) -> SplitResult | None:
    """The parts of `url`, or None where it is not a plain absolute URL (control characters, odd ports, userinfo)."""
    if not url or len(url) > 8192 or _UNFIT.search(url):
        return None
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    if port == 0 or parts.username is not None or parts.password is not None or not parts.hostname:
        return None
    return parts


@lru_cache(maxsize=1024)  # asked several times at each request, of the same few locations
def is_media_location(url: str) -> bool:
    """Whether `url` is https on one of the ACS media hosts, on the standard port, without userinfo."""
    parts = _split(url)
    if parts is None or parts.scheme != "https" or parts.port not in (None, 443):
        return False
    host = (parts.hostname or "").lower()
    return bool(_HOST.fullmatch(host)) and host.endswith(MEDIA_HOST_SUFFIXES)


def media_location(url: str | None) -> str | None:
    """The URL in its one spelling (no standard port, no query) where it is a media location, else None."""
    if not url or not is_media_location(url):
        return None
    parts = urlsplit(url)
    return f"https://{(parts.hostname or '').lower()}{parts.path}"


def document_root(url: str, document_id: str) -> str | None:
    """What a media location begins with, up to the segment that names the document; None where none does.

    `…/v1/objects/{documentId}/content/video`, `…/content/acsmetadata`, `…/content/deletedata` and `…/{documentId}` are
    of one document.
    """
    head, *segments = url.partition("://")[2].split("/")
    for position, part in enumerate(segments):
        if unquote(part) == document_id:
            return f"https://{head}/" + "/".join(segments[: position + 1])
    return None


def _container_and_prefix(segments: list[str], *, longest: int) -> tuple[str, str]:
    """The checked container name and place in it."""
    if not segments:
        raise ValueError("must name a container")
    container, *place = segments
    if container != "$root" and not _CONTAINER_NAME.fullmatch(container):
        raise ValueError("container names are 3 to 63 lower-case letters, digits and single hyphens")
    if any(part in (".", "..") or "/" in part or "\\" in part or not part.isprintable() for part in place):
        raise ValueError("the place in the container must be plain path segments")
    prefix = "/".join(place)
    if len(prefix) > longest:
        raise ValueError(f"the place in the container must be at most {longest} characters")
    return container, prefix


@dataclass(frozen=True)
class ContainerUrl:
    """A container, or a place in one: `account_url` + `/` + `container` [+ `/` + `prefix`].

    `prefix` has no slash at either end. Build it with `parse`; equality is by account, container and prefix.
    """

    account_url: str
    container: str
    prefix: str = ""

    @classmethod
    def parse(cls, url: str, *, longest: int = _LONGEST_PLACE) -> ContainerUrl:
        """Reads a container URL; ValueError says what is wrong with it.

        https only; http for a loopback address (a storage emulator). No query (so no SAS), fragment or userinfo.
        Emulator form: `http://127.0.0.1:10000/devstoreaccount1/container[/prefix]`.
        """
        parts = _split(url)
        if parts is None:
            raise ValueError("must be an absolute URL without userinfo or blanks")
        if parts.query or "?" in url:
            raise ValueError("must have no query: a SAS or key does not belong in a container URL")
        if parts.fragment or "#" in url:
            raise ValueError("must have no fragment")
        is_loopback = (parts.hostname or "").lower() in _LOOPBACK
        if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback):
            raise ValueError("must be https")
        segments = [unquote(segment) for segment in parts.path.split("/") if segment]
        netloc = parts.netloc.lower()
        account_url = f"{parts.scheme}://{netloc.removesuffix(':443') if parts.scheme == 'https' else netloc}"
        if is_loopback:
            if not segments or not _EMULATOR_ACCOUNT.fullmatch(segments[0]):
                raise ValueError("must name an account and a container")
            account_url += "/" + segments.pop(0)
        return cls(account_url, *_container_and_prefix(segments, longest=longest))

    def __str__(self) -> str:
        """The URL that `parse` reads back as this very place."""
        return self.blob_url(self.prefix) if self.prefix else f"{self.account_url}/{self.container}"

    def blob_url(self, name: str) -> str:
        """The plain URL of the blob `name` (full name within the container) for people to read."""
        return f"{self.account_url}/{self.container}/{quote(name, safe='/~=:@!$&()*+,;')}"

    def is_same_container(self, other: ContainerUrl) -> bool:
        """Whether both lie in one container, at whatever places of it."""
        return (self.account_url, self.container) == (other.account_url, other.container)

    def contains(self, other: ContainerUrl) -> bool:
        """Whether `other` is this place or one below it."""
        if not self.is_same_container(other):
            return False
        return not self.prefix or other.prefix == self.prefix or other.prefix.startswith(self.prefix + "/")


@dataclass(frozen=True)
class BlobLocation:
    """A blob in a place on the allow-list, as an event claimed it. `name` is its full name in the container."""

    place: ContainerUrl
    name: str


@dataclass(frozen=True)
class AllowList:
    """The places recordings may go to and be looked for in; nothing else is ever sent a storage credential."""

    places: tuple[ContainerUrl, ...]

    def allows(self, container: ContainerUrl) -> bool:
        """Whether recordings may go to `container`."""
        return any(place.contains(container) for place in self.places)

    def locate(self, url: str) -> BlobLocation | None:
        """The blob `url` names, where it lies in a place on the list; else None."""
        try:
            whole = ContainerUrl.parse(url, longest=_LONGEST_BLOB_NAME)
        except ValueError:
            return None
        for place in self.places:
            if place.contains(whole) and whole.prefix not in ("", place.prefix):
                return BlobLocation(place, whole.prefix)
        return None

    def classify(self, url: str | None) -> Place:
        """What the location `url` of an event is: decided by where it points, never by what it says."""
        if not url:
            return Place.FOREIGN
        if is_media_location(url):
            return Place.MEDIA
        if self.locate(url):
            return Place.DESTINATION
        parts = _split(url)
        host = (parts.hostname or "").lower() if parts else ""
        if parts and parts.scheme == "https" and host.endswith(BLOB_HOST_SUFFIXES):
            return Place.OTHER_BLOB
        return Place.FOREIGN


def allow_list(places: Iterable[ContainerUrl]) -> AllowList:
    """An allow-list without doubles, in the order given."""
    return AllowList(tuple(dict.fromkeys(places)))
