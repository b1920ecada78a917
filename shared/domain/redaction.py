"""Takes secrets and personal data out of texts: URL queries (a SAS), keys, tokens, phone numbers, participant ids."""

from __future__ import annotations

import re

# Each pattern takes time in proportion to the text, whatever is in it: events are a megabyte of anybody's choice. So
# a URL is matched whether or not a query follows it, and a token only where a run of its characters begins.
_CLEANERS = (
    (re.compile(r"(?i)(https?://[^\s\"'?]*)(?:(\?)[^\s\"']*)?"), lambda m: f"{m[1]}?…" if m[2] else m[1]),
    (
        re.compile(
            r"(?i)(accesskey|accountkey|sharedaccesssignature|signature|sig)(\\?[\"']?\s*[=:]\s*\\?[\"']?)[^\s;&\"',}\\]+"
        ),
        r"\1\2…",
    ),
    (re.compile(r"(?i)(signature found in the HTTP request ')[^']*"), r"\1…"),
    (re.compile(r"(?i)\b(bearer|hmac-sha256|sharedkey|sharedkeylite)\s+[^\s\"',]+"), r"\1 …"),
    (re.compile(r"(?<![\w-])eyJ[\w-]+\.[\w-]+\.[\w-]+"), "token:…"),
    (
        re.compile(r"\b\d{1,2}:(acs|orgid|dod|gcch|spool|teamsvisitor)[a-z-]*:[^\s\"',;]+", re.IGNORECASE),
        "participant:…",
    ),
    (re.compile(r"\b4:\+?\d{5,}"), "participant:…"),
    (re.compile(r"(\+|%2B)\d{7,15}\b", re.IGNORECASE), "+…"),
)
_LONGEST = 2000


def scrub(text: str) -> str:
    """`text` without secrets and personal data, whole; what is not UTF-8 (a lone surrogate) is replaced."""
    if text.isidentifier():  # an error's code: no pattern matches letters, digits and underscores alone
        return text
    for pattern, replacement in _CLEANERS:
        text = pattern.sub(replacement, text)
    return text.encode("utf-8", "replace").decode()


def clean(text: str) -> str:
    """The same on one line that no terminal takes for commands, at most 2000 characters."""
    line = " ".join(scrub(text).split())[:_LONGEST]
    return line if line.isprintable() else "".join(char if char.isprintable() else "·" for char in line)
