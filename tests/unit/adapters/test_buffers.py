from __future__ import annotations

from shared.adapters.buffers import Buffers

MIB = 1024 * 1024


def test_a_buffer_is_used_again_only_when_no_view_of_it_is_left() -> None:
    buffers = Buffers(4 * MIB)
    first = memoryview(buffers.take(2 * MIB))
    first[:3] = b"one"
    part = first[:3]
    del first
    other = memoryview(buffers.take(2 * MIB))
    assert (bytes(part), bytes(other[:3])) == (b"one", bytes(3))
    del part, other
    assert bytes(memoryview(buffers.take(2 * MIB))[:3]) == b"one"


def test_more_than_it_keeps_is_given_and_forgotten() -> None:
    buffers = Buffers(2 * MIB)
    taken = [memoryview(buffers.take(2 * MIB)) for _ in range(3)]
    for number, view in enumerate(taken):
        view[0] = number
    assert [view[0] for view in taken] == [0, 1, 2]
    del taken, view
    assert memoryview(buffers.take(MIB))[0] == 0
    assert len(buffers.take(6 * MIB)) == 6 * MIB
