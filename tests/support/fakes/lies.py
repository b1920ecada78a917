"""Answers of a media host that is not to be trusted: each a function for `FakeMedia.lie`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from shared.domain.errors import MediaError, MediaTruncated, MediaUnavailable
from shared.ports import MediaResponse
from tests.support.fakes.acs import honest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.fakes.acs import MediaFile

    Answer = Callable[[MediaFile, int, int], MediaResponse]


def failing(error: MediaError) -> Answer:
    """The request fails with `error`."""

    def answer(_file: MediaFile, _start: int, _length: int) -> MediaResponse:
        raise error

    return answer


def breaking_off(after: int) -> Answer:
    """The connection breaks after `after` bytes of the body."""

    def pieces(data: bytes) -> Iterator[bytes]:
        yield data[:after]
        raise MediaUnavailable("connection reset")

    def answer(file: MediaFile, start: int, length: int) -> MediaResponse:
        return replace(honest(file, start, length), pieces=pieces(file.data[start : start + length]))

    return answer


def cut_short(by: int) -> Answer:
    """The body ends `by` bytes early, and the SDK says so."""

    def pieces(data: bytes) -> Iterator[bytes]:
        yield data[: max(0, len(data) - by)]
        raise MediaTruncated("fewer bytes than announced")

    def answer(file: MediaFile, start: int, length: int) -> MediaResponse:
        return replace(honest(file, start, length), pieces=pieces(file.data[start : start + length]))

    return answer


def quietly_short(by: int) -> Answer:
    """The body ends `by` bytes early, and nothing says so."""

    def answer(file: MediaFile, start: int, length: int) -> MediaResponse:
        data = file.data[start : start + length]
        return replace(honest(file, start, length), pieces=iter((data[: max(0, len(data) - by)],)))

    return answer


def whole(file: MediaFile, _start: int, _length: int) -> MediaResponse:
    """Range is ignored: 200 with everything."""
    pieces = (file.data[at : at + 1000] for at in range(0, len(file.data), 1000))
    return MediaResponse(200, file.content_type, len(file.data), None, file.etag, pieces)


def whole_quietly_short(file: MediaFile, start: int, length: int) -> MediaResponse:
    """200 that announces everything and ends early."""
    return replace(whole(file, start, length), pieces=iter((file.data[: len(file.data) * 2 // 3],)))


def whole_without_length(file: MediaFile, start: int, length: int) -> MediaResponse:
    """The same, and no Content-Length (chunked)."""
    return replace(whole(file, start, length), content_length=None)


def whole_without_end(file: MediaFile, start: int, length: int) -> MediaResponse:
    """200 without Content-Length and without chunks: the body ends with the connection."""
    return replace(whole_without_length(file, start, length), is_delimited=False)


def whole_broken_off(file: MediaFile, start: int, length: int) -> MediaResponse:
    """The same, and the connection breaks off after two thirds: nothing says so."""
    answer = whole_without_end(file, start, length)
    return replace(answer, pieces=iter((file.data[: len(file.data) * 2 // 3],)))


def empty(file: MediaFile, _start: int, _length: int) -> MediaResponse:
    """200 with no bytes: what a recording not ready yet looks like."""
    return MediaResponse(200, file.content_type, 0, None, file.etag, iter(()))


def empty_without_length(file: MediaFile, _start: int, _length: int) -> MediaResponse:
    """The same, and no Content-Length."""
    return MediaResponse(200, file.content_type, None, None, file.etag, iter(()))


def page(_file: MediaFile, _start: int, _length: int) -> MediaResponse:
    """200 with an HTML page that says what it is."""
    body = b"<html><body>Service unavailable</body></html>"
    return MediaResponse(200, "text/html; charset=utf-8", len(body), None, None, iter((body,)))


def page_as_media(file: MediaFile, _start: int, _length: int) -> MediaResponse:
    """The same, claimed to be media."""
    body = b"<!DOCTYPE html><html><body>Service unavailable</body></html>"
    return MediaResponse(200, file.content_type, len(body), None, file.etag, iter((body,)))


def noise(file: MediaFile, start: int, length: int) -> MediaResponse:
    """The right length and the wrong bytes."""
    data = bytes(len(file.data[start : start + length]))
    return replace(honest(file, start, length), pieces=iter((data,)))


def wrong_range(file: MediaFile, start: int, length: int) -> MediaResponse:
    """Another range than the one asked for, and it says so."""
    shifted = start + 1 if start + 1 < len(file.data) else max(0, start - 1)
    return honest(file, shifted, length)


def unreadable_range(file: MediaFile, start: int, length: int) -> MediaResponse:
    """206 without a Content-Range."""
    return replace(honest(file, start, length), content_range=None)


def changed_etag(file: MediaFile, start: int, length: int) -> MediaResponse:
    """The bytes asked for, under another ETag."""
    return replace(honest(file, start, length), etag='"another"')


def too_long(file: MediaFile, start: int, length: int) -> MediaResponse:
    """More bytes than announced."""
    answer = honest(file, start, length)
    return replace(answer, pieces=iter((file.data[start : start + length], b"more")))
