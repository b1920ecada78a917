"""Routes of literal segments and plain parameters match as in ASP.NET Core."""

from __future__ import annotations

import pytest

from local.host.routes import Route, RouteError


def test_a_route_matches_or_not() -> None:
    table: list[tuple[str, str, dict[str, str] | None]] = [
        ("items", "items", {}),
        ("items", "ITEMS", {}),
        ("items", "items/", {}),
        ("items", "items/1", None),
        ("items/{id}", "items/a%20b", {"id": "a b"}),
        ("items/{id}", "items/a%2Fb", {"id": "a%2Fb"}),
        ("items/{id}", "items/7/", {"id": "7"}),
        ("items/{id}", "items", None),
        ("items/{id}", "items/", None),
        ("items/{id}", "items//", None),
        ("items/{id}/replay", "items/7/replay", {"id": "7"}),
        ("items/{id}/replay", "items//replay", None),
        ("items/{id}/{part}", "items/7/8", {"id": "7", "part": "8"}),
        ("", "", {}),
        ("{*rest}", "", {"rest": ""}),
        ("{*rest}", "items/7/8", {"rest": "items/7/8"}),
        ("items/{*rest}", "items/a%20b/8/", {"rest": "a b/8"}),
        ("items/{*rest}", "other/7", None),
    ]
    for template, path, expected in table:
        assert Route(template).match(path.split("/") if path else []) == expected, (template, path)


def test_other_route_syntax_is_refused_by_name() -> None:
    for segment in ("{id:int}", "{id?}", "{id=5}", "{*rest}.mp3", "{name}.{extension}", "{id", "}{"):
        with pytest.raises(RouteError, match="literal segments, plain") as caught:
            Route(f"items/{segment}")
        assert segment in str(caught.value)


def test_a_literal_is_preferred_to_a_parameter() -> None:
    templates = ["items/{id}/open", "items/{id}", "items/mine"]
    ordered = sorted(templates, key=lambda template: Route(template).precedence)
    assert ordered.index("items/mine") < ordered.index("items/{id}")


def test_what_takes_the_rest_of_a_path_comes_last() -> None:
    ordered = sorted(["{*rest}", "items/{id}", "items"], key=lambda template: Route(template).precedence)
    assert ordered[-1] == "{*rest}"
