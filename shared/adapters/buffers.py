"""Memory for the large pieces of bodies, used again: a fresh block of 8 MiB costs its zeroing and its page faults."""

from __future__ import annotations

import threading

_LARGE = 1024 * 1024


class Buffers:
    """Keeps up to `most` bytes. A buffer is free when no view of it is left, however many were made of the first."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept: list[bytearray] = []
        self._lock = threading.Lock()

    def take(self, size: int) -> bytearray | memoryview:
        """`size` bytes to write into, of any content. Nothing is to be given back."""
        if size < _LARGE:
            return bytearray(size)
        with self._lock:
            for buffer in self._kept:
                if size <= len(buffer) <= 2 * size and _is_free(buffer):
                    return memoryview(buffer)[:size]
            fresh = bytearray(size)
            held = size
            for buffer in [*self._kept]:
                held += len(buffer)
                if held > self._most and _is_free(buffer):
                    self._kept.remove(buffer)
                    held -= len(buffer)
            if held <= self._most:
                self._kept.append(fresh)
        return memoryview(fresh)


def _is_free(buffer: bytearray) -> bool:
    """Python refuses to resize what a view shows; taking the last byte and putting it back moves nothing."""
    try:
        last = buffer.pop()
    except BufferError:
        return False
    buffer.append(last)
    return True
