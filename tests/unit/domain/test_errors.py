"""The tree of errors: stable codes, an owner for each, and a picture that is true."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from shared.api.body import NotJson
from shared.api.views import RecordingUnknown
from shared.domain import errors as e

if TYPE_CHECKING:
    from collections.abc import Iterator


def tree(kind: type[e.RecorderError]) -> Iterator[type[e.RecorderError]]:
    yield kind
    for child in kind.__subclasses__():
        yield from tree(child)


ALL = sorted(
    (kind for kind in tree(e.RecorderError) if kind.__module__.startswith("shared.")), key=lambda k: k.__name__
)
ARGUMENTS: dict[type[e.RecorderError], tuple[Any, ...]] = {
    e.InvalidRequest: ([e.Fault("field", "is wrong")],),
    NotJson: ([e.Fault("", "line 1, column 1: Expecting value")],),
    e.EventRejected: ("reason", "message"),
}


def test_codes_are_unique() -> None:
    assert RecordingUnknown in ALL
    codes = [kind.code for kind in ALL]
    assert len(set(codes)) == len(codes)


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.__name__)
def test_every_error_says_its_code_who_can_mend_it_and_what_it_is(kind: type[e.RecorderError]) -> None:
    error = kind(*ARGUMENTS.get(kind, ()))
    assert re.fullmatch(r"[a-z]+(_[a-z]+)*", error.code)
    assert "code" in vars(kind)
    assert isinstance(error.blame, e.Blame)
    assert str(error)
    assert error.retry_after is None
    assert kind.__doc__


@pytest.mark.parametrize("kind", [kind for kind in ALL if kind not in ARGUMENTS], ids=lambda kind: kind.__name__)
def test_an_error_carries_what_the_service_said(kind: type[e.RecorderError]) -> None:
    error = kind("said", retry_after=timedelta(seconds=5), trace_id="trace")
    assert (str(error), error.retry_after, error.trace_id) == ("said", timedelta(seconds=5), "trace")


BLAMES = {
    e.Blame.CALLER: {
        "InvalidRequest",
        "CallNotFound",
        "RecordingNotFound",
        "CallNotEstablished",
        "CallTerminated",
        "RecordingInProgress",
        "RecordingConflict",
        "AcsInvalidArgument",
        "RecordingUnknown",
        "TooManyUntried",
        "ActionNotAllowed",
        "BodyTooLarge",
        "WrongMediaType",
        "NotJson",
        "NotReplayable",
        "RejectedEventUnknown",
    },
    e.Blame.DESTINATION: {"ContainerNotReady", "DestinationConflict"},
    e.Blame.APP: {
        "RecorderError",
        "AlertNotSent",
        "AcsForbidden",
        "AcsUnauthorized",
        "MediaUnauthorized",
        "WorkerCrashed",
        "FallbackMissing",
        "Unexpected",
    },
}


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.__name__)
def test_whose_fault_it_is(kind: type[e.RecorderError]) -> None:
    """What the services do is ACS's; the caller says whose a container is."""
    error = kind(*ARGUMENTS.get(kind, ()))
    named = [blame for blame, names in BLAMES.items() if kind.__name__ in names]
    expected = named[0] if named else e.Blame.APP if issubclass(kind, e.StorageError) else e.Blame.ACS
    assert error.blame is expected


def test_the_owner_of_a_container_is_blamed_for_it() -> None:
    for kind in ALL:
        if issubclass(kind, e.StorageError):
            assert kind("", blame=e.Blame.DESTINATION).blame is e.Blame.DESTINATION
            assert kind().blame is e.Blame.APP


def test_the_picture_names_only_what_there_is() -> None:
    picture = re.findall(r"[├└]── (\w+)(?: … (\w+))?", e.__doc__ or "")
    names = {name for pair in picture for name in pair if name}
    assert names <= {kind.__name__ for kind in ALL}
    for kind in e.RecorderError.__subclasses__():
        if kind.__subclasses__():
            assert kind.__name__ in names


def test_all_faults_of_a_request_are_in_its_message() -> None:
    error = e.InvalidRequest([e.Fault("a", "is wrong"), e.Fault("b", "is missing")])
    assert str(error) == "a: is wrong; b: is missing"


def test_an_error_of_acs_keeps_what_it_answered() -> None:
    error = e.CallNotFound("no", status=404, service_code="8522")
    assert (error.status, error.service_code) == (404, "8522")
