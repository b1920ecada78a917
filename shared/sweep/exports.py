"""What ACS exported around a day, looked through for all recordings of which no event came.

A day of a call centre holds thousands of files, and it is just when its event subscription is broken that all of its
recordings are silent. So one `Exports` serves a whole sweep: it lists a day once and reads a metadata file once,
whoever asks. What was read is known to the next sweep, too: that one goes on where the time of this one was over.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby, islice
from typing import TYPE_CHECKING, Any

from shared.domain import naming
from shared.domain.codec import parse_time
from shared.domain.errors import BlobMissing, StorageError
from shared.intake.event import identity
from shared.start.request import CHANNELS, FORMATS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from shared.domain.locations import ContainerUrl
    from shared.ports import BlobFacts, Clock, Container

_INDEX = re.compile(r"[0-9]{1,9}")
# Some hundred bytes each. What is more is read by each sweep anew.
_MOST_READ = 20_000
# Silent recordings are looked for in the order of their deadlines, and on three days each: more are not in use at once.
_MOST_DAYS = 12


class Unseen(Exception):
    """Not everything was seen, for the time was over or the container failed: what was not found may be there."""


@dataclass(frozen=True, slots=True)
class Metadata:
    """What a chunk's metadata file says of it; None where it does not."""

    document_id: str | None = None
    began: datetime | None = None
    channel: str | None = None  # mixed | unmixed


@dataclass(frozen=True, slots=True)
class Export:
    """A folder with the first chunk of a recording, and nothing that says whose it is. `call`: its call's folder."""

    folder: str
    call: str
    began: datetime
    form: str | None
    channel: str | None


class Exports:
    """The exports of all containers, as one sweep sees them. Every method may raise StorageError."""

    def __init__(self, *, clock: Clock, known: dict[tuple[str, str, str], Metadata] | None = None) -> None:
        self._clock = clock
        self._known = known or {}
        self._read: dict[tuple[str, str, str], Metadata] = {}
        self._days: dict[str, list[Export] | StorageError] = {}

    def following(self) -> Exports:
        """For the next sweep: nothing is listed, and what was read of a file is known as long as that is the same."""
        newest_first = {**self._read, **self._known}
        return Exports(clock=self._clock, known=dict(islice(newest_first.items(), _MOST_READ)))

    def near(
        self, container: Container, place: ContainerUrl, moment: datetime, *, within: timedelta, until: datetime
    ) -> list[Export]:
        """Those in `place` that began `within` that time of `moment`, on its day or those around. Unseen at `until`."""
        found: list[Export] = []
        for prefix in naming.day_prefixes(prefix=place.prefix, start=moment.astimezone(UTC)):
            day = self._day(container, place, prefix, until)
            first, last = moment - within, moment + within
            found += day[bisect_left(day, first, key=_began) : bisect_right(day, last, key=_began)]
        return found

    def _day(self, container: Container, place: ContainerUrl, prefix: str, until: datetime) -> list[Export]:
        """By beginning. A container that failed fails for the rest of the sweep: each try may take a minute."""
        key = f"{place.account_url}/{place.container}/{prefix}"
        day = self._days.get(key)
        if day is None:
            try:
                day = sorted(self._read_day(container, place, prefix, until), key=_began)
            except StorageError as error:
                day = error
            while len(self._days) >= _MOST_DAYS:
                del self._days[next(iter(self._days))]
            self._days[key] = day
        if isinstance(day, StorageError):
            raise day
        return day

    def _read_day(self, container: Container, place: ContainerUrl, prefix: str, until: datetime) -> Iterator[Export]:
        for folder, group in groupby(self.files(container, prefix, until=until), key=folder_of):
            files = list(group)
            call = folder.removeprefix(prefix).partition("/")[0]
            if folder == prefix.rstrip("/") or any(map(is_anothers, files)):
                continue
            for index, about, media in chunk_files(files):
                metadata = Metadata() if index else self.metadata(container, place, about, until=until)
                if metadata.began:
                    yield Export(folder, call, metadata.began, form_of(media), metadata.channel)

    def files(self, container: Container, prefix: str, *, until: datetime) -> Iterator[BlobFacts]:
        """All files below `prefix`, by name. Unseen."""
        cursor: str | None = None
        while True:
            self._check(until)
            found = container.find(prefix, cursor=cursor)
            yield from found
            cursor = found.cursor
            if cursor is None:
                return

    def metadata(self, container: Container, place: ContainerUrl, facts: BlobFacts, *, until: datetime) -> Metadata:
        """What that metadata file says; nothing where it cannot be read, or is gone. Unseen."""
        key = (f"{place.account_url}/{place.container}", facts.name, facts.etag)
        found = self._read.get(key) or self._known.get(key)
        if found is None:
            self._check(until)
            try:
                found = _metadata(container.read(facts.name, length=1_000_000))
            except BlobMissing:
                return Metadata()
        if len(self._read) < _MOST_READ:
            self._read[key] = found
        return found

    def _check(self, until: datetime) -> None:
        if self._clock.now() >= until:
            raise Unseen


def folder_of(facts: BlobFacts) -> str:
    """The folder of a file."""
    return facts.name.rpartition("/")[0]


def form_of(media: BlobFacts) -> str | None:
    """The format that a file's ending says: mp3, mp4 or wav; None where it says nothing."""
    form = media.name.rpartition(".")[2].lower()
    return form if form in FORMATS else None


def is_anothers(facts: BlobFacts) -> bool:
    """Whether the file says that its folder is a known recording's: with our note of a checksum, or as a manifest."""
    return bool(facts.sha256) or facts.name.endswith("/manifest.json")


def chunk_files(files: Sequence[BlobFacts]) -> list[tuple[int, BlobFacts, BlobFacts]]:
    """The chunks among the files of one folder, in order: index, metadata and media, which has bytes."""
    media: dict[str, BlobFacts] = {}
    for facts in files:
        head, _, tail = facts.name.rpartition("/")[2].partition("-")
        if facts.size and not tail.startswith("acsmetadata"):
            media.setdefault(head, facts)
    found = []
    for facts in files:
        head, mark, tail = facts.name.rpartition("/")[2].partition("-acsmetadata")
        if mark and _INDEX.fullmatch(head) and tail.endswith(".json") and head in media:
            found.append((int(head), facts, media[head]))
    return sorted(found, key=lambda chunk: chunk[0])


def _began(export: Export) -> datetime:
    return export.began


def _metadata(data: bytes) -> Metadata:
    try:
        document: Any = json.loads(data)
    except (ValueError, RecursionError):
        return Metadata()
    if not isinstance(document, dict):
        return Metadata()
    try:
        began = parse_time(str(document.get("chunkStartTime")))
    except ValueError:
        began = None
    info = document.get("recordingInfo")
    # The published example has the values of contentType and channelType in each other's place.
    words = (
        {str(info.get(name)).lower() for name in ("channelType", "contentType")} if isinstance(info, dict) else set()
    )
    channels = words.intersection(CHANNELS)
    return Metadata(identity(document.get("chunkDocumentId")), began, channels.pop() if len(channels) == 1 else None)
