"""Charts with their table, and the doctor's lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.e2e.support import ARCHIVE

if TYPE_CHECKING:
    from tests.pages.browser import Reader
    from tests.pages.scene import Scene

SHOWN = {"started": "Started", "exported": "Exported by ACS", "inFallback": "In the fallback", "lost": "Lost"}


def total(scene: Scene, name: str, days: int) -> int:
    buckets = scene.world.get(f"/api/statistics?days={days}").json()["buckets"]
    return sum(bucket[name] for bucket in buckets)


def test_a_day_is_charted_by_hours_and_a_month_by_days(reader: Reader, scene: Scene) -> None:
    for days, link, bars in ((1, "Day", 24), (31, "Month", 31)):
        reader.open("/charts")
        reader.page.get_by_role("link", name=link, exact=True).click()
        reader.page.wait_for_url(f"**days={days}")
        reader.ready()
        for name, title in SHOWN.items():
            chart = reader.page.locator(f".chart[data-key={name}]")
            number = total(scene, name, days)
            assert number > 0
            assert chart.locator(".tile-value").inner_text() == str(number)
            assert chart.locator("svg rect").count() == bars
            label = chart.locator("svg").get_attribute("aria-label") or ""
            assert label.startswith(f"{title}: {number} in all")
        assert "p95" in reader.text(".tiles")


def test_the_charts_are_a_table_too(reader: Reader, scene: Scene) -> None:
    reader.open("/charts?days=1")
    reader.page.get_by_text("Show the numbers").click()
    table = reader.page.get_by_role("table")
    heads = table.get_by_role("columnheader").all_inner_texts()
    column = heads.index("Started")
    cells = table.locator(f"tbody tr td:nth-child({column + 1})").all_inner_texts()
    assert len(cells) == 24
    assert sum(map(int, cells)) == total(scene, "started", 1)


def test_the_doctor_shows_what_is_broken_first_with_its_fix(reader: Reader, scene: Scene) -> None:
    """The container that is gone; every line of the API is there."""
    reader.open("/doctor")
    checks = scene.world.get("/api/doctor").json()["checks"]
    lines = reader.page.locator(".check-line")
    assert lines.count() == len(checks)
    first = lines.first.inner_text()
    assert first.startswith("Failed")
    assert ARCHIVE in first
    assert "Fix:" in first
    assert "Something has to be mended" in reader.text()
    with reader.page.expect_response("**/api/doctor"):
        reader.page.get_by_role("button", name="Look again").click()
