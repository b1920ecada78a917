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
                if len(buffer) == size and _is_free(buffer):
                    return memoryview(buffer)
            held = size + sum(map(len, self._kept))
            for place in reversed(range(len(self._kept))):
                if held > self._most and _is_free(self._kept[place]):
                    held -= len(self._kept.pop(place))
            fresh = bytearray(size)
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
