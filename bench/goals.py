"""What `bench.rescue` is to reach, and what its tables say of it."""

from __future__ import annotations

from functools import partial
from statistics import median
from typing import Any

from bench.report import Goal

RCLONE, HASHED = "rclone of Debian", "rclone of Debian, then hashsum sha256"
LIMIT, BARE_LIMIT = "C limit, SHA-256 in order", "C limit, nothing computed"
BARE = "engine, its digests taken out"


def _rounds(tables: dict[str, dict[str, Any]], table: str, name: str, field: str) -> list[float]:
    """One number of a subject, a round each; none where the table or the subject was not measured."""
    for subject in tables.get(table, {"subjects": []})["subjects"]:
        if subject["name"] == name:
            return [each[field] for each in subject.get("rounds", [])]
    return []


def _ratio(
    tables: dict[str, dict[str, Any]], table: str, ours: str, theirs: str, field: str = "mb_per_s"
) -> float | None:
    """The median of the rounds' ratios: what else the machine had to do met both sides of one round."""
    pairs = zip(_rounds(tables, table, ours, field), _rounds(tables, table, theirs, field), strict=False)
    return median(found) if (found := [a / b for a, b in pairs if b]) else None


def _to_best(tables: dict[str, dict[str, Any]], table: str, ours: str) -> float | None:
    """Our speed to that of the fastest client which is not ours."""
    names = [subject["name"] for subject in tables.get(table, {"subjects": []})["subjects"]]
    others = [name for name in names if not name.startswith(("engine", "whole"))]
    return min((ratio for name in others if (ratio := _ratio(tables, table, ours, name))), default=None)


def _beside(
    tables: dict[str, dict[str, Any]], what: str, table: str, theirs: str, wanted: float, *, ours: str = "engine"
) -> Goal:
    """A share of another's pace. The limit: what the C program that computes as much has of it."""
    limit = BARE_LIMIT if ours == BARE else LIMIT
    reached, of_limit = _ratio(tables, table, ours, theirs), _ratio(tables, table, limit, theirs)
    return Goal(what, reached, wanted, limit=None if theirs == limit else of_limit)


def _cpu(tables: dict[str, dict[str, Any]], what: str, table: str, wanted: float) -> Goal:
    """The CPU of a GiB to rclone's."""
    ours, limit = (_ratio(tables, table, name, RCLONE, "cpu_per_gib") for name in ("engine", LIMIT))
    return Goal(what, ours, wanted, is_most=True, limit=limit)


def goals(tables: dict[str, dict[str, Any]], memories: list[dict[str, Any]]) -> list[Goal]:
    """The goals of throughput and memory, and what was reached, if it was measured."""
    beside, cpu = partial(_beside, tables), partial(_cpu, tables)
    single = [m["over_mb"] for m in memories if m["count"] == 1]
    large = single[1:] or single
    return [
        beside("1 GiB over TLS, to the C limit", "tls", LIMIT, 0.9),
        beside("1 GiB plain, to the C limit", "plain", LIMIT, 0.95),
        beside("1 GiB over TLS, to rclone copyurl", "tls", RCLONE, 0.85),
        beside("1 GiB plain, to rclone copyurl", "plain", RCLONE, 0.72),
        beside("1 GiB over TLS, to rclone + hashsum sha256", "tls", HASHED, 1.8),
        beside("1 GiB plain, to rclone + hashsum sha256", "plain", HASHED, 2.7),
        beside("1 GiB plain, to the SDKs' own way", "plain", "SDKs' own way", 18),
        beside("wire alone, plain, to rclone copyurl", "plain", RCLONE, 1.3, ours=BARE),
        beside("wire alone, TLS, to rclone copyurl", "tls", RCLONE, 0.97, ours=BARE),
        Goal("Azurite, MD5 a block, to the fastest other client", _to_best(tables, "azurite", "engine"), 0.95),
        cpu("CPU a GiB plain, to rclone's", "plain", 1.65),
        cpu("CPU a GiB over TLS, to rclone's", "tls", 1.4),
        beside("100 files of 1 MiB, to rclone copy", "small", RCLONE, 0.65),
        beside("100 files of 1 MiB over TLS, to rclone copy", "small-tls", RCLONE, 0.8),
        beside("a source limited per connection, to rclone copyurl", "limited", RCLONE, 11),
        beside("a source limited per connection, to obstore", "limited", "obstore", 2.4),
        Goal(
            "peak over an idle worker, MB",
            max((m["over_mb"] for m in memories), default=None),
            64 * 1.048576,
            is_most=True,
        ),
        Goal(
            "the same from the second size to the largest, most to least",
            max(large) / min(large) if large else None,
            1.15,
            is_most=True,
        ),
    ]
