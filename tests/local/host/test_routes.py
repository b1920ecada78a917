"""Routes match as ASP.NET Core's do."""

from __future__ import annotations

import pytest

from local.host.routes import Route, RouteError

TABLE = [
    ("items", "items", {}),
    ("items", "ITEMS", {}),
    ("items", "items/1", None),
    ("items/{id}", "items/a%20b", {"id": "a b"}),
    ("items/{id}", "items/a%2Fb", {"id": "a%2Fb"}),
    ("items/{id}", "items", None),
    ("items/{id}", "items//", None),
    ("items/{id?}", "items", {}),
    ("items/{id?}", "items/7", {"id": "7"}),
    ("items/{id=5}", "items", {"id": "5"}),
    ("items/{id:int}", "items/-12", {"id": "-12"}),
    ("items/{id:int}", "items/2147483648", None),
    ("items/{id:long}", "items/2147483648", {"id": "2147483648"}),
    ("items/{id:int?}", "items/x", None),
    ("items/{id:guid}", "items/0f8fad5b-d9cb-469f-a165-70867728950e", {"id": "0f8fad5b-d9cb-469f-a165-70867728950e"}),
    ("items/{id:guid}", "items/7", None),
    ("items/{on:bool}", "items/True", {"on": "True"}),
    ("items/{n:alpha}", "items/abc1", None),
    ("items/{n:length(2,3)}", "items/abcd", None),
    ("items/{n:minlength(2):maxlength(3)}", "items/abc", {"n": "abc"}),
    ("items/{n:range(1,9)}", "items/9", {"n": "9"}),
    ("items/{n:min(3)}", "items/2", None),
    ("items/{n:regex(^a.c$)}", "items/abc", {"n": "abc"}),
    ("items/{n:double}", "items/1e3", {"n": "1e3"}),
    ("files/{name}.{extension}", "files/a.b.mp3", {"name": "a.b", "extension": "mp3"}),
    ("files/{name}.{extension}", "files/a", None),
    ("files/{*rest}", "files/a/b%20c/d", {"rest": "a/b c/d"}),
    ("files/{*rest}", "files", {}),
    ("", "", {}),
]


@pytest.mark.parametrize(("template", "path", "expected"), TABLE)
def test_a_route_matches_or_not(template: str, path: str, expected: dict[str, str] | None) -> None:
    assert Route(template).match(path.split("/") if path else []) == expected


@pytest.mark.parametrize(
    "template", ["{*rest}/more", "items/{id:odd}", "items/{id", "items/}{", "items/{id:length(x)}"]
)
def test_a_malformed_route_is_refused(template: str) -> None:
    with pytest.raises(RouteError):
        Route(template)


def test_literals_go_before_constraints_before_plain_parameters_before_catch_all() -> None:
    templates = ["items/{*rest}", "items/{id}", "items/{id:int}", "items/mine"]
    ordered = sorted((Route(template) for template in templates), key=lambda route: route.precedence)
    assert [route.template for route in ordered] == templates[::-1]
