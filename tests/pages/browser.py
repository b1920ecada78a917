"""Chromium for the tests: Debian's, or another that is installed. None is downloaded."""

from __future__ import annotations

import os
import shutil
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from playwright.sync_api import sync_playwright

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser

    from tests.pages.gate import Gate

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_ON_A_MAC = Path("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome")
MISSING = (
    "No Chromium was found, so the page was not tested. Install one (Debian: apt-get install -y chromium), "
    "or name it: CHROMIUM=/path/to/chromium"
)
DESKTOP, PHONE = (1280, 820), (390, 844)


def chromium() -> str | None:
    """The program: `CHROMIUM`, or the first that is installed."""
    if named := os.environ.get("CHROMIUM"):
        return named
    found = next((path for name in _NAMES if (path := shutil.which(name))), None)
    return found or (str(_ON_A_MAC) if _ON_A_MAC.exists() else None)


@contextmanager
def browsing(program: str) -> Iterator[Browser]:
    """A headless browser without access to anything but this machine's loopback."""
    with sync_playwright() as playwright:
        # Its sandbox needs rights that containers lack; it shows pages of this project only.
        options = ["--no-sandbox", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"]
        browser = playwright.chromium.launch(executable_path=program, args=options)
        yield browser
        browser.close()


class Reader:
    """A browser with the page open. What the browser complains of is in `complaints`."""

    def __init__(self, browser: Browser, gate: Gate, *, size: tuple[int, int] = DESKTOP, scheme: Any = "light") -> None:
        self.gate = gate
        self.context = browser.new_context(
            viewport={"width": size[0], "height": size[1]},
            color_scheme=scheme,
            timezone_id="UTC",
            locale="en-GB",
            permissions=["clipboard-read", "clipboard-write"],
        )
        self.context.set_default_timeout(15_000)
        self.page = self.context.new_page()
        self.complaints: list[str] = []
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("console", lambda line: self._heard(line.type, line.text))

    def _heard(self, kind: str, text: str) -> None:
        # Answers of 4xx, which the page shows, and connections that a test cuts.
        if kind == "error" and not text.startswith("Failed to load resource"):
            self.complaints.append(text)

    def open(self, route: str = "/", *, key: str | None = None) -> Reader:
        """Opens a view with a key in the address, and waits for its content."""
        fragment = f"#key={key}&{route}" if key else f"#{route}"
        self.page.goto("about:blank")
        self.page.goto(f"{self.gate.origin}/api/ui{fragment}")
        return self.ready()

    def ready(self) -> Reader:
        """Waits for the content of the view."""
        self.page.wait_for_selector("main h1")
        self.page.wait_for_selector(".loading", state="detached")
        return self

    def text(self, selector: str = "main") -> str:
        """What can be read there."""
        return self.page.locator(selector).first.inner_text()

    def close(self) -> None:
        """Ends it; fails if the browser complained: of a policy that was violated, or of a script that failed."""
        self.context.close()
        assert self.complaints == []
