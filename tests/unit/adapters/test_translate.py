"""The SDKs' errors, class by class and code by code: each becomes a named error with the right blame."""

from __future__ import annotations

import inspect
import ssl
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import azure.communication.callautomation as callautomation_sdk
import azure.core.exceptions as core
import azure.identity as identity_sdk
import azure.storage.blob as blob_sdk
import azure.storage.queue as queue_sdk
import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from shared.adapters.translate import (
    TRANSLATORS,
    acs_error,
    acs_errors,
    media_error,
    media_errors,
    retry_after,
    storage_error,
    storage_errors,
)
from shared.domain import errors as e
from tests.unit.adapters.translate_rig import Answer, http_error

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def tree(root: type[BaseException]) -> Iterator[type[BaseException]]:
    yield root
    for child in root.__subclasses__():
        yield from tree(child)


def sdk_exceptions() -> list[type[core.AzureError]]:
    """Every error class that the SDKs in use can raise: all are AzureErrors, and imported by now."""
    assert all((blob_sdk, queue_sdk, callautomation_sdk, identity_sdk))
    found = {kind for kind in tree(core.AzureError) if issubclass(kind, core.AzureError)}
    return sorted((kind for kind in found if kind.__module__.startswith("azure.")), key=lambda kind: kind.__name__)


def without_answer(kind: type[core.AzureError]) -> core.AzureError:
    """An error of that class as it is raised where no answer came."""
    unanswered = SimpleNamespace(status_code=None, reason=None, request="GET", text=lambda: "{}")
    given_values: dict[str, Any] = {
        "message": "broken",
        "scopes": (),
        "parts": [],
        "history": [SimpleNamespace(http_response=None)] * 2,
        "response": unanswered,
    }
    required = [
        name
        for name, parameter in inspect.signature(kind).parameters.items()
        if parameter.default is parameter.empty and parameter.kind is parameter.POSITIONAL_OR_KEYWORD
    ]
    return kind(**{name: given_values[name] for name in required}) if required else kind("broken")


# What each class means where no answer came: (storage, acs, media). An update of an SDK that brings a new class
# decides here what it is.
REACH = (e.StorageUnavailable, e.AcsUnavailable, e.MediaUnavailable)
LATE = (e.StorageUnavailable, e.AcsTimeout, e.MediaUnavailable)
TOKEN = (e.StorageAccessDenied, e.AcsUnauthorized, e.MediaUnauthorized)
BROKEN_OFF = (e.StorageUnavailable, e.AcsUnavailable, e.MediaTruncated)
WITHOUT_ANSWER: dict[str, tuple[type[e.RecorderError], ...]] = {
    "AzureError": REACH,
    "AzureSigningError": TOKEN,
    "ClientAuthenticationError": TOKEN,
    "CredentialUnavailableError": TOKEN,
    "AuthenticationRequiredError": TOKEN,
    "DecodeError": REACH,
    "HttpResponseError": REACH,
    "HttpResponseInvalidError": REACH,
    "IncompleteReadError": BROKEN_OFF,
    "ODataV4Error": REACH,
    "PartialBatchErrorException": REACH,
    "ResourceExistsError": REACH,
    "ResourceModifiedError": REACH,
    "ResourceNotFoundError": REACH,
    "ResourceNotModifiedError": REACH,
    "ResponseNotReadError": REACH,
    "ServiceRequestError": REACH,
    "ServiceRequestTimeoutError": LATE,
    "ServiceResponseError": REACH,
    "ServiceResponseTimeoutError": LATE,
    "StreamClosedError": REACH,
    "StreamConsumedError": REACH,
    "TooManyRedirectsError": REACH,
    "UnsupportedOperation": REACH,
}


def test_every_error_class_of_the_sdks_is_in_the_table() -> None:
    assert {kind.__name__ for kind in sdk_exceptions()} <= set(WITHOUT_ANSWER)


@pytest.mark.parametrize("kind", sdk_exceptions(), ids=lambda kind: kind.__name__)
def test_an_error_without_an_answer_is_of_the_network_or_of_the_token(kind: type[core.AzureError]) -> None:
    error = without_answer(kind)
    for translate, expected in zip(TRANSLATORS, WITHOUT_ANSWER[kind.__name__], strict=True):
        translated = translate(error)
        assert type(translated) is expected
        assert translated.blame is not e.Blame.CALLER


@pytest.mark.parametrize("kind", [core.ServiceRequestError, core.ServiceResponseError])
def test_a_timeout_in_the_message_is_a_timeout_of_acs(kind: type[core.AzureError]) -> None:
    assert type(acs_error(kind("Connection to x Timed Out."))) is e.AcsTimeout


MEDIA_STATUSES = [
    (200, e.MediaUnavailable),
    (301, e.MediaRedirected),
    (302, e.MediaRedirected),
    (307, e.MediaRedirected),
    (400, e.MediaBadRequest),
    (401, e.MediaUnauthorized),
    (403, e.MediaUnauthorized),
    (404, e.MediaNotFound),
    (408, e.MediaUnavailable),
    (410, e.MediaNotFound),
    (416, e.MediaWrongRange),
    (418, e.MediaBadRequest),
    (429, e.MediaThrottled),
    (500, e.MediaUnavailable),
    (503, e.MediaUnavailable),
]


@pytest.mark.parametrize(("status", "expected"), MEDIA_STATUSES)
def test_an_answer_of_the_media_host_is_read_by_its_status(status: int, expected: type[e.MediaError]) -> None:
    """All of them are worth another try within the window: a person may mend a 401, a 400 was seen to pass."""
    translated = media_error(http_error(status, body={"traceId": "abc"}, Retry_After="3"))
    assert type(translated) is expected
    assert translated.retry_after == timedelta(seconds=3)
    assert translated.trace_id == "abc"


@pytest.mark.parametrize("body", [None, [], {}, {"traceId": ""}])
def test_the_trace_id_of_media_falls_back_to_the_header(body: Any) -> None:
    assert media_error(http_error(401, body=body, x_ms_request_id="header")).trace_id == "header"


def test_a_body_that_broke_off_is_told_from_a_connection_that_did() -> None:
    answered: dict[str, Any] = {"response": Answer(200)}
    assert type(media_error(core.IncompleteReadError("short", **answered))) is e.MediaTruncated
    assert type(storage_error(core.IncompleteReadError("short", **answered))) is e.StorageUnavailable
    assert type(media_error(core.DecodeError("odd", **answered))) is e.MediaUnavailable


BELOW: list[Exception] = [
    requests.ConnectionError("reset"),
    ssl.SSLError(1, "bad record mac"),
    ConnectionResetError("reset"),
    TimeoutError("timed out"),
    OSError("no CA bundle there"),
]


@pytest.mark.parametrize("error", BELOW, ids=lambda error: type(error).__name__)
def test_what_comes_from_below_the_sdks_is_an_outage(error: Exception) -> None:
    """azure-core lets some of it pass: a TLS fault in the middle of a raw body, for one."""
    assert type(media_error(error)) is e.MediaUnavailable
    assert type(acs_error(error)) is (e.AcsTimeout if "timed out" in str(error).lower() else e.AcsUnavailable)
    found = storage_error(error, blame=e.Blame.DESTINATION)
    assert (type(found), found.blame) == (e.StorageUnavailable, e.Blame.DESTINATION)


def test_an_sdk_that_refuses_an_argument_is_not_taken_for_an_outage() -> None:
    """Version 1.6.0 of callautomation refuses foreign hosts by ValueError; ours should have been first."""
    assert type(media_error(ValueError("foreign host"))) is e.MediaLocationRefused
    assert type(storage_error(TypeError("odd"))) is e.StorageInvalid
    assert type(acs_error(ValueError("odd"))) is e.AcsError


@pytest.mark.parametrize(
    ("guard", "kind"),
    [(storage_errors, e.StorageError), (acs_errors, e.AcsError), (media_errors, e.MediaError)],
)
@pytest.mark.parametrize(
    "raised",
    [
        core.ServiceRequestError("no"),
        http_error(500),
        ValueError("no"),
        TypeError("no"),
        core.SerializationError("no"),
        *BELOW,
    ],
)
def test_a_guard_lets_no_error_of_an_sdk_through(
    guard: Callable[[], Any], kind: type[e.RecorderError], raised: Exception
) -> None:
    with pytest.raises(kind) as caught, guard():
        raise raised
    assert caught.value.__cause__ is raised


def test_the_guard_of_media_leaves_our_own_errors_alone() -> None:
    ours = e.MediaTooLarge("too large")
    with pytest.raises(e.MediaTooLarge) as caught, media_errors():
        raise ours
    assert caught.value is ours


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("0", 0),
        ("7", 7),
        (" 7 ", 7),
        ("99999999", 86_400),
        ("9" * 6000, 86_400),
        (format_datetime(NOW + timedelta(seconds=90), usegmt=True), 90),
        (format_datetime(NOW - timedelta(seconds=90), usegmt=True), 0),
        ("Sun, 22 Nov 2026 12:01:00", 60),
        ("Sun, 22 Nov 2030 12:01:00 GMT", 86_400),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("1.5", None),
        ("²", None),
        ("Sun, 99 Nov 2026 12:01:00 GMT", None),
    ],
)
def test_retry_after_is_read_in_both_forms(value: str, expected: int | None) -> None:
    given_delay = retry_after(Answer(429, Retry_After=value), now=NOW)
    assert given_delay == (None if expected is None else timedelta(seconds=expected))


@given(st.text(max_size=60))
def test_any_retry_after_is_a_delay_of_at_most_a_day_or_none(value: str) -> None:
    found = retry_after(Answer(429, Retry_After=value), now=NOW)
    assert found is None or timedelta(0) <= found <= timedelta(days=1)


def test_an_answer_without_headers_asks_for_nothing() -> None:
    assert retry_after(None) is None
    assert retry_after(SimpleNamespace()) is None
    assert retry_after(Answer(503)) is None


def test_the_first_line_of_what_the_service_said_is_kept_and_no_more() -> None:
    error = http_error(500)
    error.message = "first\nsecond"
    assert str(storage_error(error)) == "first"
    error.message = "x" * 1000
    assert str(storage_error(error)) == "x" * 300
    assert str(storage_error(core.AzureError(""))) != ""
