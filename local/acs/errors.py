"""The error answers of the REST API.

One exception, `RestError`, becomes `{"error": {"code", "message", "target", "details", "innererror"}}`.
The numeric codes are the service's documented ones; named codes are guesses after Azure's guidelines.
"""

from __future__ import annotations

from typing import Any

CALL_NOT_FOUND = (404, "8522")
CALL_NOT_ESTABLISHED = (400, "8501")
CALL_TERMINATED = (400, "8528")
INVALID_ARGUMENT = (400, "8523")
ALREADY_RECORDING = (400, "8553")
NOT_ALLOWED_NOW = (400, "8573")
NO_API_VERSION = (400, "MissingApiVersionParameter")
UNKNOWN_API_VERSION = (400, "UnsupportedApiVersionValue")
NO_SUCH_RESOURCE = (404, "ResourceNotFound")
NO_SUCH_METHOD = (405, "MethodNotAllowed")
WRONG_MEDIA_TYPE = (415, "UnsupportedMediaType")
TOO_LARGE = (413, "RequestBodyTooLarge")


class RestError(Exception):
    """An answer other than success; `kind` is one of the pairs above (status, code)."""

    def __init__(
        self, kind: tuple[int, str], message: str, *, target: str | None = None, details: list[str] | None = None
    ) -> None:
        super().__init__(message)
        self.status, self.code = kind
        self.message, self.target, self.details = message, target, details or []
        self.headers: dict[str, str] = {}


def error_body(code: str, message: str, *, target: str | None = None, details: list[str] | None = None) -> Any:
    """The JSON value of an error answer."""
    parts: list[dict[str, Any]] = [
        {"code": code, "message": text, "target": target, "details": []} for text in details or []
    ]
    return {"error": {"code": code, "message": message, "target": target, "details": parts, "innererror": None}}
