"""What Hypothesis throws: any text, any JSON, and real events with something wrong in them."""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from shared.start.request import LOCATORS, OPTIONS
from tests.security.hostile import DOCUMENT, MEDIA, chunk, cloud_event, event
from tests.support.fakes import ACCOUNT

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

# Lone surrogates and control characters too: JSON can say them.
TEXTS = st.text(st.characters(), max_size=40)
_HOSTS = [
    "us-storage.asm.skype.com",
    "us-storage.asm.skype.com.evil.example",
    "evil.example",
    "US-STORAGE.ASM.SKYPE.COM",
    "xn--asm-skype-com-2ve.example",
    "127.0.0.1",
    "[::1]",
    "customer.blob.core.windows.net",
    "stranger.blob.core.windows.net",
    "asm.skype.com",
]
_PATHS = [
    "/v1/objects/x/content/video",
    "/recordings/team-a/20261122/call/1-2/0-audiomp3.mp3",
    "/archive/a/b/c.mp3",
    "/archive/%2e%2e/payroll/x",
    "/archive//../x",
    "/recordings/team-b/x.mp3",
    "/archive/20261122/call/12345678-1/0-audiomp3.x.mp3",
]
LOCATIONS = st.one_of(
    st.builds(
        "{}{}{}{}{}{}".format,
        st.sampled_from(["https://", "http://", "HTTPS://", "//", "ftp://", "https:\\\\", "https:/", " https://"]),
        st.sampled_from(["", "", "", "user@", "evil.example@", "evil.example\\@", "a:b@", "evil.example#", "evil?"]),
        st.sampled_from(_HOSTS),
        st.sampled_from(["", "", ":443", ":8443", ":0", ":x", ":443@evil.example", "."]),
        st.one_of(st.sampled_from(_PATHS), TEXTS),
        st.sampled_from(["", "", "?sig=abc", "#x"]),
    ),
    st.sampled_from([f"{MEDIA}/{DOCUMENT}/content/video", f"{ACCOUNT}/archive/20261122/call/1-2/0-audiomp3.mp3"]),
    TEXTS,
)
LEAVES: SearchStrategy[Any] = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(min_value=10**30, max_value=10**40),
    st.floats(),
    TEXTS,
    LOCATIONS,
    st.sampled_from(
        ["../..", "a/b", "x" * 2000, "\0", "\ud800", "9999-12-31T23:59:59Z", "0001-01-01T00:00:00+14:00", "Wav"]
    ),
)
JSON: SearchStrategy[Any] = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)
DEEP = st.builds(
    "{}{}{}".format,
    st.sampled_from(["[" * 100_000, '{"a":' * 50_000, '{"data":' + "[" * 900, '[{"data":[' * 400]),
    st.sampled_from(["", "1"]),
    st.sampled_from(["", "]" * 900, "}"]),
)


def _paths(node: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path] if path else []
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for name, inner in items:
        found += _paths(inner, (*path, name))
    return found


def _changed(tree: Any, path: tuple[Any, ...], how: str, value: Any) -> Any:
    tree = copy.deepcopy(tree)
    parent = tree
    for name in path[:-1]:
        parent = parent[name]
    name = path[-1]
    if how == "replace":
        parent[name] = value
    elif how == "remove":
        del parent[name]
    elif how == "wrap":
        parent[name] = [parent[name]]
    elif isinstance(parent, list):
        parent.append(parent[name])
    else:
        parent[str(name).upper()] = parent.pop(name)
    return tree


@st.composite
def events(draw: st.DrawFn) -> str:
    """A real event of either schema, changed in some places, alone or in an array."""
    chunks = [chunk()] + [
        chunk(
            document=draw(TEXTS | st.just("second")),
            index=draw(st.integers(0, 3)),
            contentLocation=draw(LOCATIONS),
            metadataLocation=draw(LOCATIONS),
            deleteLocation=draw(LOCATIONS),
        )
        for _ in range(draw(st.integers(0, 2)))
    ]
    tree: Any = draw(st.sampled_from([event, cloud_event]))(*chunks)
    for _ in range(draw(st.integers(0, 4))):
        places = _paths(tree)
        if not places:
            break
        how = draw(st.sampled_from(["replace", "replace", "remove", "wrap", "double"]))
        tree = _changed(tree, draw(st.sampled_from(places)), how, draw(JSON))
    text = json.dumps(draw(st.sampled_from([tree, [tree], [tree, event()]])), ensure_ascii=draw(st.booleans()))
    return draw(st.sampled_from([text, text, text, text[:-1], text + "x", text.replace("/", "\\/")]))


START_FIELDS = [*LOCATORS, *OPTIONS, "\ud800", "__proto__"]
_SENSIBLE = {
    "containerUrl": st.sampled_from([f"{ACCOUNT}/archive", f"{ACCOUNT}/recordings/team-a/x", f"{ACCOUNT}/recordings"]),
    "recordingContent": st.sampled_from(["audio", "audioVideo"]),
    "recordingChannel": st.sampled_from(["mixed", "unmixed"]),
    "recordingFormat": st.sampled_from(["mp3", "mp4", "wav"]),
}


@st.composite
def start_bodies(draw: st.DrawFn) -> bytes:
    """The body of a start: most often nearly right."""
    body: dict[str, Any] = {"serverCallId": "call"}
    for name in draw(st.lists(st.sampled_from(START_FIELDS), max_size=5, unique=True)):
        body[name] = draw(_SENSIBLE.get(name, JSON) | JSON | LOCATIONS)
    return json.dumps(body).encode()


HEADERS = st.fixed_dictionaries(
    {},
    optional={
        "content-type": TEXTS | st.sampled_from(["application/json", "application/json; charset=utf-8", "text/html"]),
        "idempotency-key": TEXTS | st.sampled_from(["a\r\nX-Injected: 1", "x" * 300, "k1"]),
        "location": TEXTS,
    },
)
QUERIES = st.fixed_dictionaries(
    {},
    optional={
        "state": TEXTS | st.sampled_from(["saving", "lost"]),
        "limit": TEXTS | st.integers().map(str) | st.sampled_from(["²", "\u0661", "1e3", "+5", " 5"]),
        "cursor": TEXTS | st.sampled_from(["====", "Li4vLi4v", "AAAA"]),
    },
)


@st.composite
def messages(draw: st.DrawFn) -> bytes:
    """Queue messages that nobody of ours sent."""
    body = {
        "version": draw(LEAVES),
        "recordingKey": draw(LEAVES | st.text("0123456789abcdef", min_size=32, max_size=32)),
        "part": draw(
            LEAVES
            | st.text("0123456789abcdef", min_size=16, max_size=16)
            | st.sampled_from(["recording", "outbox", "Recording", "../recording"])
        ),
        "generation": draw(LEAVES | st.integers(0, 3)),
    }
    return json.dumps(body).encode()
