"""The checksum that a block travels with, and is known by: CRC-64/NVME, which is what Azure Storage calls CRC-64."""

from __future__ import annotations


def crc64(data: bytes) -> int:
    """CRC-64/NVME of `data`."""
    from awscrt.checksums import crc64nvme  # noqa: PLC0415 - 28 ms and 5 MB, for transfers only

    return int(crc64nvme(data))
