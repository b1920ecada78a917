"""A request's body as JSON, read strictly: what cannot be meant is refused, with its place in the text."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NoReturn

from shared.domain.errors import Blame, Fault, InvalidRequest, RecorderError

if TYPE_CHECKING:
    from collections.abc import Mapping

MOST_BODY_BYTES = 64 * 1024
_MOST_FAULTS = 10


class BodyTooLarge(RecorderError):
    """The body is larger than 64 KiB."""

    code = "body_too_large"
    blame = Blame.CALLER


class WrongMediaType(RecorderError):
    """The Content-Type says that the body is no JSON."""

    code = "wrong_media_type"
    blame = Blame.CALLER


class NotJson(InvalidRequest):
    """The body cannot be read as JSON; the fault says where."""

    code = "not_json"


def read_json(body: bytes, headers: Mapping[str, str]) -> Any:
    """The body, decoded. BodyTooLarge, WrongMediaType, NotJson; InvalidRequest where an object has a key twice."""
    if len(body) > MOST_BODY_BYTES:
        raise BodyTooLarge(f"the body must not be larger than {MOST_BODY_BYTES} bytes")
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind and kind != "application/json" and not kind.endswith("+json"):
        raise WrongMediaType(f"Content-Type is {kind[:100]}; send application/json")
    repeated: list[str] = []

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, value in pairs:
            if name in found and name not in repeated:
                repeated.append(name)
            found[name] = value
        return found

    try:
        decoded = json.loads(body, object_pairs_hook=once, parse_constant=_refuse)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise NotJson([Fault("", f"{where}: {error.msg}")]) from error
    except UnicodeDecodeError as error:
        raise NotJson([Fault("", f"byte {error.start} is no UTF-8")]) from error
    except (ValueError, RecursionError) as error:
        raise NotJson([Fault("", _reason(error))]) from error
    if repeated:
        raise InvalidRequest([Fault(name[:100], "is given twice; give it once") for name in repeated[:_MOST_FAULTS]])
    return decoded


def _reason(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "brackets are nested too deeply"
    return str(error) if str(error).endswith("is not JSON") else "a number has too many digits"


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
