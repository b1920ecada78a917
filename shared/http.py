"""HTTP's edge: a use case in, an answer out. Every error ends here as a problem document."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from shared.api.actions import Verb
from shared.api.principal import caller
from shared.api.responses import Response, json_response, problem_response
from shared.app import the_app
from shared.domain.errors import RecorderError
from shared.logs import describe, log, stack_summary
from shared.settings import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from shared.app import App


def responding(action: Callable[[App], Response]) -> Response:
    """What `action` returns; what it raises as a problem, and in the log."""
    try:
        return action(the_app())
    except (RecorderError, SettingsError) as error:
        given = problem_response(error)
        level = logging.ERROR if given.status >= 500 else logging.INFO
        log("http.refused", level=level, status=given.status, error=describe(error))
        return given
    except Exception as error:  # noqa: BLE001 - the caller gets an answer whatever happens, the log the error
        log("http.failed", level=logging.ERROR, error=describe(error), at=stack_summary(error))
        return problem_response(error)


def act_on_recording(identity: str, verb: str, headers: Mapping[str, str]) -> Response:
    """`POST /api/recordings/{recordingId}/stop`, `/pause`, `/resume`."""
    return responding(lambda app: json_response(app.actions.act(identity, Verb(verb), by=caller(headers))))


def list_rejected_events(query: Mapping[str, str]) -> Response:
    """`GET /api/rejected-events`."""
    return responding(lambda app: json_response(app.rejected.listed(query)))


def replay_rejected_event(identity: str, headers: Mapping[str, str]) -> Response:
    """`POST /api/rejected-events/{id}/replay`: 202, with what came of the event."""
    return responding(lambda app: json_response(app.rejected.replay(identity, by=caller(headers)), status=202))


def health() -> Response:
    """`GET /api/health`: the process answers. It asks nothing else, and says nothing else: it is anonymous."""
    return json_response({"status": "ok"})
