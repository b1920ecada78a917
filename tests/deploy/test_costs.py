"""The page of costs says what its script computes."""

import json
import sys

import pytest

from tests.deploy.facts import ROOT

sys.path.insert(0, str(ROOT / "scripts"))
import costs

PRICES = json.loads((ROOT / "scripts" / "prices.json").read_text())


def test_the_page_has_the_table_of_the_script() -> None:
    assert f"<!-- costs -->\n{costs.table(PRICES)}\n<!-- /costs -->" in (ROOT / "docs" / "costs.md").read_text()


def test_a_month_by_hand() -> None:
    """10,000,000 exported: four Event Grid operations each, at 0.60 a million, less the free 100,000."""
    found = costs.month(10_000_000, 0.0, PRICES)
    assert found["Event Grid"] == pytest.approx((40_000_000 - 100_000) / 1e6 * 0.60)
    assert found["GB-s"] == pytest.approx((2 * (30_000_000 + 8_640) - 100_000) * 0.000026)


def test_a_rescue_costs_more_than_an_export() -> None:
    rescued, exported = (costs.month(1_000_000, share, PRICES) for share in (1.0, 0.0))
    assert all(rescued[part] >= exported[part] for part in exported)
    assert rescued["blob requests"] > exported["blob requests"]
