"""Any bytes as a recording, and what must hold of the judgement. Hypothesis, the corpus and atheris give the bytes."""

from __future__ import annotations

import time

from shared.domain import media


def take_media(data: bytes) -> None:
    """Any bytes as a recording: a few reads within the file, a stream, one verdict, and little time."""
    begun = time.process_time()
    reads = 0

    def read(start: int, length: int) -> bytes:
        nonlocal reads
        reads += 1
        assert 0 <= start < len(data)
        assert 0 < length <= len(data) - start
        return data[start : start + length]

    seen = media.check(read, size=len(data))
    assert reads <= 8
    stream = media.StructureCheck()
    for at in range(0, len(data), 1_000):
        stream.update(data[at : at + 1_000])
    streamed = stream.verdict(len(data))
    assert seen.format == streamed.format == media.sniff(data[:65_536])
    assert media.Verdict.UNKNOWN in (seen.verdict, streamed.verdict) or seen.verdict is streamed.verdict
    if media.is_page(data) and seen.format is None:
        assert seen.verdict is media.Verdict.BROKEN
    assert time.process_time() - begun < 0.5 + len(data) / 1_000_000
