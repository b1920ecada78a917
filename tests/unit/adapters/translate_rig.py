"""Errors of the SDKs as they are raised, without a service."""

from __future__ import annotations

from typing import Any

import azure.core.exceptions as core


class Answer:
    """As much of an SDK's response as an error carries."""

    reason = "because"

    def __init__(self, status: int, *, body: Any = None, **headers: str) -> None:
        self.status_code = status
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}
        self._body = body

    def json(self) -> Any:
        if self._body is None:
            raise ValueError("not JSON")
        return self._body

    def text(self, encoding: str | None = None) -> str:  # noqa: ARG002 - the SDK's signature
        return ""

    @property
    def content_type(self) -> str:
        return "application/json"


def http_error(status: int, *, code: str | None = None, kind: Any = core.HttpResponseError, **more: Any) -> Any:
    error = kind(message="the service says no", response=Answer(status, **more))
    if code:
        error.error_code = code
    return error
