"""The page for people: its shell and its files, served from `shared/ui/` without a key.

They hold no data: the script asks the API with the reader's key, or with the cookie of a sign-in in front. The policy
lets the browser load from this app only, and run nothing that is written into the page.
"""

from __future__ import annotations

from pathlib import Path

from shared.api.responses import Response, problem

FOLDER = Path(__file__).parents[1] / "ui"
SHELL = "index.html"
_TYPES = {".html": "text/html", ".js": "text/javascript", ".css": "text/css"}
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    # A new version of the app is a new page at once, and never half of one.
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}


def page(url: str) -> Response:
    """`GET /ui`: the shell. Its links are relative, so `/ui/` is sent on to `/ui`."""
    if url.partition("?")[0].endswith("/"):
        return Response(308, b"The page is at ../ui\n", "text/plain", HEADERS | {"Location": "../ui"})
    return asset(SHELL)


def asset(name: str) -> Response:
    """`GET /ui/{name}`: a file of the page; 404 for every other name. The names are listed, never joined to a path."""
    file = {one.name: one for one in FOLDER.iterdir() if one.suffix in _TYPES}.get(name)
    if file is None:
        return problem(404, "not_found", "The page has no such file", headers=HEADERS)
    return Response(200, file.read_bytes(), _TYPES[file.suffix], dict(HEADERS))
