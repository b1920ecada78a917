"""The page's files: what is served, with which headers, and what the sources do not do."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from shared.api import ui

FILES = sorted(path.name for path in ui.FOLDER.iterdir())
POLICY = dict(part.split(" ", 1) for part in ui.HEADERS["Content-Security-Policy"].split("; "))


def source(name: str) -> str:
    return (ui.FOLDER / name).read_text()


@pytest.mark.parametrize("name", FILES)
def test_every_file_is_served_with_its_type_and_the_security_headers(name: str) -> None:
    given = ui.asset(name)
    assert given.status == 200
    assert given.body == (ui.FOLDER / name).read_bytes()
    assert given.mimetype == {"html": "text/html", "js": "text/javascript", "css": "text/css"}[name.rpartition(".")[2]]
    assert given.headers == ui.HEADERS


def test_the_shell_is_the_page() -> None:
    assert ui.page("https://app.example/api/ui").body == (ui.FOLDER / "index.html").read_bytes()


def test_a_slash_at_the_end_is_sent_on_for_the_links_are_relative() -> None:
    given = ui.page("https://app.example/api/ui/?a=b")
    assert (given.status, given.headers["Location"]) == (308, "../ui")


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../ui.py", "..%2fui.py", "app.js/", "APP.JS", "nothing.js", "app.js\0"]
)
def test_other_names_are_not_there(name: str) -> None:
    given = ui.asset(name)
    assert (given.status, given.mimetype) == (404, "application/problem+json")
    assert given.headers == ui.HEADERS


def test_the_policy_lets_nothing_in_but_the_apps_own_files() -> None:
    assert POLICY == {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "connect-src": "'self'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }


def test_nothing_comes_from_elsewhere() -> None:
    """No address but the namespace of SVG, which is a name and never fetched."""
    for name in FILES:
        found = re.findall(r"(?:https?:)?//[a-z0-9.-]+\.[a-z]{2,}", source(name))
        assert [one for one in found if one != "http://www.w3.org"] == [], name


def test_no_source_makes_markup_or_code_of_text() -> None:
    for name in FILES:
        text = re.sub(r"//.*", "", source(name))
        found = re.findall(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|srcdoc", text)
        assert found == [], name


def test_the_shell_has_nothing_inline() -> None:
    shell = source("index.html")
    assert not re.search(r"<script(?![^>]*\bsrc=)", shell)
    assert not re.search(r"<style|\sstyle=|\son\w+=", shell)


def test_every_import_is_a_file_of_the_page() -> None:
    for name in FILES:
        for target in re.findall(r'(?:from|import|href=|src=)\s*"(?:\./|ui/)([^"]+)"', source(name)):
            assert target in FILES, f"{name}: {target}"


def test_the_files_are_deployed_with_the_app() -> None:
    root = Path(__file__).parents[2]
    ignored = (root / ".funcignore").read_text().splitlines()
    assert not {"shared", "*.js", "*.css", "*.html", "ui"} & set(ignored)
