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
    off, crc, md5 = "engine, no checksum a block", "engine, CRC-64 a block", "engine, MD5 a block"
    single = [m["over_mb"] for m in memories if m["count"] == 1]
    large = single[1:] or single
    return [
        Goal("1 GiB over TLS, checks on, to rclone copyurl", _ratio(tables, "tls", crc, "rclone"), 1.0),
        Goal("1 GiB plain, block checksums off, to rclone copyurl", _ratio(tables, "plain", off, "rclone"), 1.0),
        Goal("1 GiB plain, checks on, to the SDKs' own way", _ratio(tables, "plain", crc, "SDKs' own way"), 25),
        Goal("1 GiB plain, block checksums off, to the C relay", _ratio(tables, "plain", off, "C relay"), 0.7),
        Goal("Azurite, block checksums off, to the fastest other client", _to_best(tables, "azurite", off), 0.95),
        Goal("Azurite, MD5 a block, to the same", _to_best(tables, "azurite", md5), 0.95),
        Goal(
            "CPU a GiB plain, off, to rclone's",
            _ratio(tables, "plain", off, "rclone", "cpu_per_gib"),
            1.2,
            is_most=True,
        ),
        Goal(
            "CPU a GiB over TLS, checks on, to rclone's",
            _ratio(tables, "tls", crc, "rclone", "cpu_per_gib"),
            1.2,
            is_most=True,
        ),
        Goal("100 files of 1 MiB, engine, checks on, to rclone copy", _ratio(tables, "small", crc, "rclone"), 1.0),
        Goal("100 files of 1 MiB over TLS, to rclone copy", _ratio(tables, "small-tls", crc, "rclone"), 1.0),
        Goal("a source limited per connection, to rclone copyurl", _ratio(tables, "limited", crc, "rclone"), 8),
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
