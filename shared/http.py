"""HTTP's edge: a use case in, an answer out. Every error ends here as a problem document."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

from shared.api.actions import Verb
from shared.api.body import read_json
from shared.api.doctor import unconfigured
from shared.api.openapi import document, verbs_of
from shared.api.principal import caller
from shared.api.responses import Response, json_response, problem, problem_response
from shared.app import SystemClock, the_app
from shared.domain.errors import RecorderError
from shared.logs import describe, log, stack_summary
from shared.settings import SettingsError
from shared.telemetry.instruments import FAILURES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from shared.app import App


def parameters(url: str) -> list[tuple[str, str]]:
    """A URL's parameters, each as often as it is given: a host's mapping of them holds each name once."""
    return parse_qsl(urlsplit(url).query, keep_blank_values=True)


def responding(action: Callable[[App], Response]) -> Response:
    """What `action` returns; what it raises as a problem, and in the log."""
    try:
        return action(the_app())
    except (RecorderError, SettingsError) as error:
        given = problem_response(error)
        level = logging.ERROR if given.status >= 500 else logging.INFO
        log("http.refused", level=level, status=given.status, error=describe(error))
        if isinstance(error, RecorderError):
            the_app().telemetry.count(FAILURES, step="http", cause=error.code, blame=error.blame.value)
        return given
    except Exception as error:  # noqa: BLE001 - the caller gets an answer whatever happens, the log the error
        log("http.failed", level=logging.ERROR, error=describe(error), at=stack_summary(error))
        return problem_response(error)


def act_on_recording(identity: str, verb: str, headers: Mapping[str, str]) -> Response:
    """`POST /api/recordings/{recordingId}/stop`, `/pause`, `/resume`."""
    return responding(lambda app: json_response(app.actions.act(identity, Verb(verb), by=caller(headers))))


def verify_recording(identity: str, headers: Mapping[str, str]) -> Response:
    """`POST /api/recordings/{recordingId}/verify`: what was found at once; digests follow in the background."""
    return responding(lambda app: json_response(app.verification.verify(identity, by=caller(headers)), status=202))


def replay_recordings(body: bytes, headers: Mapping[str, str]) -> Response:
    """`POST /api/replays`. A body that is left out selects everything, and is a dry run."""
    return responding(lambda app: json_response(app.replays.run(_selected(body, headers), by=caller(headers))))


def verify_recordings(body: bytes, headers: Mapping[str, str]) -> Response:
    """`POST /api/verifications`, the same."""
    return responding(lambda app: json_response(app.verifications.run(_selected(body, headers), by=caller(headers))))


def _selected(body: bytes, headers: Mapping[str, str]) -> Any:
    return read_json(body, headers) if body.strip() else {}


def list_rejected_events(url: str) -> Response:
    """`GET /api/rejected-events`."""
    return responding(lambda app: json_response(app.rejected.listed(parameters(url))))


def replay_rejected_event(identity: str, headers: Mapping[str, str]) -> Response:
    """`POST /api/rejected-events/{id}/replay`: 202, with what came of the event."""
    return responding(lambda app: json_response(app.rejected.replay(identity, by=caller(headers)), status=202))


def health() -> Response:
    """`GET /api/health`: the process answers. It asks nothing else, and says nothing else: it is anonymous."""
    return json_response({"status": "ok"})


def doctor() -> Response:
    """`GET /api/doctor`: 200 whatever it finds, settings that cannot be used included."""
    try:
        the_app()
    except SettingsError as error:
        return json_response(unconfigured(error.faults, at=SystemClock().now()))
    return responding(lambda app: json_response(app.doctor.examine()))


def openapi() -> Response:
    """`GET /api/openapi.json`."""
    return Response(200, document())


def other_request(verb: str, url: str) -> Response:
    """What no function is for: 405 with the verbs that the path has, 404 where there is no such path."""
    path = "/" + urlsplit(url).path.partition("/api/")[2].rstrip("/")
    verbs = verbs_of(path)
    if not verbs:
        return problem(404, "route_unknown", "There is no such route", detail="GET /api/openapi.json names them all")
    allowed = ", ".join(verbs)
    detail = f"{verb[:20]} is not for this path; it has {allowed}"
    return problem(405, "verb_not_allowed", "The path has no such verb", detail=detail, headers={"Allow": allowed})
