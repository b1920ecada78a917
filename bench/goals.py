"""What `bench.rescue` is to reach, and what its tables say of it."""

from __future__ import annotations

from typing import Any

from bench.report import Goal


def _measured(tables: dict[str, dict[str, Any]], table: str, name: str, field: str = "mb_per_s") -> float | None:
    """One number of a subject; None where the table or the subject was not measured."""
    for subject in tables.get(table, {"subjects": []})["subjects"]:
        if subject["name"] == name:
            found: float | None = subject.get(field)
            return found
    return None


def _ratio(
    tables: dict[str, dict[str, Any]], table: str, ours: str, theirs: str, field: str = "mb_per_s"
) -> float | None:
    a, b = _measured(tables, table, ours, field), _measured(tables, table, theirs, field)
    return a / b if a and b else None


def _to_best(tables: dict[str, dict[str, Any]], table: str, ours: str) -> float | None:
    """Our speed to that of the fastest client which is not ours."""
    subjects = tables.get(table, {"subjects": []})["subjects"]
    others = [s["name"] for s in subjects if s.get("mb_per_s") and not s["name"].startswith(("engine", "whole"))]
    return min((ratio for name in others if (ratio := _ratio(tables, table, ours, name))), default=None)


def goals(tables: dict[str, dict[str, Any]], memories: list[dict[str, Any]]) -> list[Goal]:
    """The goals of throughput and memory, and what was reached, if it was measured."""
    ours, bare, hashed = "engine", "engine, its digests taken out", "rclone, then rclone hashsum sha256"
    single = [m["over_mb"] for m in memories if m["count"] == 1]
    large = single[1:] or single
    return [
        Goal("1 GiB over TLS, to rclone copyurl", _ratio(tables, "tls", ours, "rclone"), 0.85),
        Goal("1 GiB plain, to rclone copyurl", _ratio(tables, "plain", ours, "rclone"), 0.72),
        Goal("1 GiB over TLS, to rclone + hashsum sha256", _ratio(tables, "tls", ours, hashed), 1.8),
        Goal("1 GiB plain, to rclone + hashsum sha256", _ratio(tables, "plain", ours, hashed), 2.7),
        Goal("1 GiB plain, to the SDKs' own way", _ratio(tables, "plain", ours, "SDKs' own way"), 18),
        Goal("wire alone, plain, to rclone copyurl", _ratio(tables, "plain", bare, "rclone"), 1.3),
        Goal("wire alone, TLS, to rclone copyurl", _ratio(tables, "tls", bare, "rclone"), 0.97),
        Goal("Azurite, MD5 a block, to the fastest other client", _to_best(tables, "azurite", ours), 0.95),
        Goal(
            "CPU a GiB plain, to rclone's", _ratio(tables, "plain", ours, "rclone", "cpu_per_gib"), 1.65, is_most=True
        ),
        Goal(
            "CPU a GiB over TLS, to rclone's", _ratio(tables, "tls", ours, "rclone", "cpu_per_gib"), 1.4, is_most=True
        ),
        Goal("100 files of 1 MiB, to rclone copy", _ratio(tables, "small", ours, "rclone"), 0.65),
        Goal("100 files of 1 MiB over TLS, to rclone copy", _ratio(tables, "small-tls", ours, "rclone"), 0.8),
        Goal("a source limited per connection, to rclone copyurl", _ratio(tables, "limited", ours, "rclone"), 11),
        Goal(
            "peak over an idle worker, MB",
            max((m["over_mb"] for m in memories), default=None),
            64 * 1.048576,
            is_most=True,
        ),
        Goal(
            "the same from the second size to the largest, most to least",
            max(large) / min(large) if large else None,
            1.1,
            is_most=True,
        ),
    ]
