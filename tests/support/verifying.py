"""A blob service that verifies what it is sent, on the loopback: CRC-64 computed bit by bit, MD5, or neither."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.contract.scripted import Answer, Asked, Scripted

if TYPE_CHECKING:
    from collections.abc import Callable

_REVERSED = 0x9A6C9329AC4BC9B5  # the polynomial of CRC-64/NVME, lowest bit first


def crc64_by_bits(data: bytes) -> int:
    """CRC-64/NVME as its definition says: slow, and independent of the library that the app uses."""
    crc = 0xFFFF_FFFF_FFFF_FFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (_REVERSED if crc & 1 else 0)
    return crc ^ 0xFFFF_FFFF_FFFF_FFFF


def _error(status: int, code: str, message: str) -> Answer:
    body = f'<?xml version="1.0" encoding="utf-8"?><Error><Code>{code}</Code><Message>{message}</Message></Error>'
    return Answer(status, body.encode(), {"x-ms-error-code": code, "Content-Type": "application/xml"})


@dataclass
class VerifyingService:
    """`crc64`: "verified", "ignored", or the status of a refusal. `damage` is what the way does to a body.

    `stored`: blobs and blocks by their URL; `verified`: those of them whose checksum was compared.
    """

    crc64: str | int = "verified"
    damage: Callable[[bytes], bytes] = bytes
    stored: dict[str, bytes] = field(default_factory=dict)
    verified: set[str] = field(default_factory=set)

    def answer(self, asked: Asked) -> Answer:
        """One request."""
        body = self.damage(asked.body)
        headers = {"ETag": f'"{hashlib.sha256(body).hexdigest()[:8]}"'}
        crc, md5 = asked.headers.get("x-ms-content-crc64"), asked.headers.get("content-md5")
        if crc and isinstance(self.crc64, int):
            code = "FeatureNotSupported" if self.crc64 == 500 else "UnsupportedHeader"
            return _error(self.crc64, code, "x-ms-content-crc64 header is not supported")
        if asked.target in self.stored and asked.headers.get("if-none-match") == "*":
            return _error(409, "BlobAlreadyExists", "it exists")
        if crc and self.crc64 == "verified":
            found = base64.b64encode(crc64_by_bits(body).to_bytes(8, "little")).decode()
            if found != crc:
                return _error(400, "Crc64Mismatch", "the CRC64 value did not match")
            headers["x-ms-content-crc64"] = found
            self.verified.add(asked.target)
        elif md5:
            if base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode() != md5:
                return _error(400, "Md5Mismatch", "the MD5 value did not match")
            self.verified.add(asked.target)
        self.stored[asked.target] = body
        return Answer(201, b"", headers)

    def __call__(self) -> Scripted:
        """The service on a free port."""
        return Scripted(self.answer)
