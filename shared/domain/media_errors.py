"""Errors of bytes at the ACS media host: a branch of the tree in `errors.py`, and imported from there."""

from __future__ import annotations

from shared.domain.failure import Blame, RecorderError


class MediaError(RecorderError):
    """The media host did not give the recording's bytes."""

    code = "media_error"
    blame = Blame.ACS


class MediaUnauthorized(MediaError):
    """The media host does not accept our credential (401, 403); a person can mend that inside the window."""

    code = "media_unauthorized"
    blame = Blame.APP


class MediaNotFound(MediaError):
    """The media host does not have it (404): not yet, or no longer."""

    code = "media_not_found"


class MediaBadRequest(MediaError):
    """The media host answered 400 or another 4xx; seen to pass by itself."""

    code = "media_bad_request"


class MediaThrottled(MediaError):
    """The media host asks to slow down (429)."""

    code = "media_throttled"


class MediaUnavailable(MediaError):
    """The media host failed (5xx), could not be reached, or broke off."""

    code = "media_unavailable"


class MediaLocationRefused(MediaError):
    """The location is not an ACS media host over https: never asked."""

    code = "media_location_refused"


class MediaRedirected(MediaError):
    """The media host sent us to a host that is not one of ACS's, nowhere, or on and on."""

    code = "media_redirected"


class MediaDistrusted(MediaError):
    """Bytes came, and they are not the recording."""

    code = "media_distrusted"


class MediaEmpty(MediaDistrusted):
    """The media host answered with no bytes."""

    code = "media_empty"


class MediaTruncated(MediaDistrusted):
    """Fewer bytes came than were announced."""

    code = "media_truncated"


class MediaTooLong(MediaDistrusted):
    """More bytes came than were asked for or announced."""

    code = "media_too_long"


class MediaIsAPage(MediaDistrusted):
    """An HTML or JSON page came in place of media."""

    code = "media_is_a_page"


class MediaUndelimited(MediaDistrusted):
    """The body ends with its connection: nothing shows whether it is whole."""

    code = "media_undelimited"


class MediaWrongRange(MediaDistrusted):
    """Another range came than was asked for."""

    code = "media_wrong_range"


class MediaChanged(MediaDistrusted):
    """The media's length or ETag changed while it was being read."""

    code = "media_changed"


class MediaTooLarge(MediaDistrusted):
    """The media is larger than a block blob of this block size can be."""

    code = "media_too_large"
