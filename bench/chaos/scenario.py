"""What a run is made of, drawn from its seed: recordings, how their exports end, what the media host does to them."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

from local.acs import ChunkPlan, EndPlan

KIB, MIB = 1024, 1024 * 1024
MAIN, SECOND, LATER = "recordings", "second-place", "later-made"
"""Containers: the default, another that is allowed, and one that is allowed and does not exist at first."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """`seconds` bounds the whole run; for the first `trouble` of them there is trouble, then recovery is awaited."""

    recordings: int = 200
    workers: int = 3
    seconds: float = 240.0
    trouble: float = 80.0
    seed: int = 1

    @property
    def feeding(self) -> float:
        """Seconds in which the calls begin and end."""
        return self.trouble * 0.75


@dataclass(frozen=True)
class Fate:
    """One recording. `starter`: the app starts it, or the service (the app knows it by its event only).

    `story` names the kind of fate for the report. `late_after`: seconds from the end to ACS's own late export, with
    an event or without; `again_after`: to an event that says the same once more. `begins`: seconds from the run's start
    to the call's end.
    """

    number: int
    story: str
    starter: str
    container: str
    kind: dict[str, str]
    plan: EndPlan
    begins: float
    late_after: float | None = None
    late_event: bool = False
    again_after: float | None = None
    faults: tuple[dict[str, Any], ...] = field(default=())

    @property
    def is_claimed(self) -> bool:
        """Whether ACS says that it exported what it did not yet; the bytes are nowhere else, so it must do so."""
        return self.story.startswith("claimed")


_KINDS = (
    {"recordingContent": "audio", "recordingChannel": "mixed", "recordingFormat": "mp3"},
    {"recordingContent": "audio", "recordingChannel": "mixed", "recordingFormat": "wav"},
    {"recordingContent": "audio", "recordingChannel": "unmixed", "recordingFormat": "wav"},
    {"recordingContent": "audioVideo", "recordingChannel": "mixed", "recordingFormat": "mp4"},
)
# Name of the fate, weight.
_STORIES = {
    "exported": 18,
    "exported, event says ACS": 8,
    "claimed, written later": 6,
    "claimed empty, written later": 4,
    "role missing": 16,
    "firewall": 8,
    "export outage": 8,
    "partly exported": 14,
    "exported after all": 10,
    "container made later": 12,
}
_EXPORTS = {
    "exported": "ok",
    "exported, event says ACS": "ok-but-media-url",
    "claimed, written later": "claimed-missing",
    "claimed empty, written later": "claimed-empty",
    "role missing": "role-missing",
    "firewall": "firewall",
    "export outage": "service-outage",
    "partly exported": "ok",
    "exported after all": "role-missing",
    "container made later": "ok",
}
_EVIL = "https://us-storage.asm.skype.com.evil.example/v1/objects/x/content/video"


def fates(options: Options) -> list[Fate]:
    """All recordings of a run; every kind of fate occurs, as far as the number allows."""
    rng = random.Random(options.seed)
    names = list(_STORIES)
    stories = [*names, *rng.choices(names, list(_STORIES.values()), k=options.recordings)][: options.recordings]
    rng.shuffle(stories)
    return [_fate(number, story, options, rng) for number, story in enumerate(stories)]


def _fate(number: int, story: str, options: Options, rng: random.Random) -> Fate:
    is_partly = story == "partly exported"
    sizes = [_size(rng) for _ in range(rng.choices((1, 2, 3, 4), (60, 20, 12, 8))[0] + is_partly)]
    failed = frozenset(rng.sample(range(len(sizes)), rng.randint(1, len(sizes) - 1))) if is_partly else None
    is_late = story in ("exported after all", "claimed, written later", "claimed empty, written later")
    plan = EndPlan(
        chunks=tuple(ChunkPlan(size=size) for size in sizes),
        export=_EXPORTS[story],
        export_failed_chunks=failed,
        duplicate_events=rng.choices((0, 1, 2), (80, 15, 5))[0],
    )
    is_later = story == "container made later"
    starter = "app" if is_later or rng.random() < 0.6 else "service"
    return Fate(
        number=number,
        story=story,
        starter=starter,
        container=LATER if is_later else rng.choice((MAIN, MAIN, SECOND)) if starter == "app" else MAIN,
        kind=rng.choice(_KINDS),
        plan=plan,
        begins=options.feeding * rng.random(),
        late_after=rng.uniform(0.5, 12) if is_late else None,
        late_event=rng.random() < 0.5,
        again_after=rng.uniform(1, 15) if rng.random() < 0.1 else None,
        faults=tuple(fault for chunk, size in enumerate(sizes) for fault in _faults(chunk, size, rng)),
    )


def _size(rng: random.Random) -> int:
    """Mixed: most are small, some have a few blocks, a few have so many that a kill hits them half-way."""
    low, high = rng.choices(((2 * KIB, 200 * KIB), (300 * KIB, 3 * MIB), (4 * MIB, 14 * MIB)), (55, 33, 12))[0]
    return rng.randint(low, high)


def _faults(chunk: int, size: int, rng: random.Random) -> list[dict[str, Any]]:
    """Up to three faults of one chunk's media, and now and then one of its metadata."""
    found = [{"chunk": chunk, **_media_fault(size, rng)} for _ in range(rng.choices((0, 1, 2, 3), (35, 35, 20, 10))[0])]
    if rng.random() < 0.25:
        found.append({"chunk": chunk, **_metadata_fault(rng)})
    return found


def _media_fault(size: int, rng: random.Random) -> dict[str, Any]:
    """A fault that can be seen. A flipped bit, or a shorter total that holds together, cannot: there is no checksum."""
    blocks = 1 + size // MIB
    # The first requests, or one in the middle of the transfer.
    when: dict[str, Any] = {"count": rng.randint(1, 2)}
    if blocks > 2 and rng.random() < 0.6:
        when = {"tries": (rng.randint(2, blocks),)}
    fault = rng.choice(
        (
            {"kind": "status", "status": 429, "retry_after": str(rng.randint(1, 2))},
            {"kind": "status", "status": rng.choice((500, 502, 503))},
            {"kind": "status", "status": 404},
            {"kind": "401"},
            {"kind": "html400"},
            {"kind": "html200"},
            {"kind": "stall", "seconds": rng.uniform(0.5, 3)},
            {"kind": "stall", "seconds": rng.uniform(0.5, 3), "bytes": rng.randint(1, max(1, size // 2))},
            {"kind": "cut", "bytes": rng.randint(0, min(size - 1, MIB - 1))},
            {"kind": "drop"},
            {"kind": "zero-bytes"},
            {"kind": "ignore-range"},
            {"kind": "wrong-range"},
            {"kind": "etag"},
            {"kind": "total", "bytes": size + rng.randint(1, 3 * MIB)},
            {"kind": "redirect", "url": _EVIL},
            {"kind": "drip", "rate": 400 * KIB},
        )
    )
    return {"operation": "media", **fault, **when}


def _metadata_fault(rng: random.Random) -> dict[str, Any]:
    kinds = ({"kind": "status", "status": 503}, {"kind": "html200"}, {"kind": "drop"}, {"kind": "zero-bytes"})
    return {"operation": "metadata", "count": rng.randint(1, 2), **rng.choice(kinds)}
