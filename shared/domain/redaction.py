"""Takes secrets and personal data out of texts: URL queries (a SAS), keys, tokens, phone numbers, participant ids."""

from __future__ import annotations

import re

# Each pattern takes time in proportion to the text, whatever is in it: events are a megabyte of anybody's choice. So
# a URL is matched whether or not a query follows it, and a token only where a run of its characters begins.
# `hints`: what is in every text of ASCII that the pattern matches, in lower case; looking for it is far cheaper.
_CLEANERS = (
    (("http",), re.compile(r"(?i)(https?://[^\s\"'?]*)(?:(\?)[^\s\"']*)?"), lambda m: f"{m[1]}?…" if m[2] else m[1]),
    (
        ("accesskey", "accountkey", "sig"),
        re.compile(
            r"(?i)(accesskey|accountkey|sharedaccesssignature|signature|sig)(\\?[\"']?\s*[=:]\s*\\?[\"']?)[^\s;&\"',}\\]+"
        ),
        r"\1\2…",
    ),
    (("signature found",), re.compile(r"(?i)(signature found in the HTTP request ')[^']*"), r"\1…"),
    (
        ("bearer", "hmac-sha256", "sharedkey"),
        re.compile(r"(?i)\b(bearer|hmac-sha256|sharedkey|sharedkeylite)\s+[^\s\"',]+"),
        r"\1 …",
    ),
    (("eyj",), re.compile(r"(?<![\w-])eyJ[\w-]+\.[\w-]+\.[\w-]+"), "token:…"),
    (
        (":acs", ":orgid", ":dod", ":gcch", ":spool", ":teamsvisitor"),
        re.compile(r"\b\d{1,2}:(acs|orgid|dod|gcch|spool|teamsvisitor)[a-z-]*:[^\s\"',;]+", re.IGNORECASE),
        "participant:…",
    ),
    (("4:",), re.compile(r"\b4:\+?\d{5,}"), "participant:…"),
    (("+", "%2b"), re.compile(r"(\+|%2B)\d{7,15}\b", re.IGNORECASE), "+…"),
)
_LONGEST = 2000


def scrub(text: str) -> str:
    """`text` without secrets and personal data, whole; what is not UTF-8 (a lone surrogate) is replaced."""
    # Beyond ASCII a letter may match one that is not its lower case.
    lower = text.lower() if text.isascii() else None
    for hints, pattern, replacement in _CLEANERS:
        if lower is None or any(hint in lower for hint in hints):
            text = pattern.sub(replacement, text)
    return text.encode("utf-8", "replace").decode()


def clean(text: str) -> str:
    """The same on one line that no terminal takes for commands, at most 2000 characters."""
    line = " ".join(scrub(text).split())[:_LONGEST]
    return line if line.isprintable() else "".join(char if char.isprintable() else "·" for char in line)
