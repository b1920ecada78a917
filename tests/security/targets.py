"""One input, the whole app over fakes, and what must hold afterwards. Hypothesis and atheris throw at these alike."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from shared import handlers, http
from shared.domain.naming import recording_key
from shared.worker.message import decode_message
from tests.security.hostile import ARCHIVE, RECORDING_ID, TEAM_A, Watchtower, event, serving

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shared.api.responses import Response

KEY = recording_key(RECORDING_ID)
_REFUSALS = {400, 404, 409, 413, 415}


class _AnyCall(set[str]):
    """Every call can be recorded."""

    def __contains__(self, _: object) -> bool:
        return True


def take_event(raw: str) -> Watchtower:
    """An event, and all that follows from it for a while: nothing escapes, and nothing goes where it must not."""
    tower = Watchtower(TEAM_A, ARCHIVE)
    tower.has_at_acs()
    with serving(tower.app):
        handlers.recording_file_status_updated(raw)
    tower.works(messages=12)
    tower.check()
    for document in tower.documents().values():
        json.loads(document)
        assert b'"unexpected"' not in document
    return tower


def take_start(body: bytes, headers: Mapping[str, str]) -> Response:
    """A request to start: an answer always, never a 5xx, and never a container off the list."""
    tower = Watchtower(TEAM_A, ARCHIVE)
    tower.world.acs.calls = _AnyCall()
    with serving(tower.app):
        given = handlers.start_recording(body, headers)
    check_answer(given, success=201)
    for container in tower.world.acs.containers.values():
        assert tower.world.settings.allowed.allows(container), str(container)
    assert bool(tower.world.acs.containers) == (given.status == 201)
    tower.check()
    return given


def take_queries(identity: str, query: Mapping[str, str]) -> None:
    """The functions that tell and the one that sets going: an answer always, and what is going stays as it was."""
    tower = Watchtower(TEAM_A, ARCHIVE)
    tower.hears(event())
    with serving(tower.app):
        check_answer(handlers.get_recording(identity), success=200)
        check_answer(
            handlers.list_recordings(f"https://app/api/recordings?{urlencode(query, errors='replace')}"), success=200
        )
        check_answer(http.verify_recording(identity, {}), success=202)
        for verb in ("stop", "pause", "resume"):
            check_answer(http.act_on_recording(identity, verb, {}), success=200)
        check_answer(http.list_rejected_events(f"https://app/x?{urlencode(query, errors='replace')}"), success=200)
        check_answer(http.replay_rejected_event(identity, {}), success=202)
        check_answer(http.other_request("PUT", f"https://app/api/{quote(identity, errors='replace')}"), success=405)
        for ask in (http.replay_recordings, http.verify_recordings):
            check_answer(ask(json.dumps(dict(query)).encode(), {}), success=200)
        given = handlers.replay_recording(identity, {})
        check_answer(given, success=202)
    assert len(tower.world.queue.waiting) == (2 if given.status == 202 else 1)
    tower.has_at_acs()
    tower.works()
    tower.check()
    assert [one.state for one in tower.world.ledger.recording(KEY).chunks] == ["rescued"]


def take_message(body: bytes) -> None:
    """A queue message: what was not sent by this app moves nothing."""
    tower = Watchtower(TEAM_A, ARCHIVE)
    tower.has_at_acs()
    tower.hears(event())
    before = tower.documents()
    known = [delivery.item for delivery in tower.world.queue.waiting]
    with serving(tower.app):
        asyncio.run(handlers.work(body, message_id="forged"))
    if decode_message(body) not in known:
        assert tower.documents() == before
        assert not tower.asked
    tower.check()


def check_answer(given: Response, *, success: int) -> None:
    """It is JSON, of a status that blames the caller, and its headers are one line each."""
    assert given.status == success or given.status in _REFUSALS, given.status
    document: Any = json.loads(given.body)
    assert isinstance(document, dict)
    if given.status != success:
        assert document["code"] != "internal"
        assert given.mimetype == "application/problem+json"
    for name, value in given.headers.items():
        assert (name + value).isprintable()
        assert (name + value).isascii()
