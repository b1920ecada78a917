"""The document is valid, served as it is written, and says which verbs a path has."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml
from openapi_spec_validator import OpenAPIV31SpecValidator

from shared import http
from shared.api.openapi import document, verbs_of

SOURCE = yaml.safe_load((Path(__file__).parents[3] / "docs" / "openapi.yaml").read_text(encoding="utf-8"))


def test_what_is_served_is_what_is_written() -> None:
    """`make openapi` makes the one of the other."""
    assert json.loads(document()) == SOURCE
    given = http.openapi()
    assert (given.status, given.mimetype, given.body) == (200, "application/json", document())


def test_it_is_a_valid_document() -> None:
    OpenAPIV31SpecValidator(SOURCE).validate()
    operations = [
        operation for item in SOURCE["paths"].values() for verb, operation in item.items() if verb in ("get", "post")
    ]
    assert len({operation["operationId"] for operation in operations}) == len(operations)


def test_nothing_is_open_but_what_holds_no_data() -> None:
    """Everything else wants the key, by header or in the query."""
    assert SOURCE["security"] == [{"functionKey": []}, {"keyInQuery": []}]
    opened = [
        path
        for path, item in SOURCE["paths"].items()
        for operation in item.values()
        if isinstance(operation, dict) and "security" in operation
    ]
    assert opened == ["/health", "/ui", "/ui/{file}"]


@pytest.mark.parametrize(
    ("path", "verbs"),
    [
        ("/recordings", ("POST", "GET")),
        ("/recordings/a%2Fb", ("GET",)),
        ("/ui/app.js", ("GET",)),
        ("/recordings/x/stop", ("POST",)),
        ("/openapi.json", ("GET",)),
        ("/openapi-json", ()),
        ("/recordings//stop", ()),
        ("/", ()),
    ],
)
def test_the_verbs_of_a_path_are_those_of_the_document(path: str, verbs: tuple[str, ...]) -> None:
    assert set(verbs_of(path)) == set(verbs)


@pytest.mark.parametrize(
    ("verb", "url", "status", "allow"),
    [
        ("DELETE", "https://app/api/recordings/x", 405, "GET"),
        ("PUT", "https://app/api/recordings?code=SECRET", 405, "GET, POST"),
        ("GET", "http://127.0.0.1:7071/api/recordings/x/replay", 405, "POST"),
        ("HEAD", "https://app/api/nothing", 404, None),
        ("PUT", "https://app/api/", 404, None),
    ],
)
def test_a_wrong_verb_is_answered_with_the_right_ones(verb: str, url: str, status: int, allow: str | None) -> None:
    given = http.other_request(verb, url)
    problem = json.loads(given.body)
    assert (given.status, given.mimetype) == (status, "application/problem+json")
    assert problem["code"] == ("verb_not_allowed" if status == 405 else "route_unknown")
    assert given.headers.get("Allow") == allow
    assert "SECRET" not in given.body.decode()


def test_the_collection_of_requests_has_every_call() -> None:
    lines = (Path(__file__).parents[3] / "requests.http").read_text(encoding="utf-8").splitlines()
    asked = [re.fullmatch(r"(GET|POST) \{\{origin\}\}/api(/[^?]*)(\?.*)?", line) for line in lines]
    called = {(match[1], match[2].replace("{{recording}}", "x")) for match in asked if match}
    for path, item in SOURCE["paths"].items():
        pattern = re.compile(re.sub(r"\{\w+\}", "[^/]+", path))
        for verb in ("get", "post"):
            has = any(verb.upper() == one and pattern.fullmatch(other) for one, other in called)
            assert has == (verb in item), f"{verb} {path}"
