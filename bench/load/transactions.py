"""Storage as Azurite's access log tells it: how many transactions of which kind."""

from __future__ import annotations

import os
import re
from collections import Counter
from typing import TYPE_CHECKING, Self
from urllib.parse import parse_qs, urlsplit

from local.azurite import Azurite

if TYPE_CHECKING:
    from pathlib import Path

_LINE = re.compile(rb'"([A-Z]+) (\S+) HTTP/1\.1" (\d{3})')
_NAMES = {
    ("PUT", "block"): "Put Block",
    ("PUT", "blocklist"): "Put Block List",
    ("GET", "blocklist"): "Get Block List",
    ("GET", "list"): "List Blobs",
    ("PUT", ""): "Put Blob",
    ("GET", ""): "Get Blob",
    ("HEAD", ""): "Get Blob Properties",
    ("DELETE", ""): "Delete Blob",
}
_QUEUES = {"POST": "Put Message", "GET": "Get Messages", "DELETE": "Delete Message", "PUT": "Update Message"}


# Azurite looks every ten minutes which of its pieces are still needed; with tens of thousands of them in memory it
# answers nothing for minutes then. What is thrown away after one run needs no such look.
_NO_CLEANING = (
    "data:text/javascript,var%20s=globalThis.setTimeout;"
    "globalThis.setTimeout=(f,ms,...a)=>s(f,ms===600000?2147483647:ms,...a)"
)


class LoggedAzurite(Azurite):
    """Azurite that writes one line a request into `azurite.log` of `folder`, and does not clean up in between."""

    def __init__(self, *, folder: Path) -> None:
        super().__init__(folder=folder)
        self.log = folder / "azurite.log"

    def start(self) -> Self:
        """See `Azurite`."""
        before = os.environ.get("NODE_OPTIONS")
        os.environ["NODE_OPTIONS"] = f"{before or ''} --import {_NO_CLEANING}".strip()
        try:
            return super().start()
        finally:
            if before is None:
                del os.environ["NODE_OPTIONS"]
            else:
                os.environ["NODE_OPTIONS"] = before

    def _options(self) -> list[str]:
        return [option for option in super()._options() if option != "--silent"]


def transactions(log: Path, *, skip: int = 0) -> tuple[Counter[str], int]:
    """The transactions by kind that the log holds from byte `skip` on, and its length."""
    found: Counter[str] = Counter()
    with log.open("rb") as lines:
        lines.seek(skip)
        for line in lines:
            match = _LINE.search(line)
            if match:
                found[_kind(match[1].decode(), match[2].decode())] += 1
        return found, lines.tell()


def _kind(method: str, url: str) -> str:
    parts = urlsplit(url)
    path, query = parts.path.strip("/").split("/"), parse_qs(parts.query)
    if path[-1] == "messages" or path[-2:-1] == ["messages"]:
        return f"queue: {_QUEUES.get(method, method)}"
    container = path[1] if len(path) > 1 else ""
    place = "ledger" if container == "recording-ledger" else "recordings"
    comp = query.get("comp", [""])[0]
    return f"{place}: {_NAMES.get((method, comp), f'{method} {comp}'.strip())}"
