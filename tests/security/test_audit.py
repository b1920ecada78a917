"""What `make audit` makes of pip-audit's report."""

from __future__ import annotations

import json

import pytest

from local.audit import verdict

CLEAN = {"name": "a", "version": "1", "vulns": []}
BAD = {"name": "b", "version": "2", "vulns": [{"id": "PYSEC-2026-1"}, {"id": "CVE-2026-2"}]}
SKIPPED = {"name": "c", "skip_reason": "Dependency not found on PyPI and could not be audited: c (3)"}
PIP_SAYS = """\
ERROR: Could not find a version that satisfies the requirement pip-audit==99 (from versions: {})
ERROR: No matching distribution found for pip-audit==99
"""
PIP_UNREACHABLE = "WARNING: Retrying ... after connection broken by 'NewConnectionError(...)': /simple/pip-audit/\n"
UNREACHABLE = "requests.exceptions.ConnectionError: HTTPSConnectionPool: Max retries exceeded"


@pytest.mark.parametrize(
    ("dependencies", "code", "says"),
    [
        ([CLEAN, CLEAN], 0, "Clean: no known vulnerability in 2 packages"),
        ([CLEAN, BAD], 1, "b 2: PYSEC-2026-1, CVE-2026-2"),
        ([SKIPPED, BAD], 1, "b 2"),
        ([SKIPPED, SKIPPED], 0, "NOT AUDITED"),
        ([CLEAN, SKIPPED], 1, "Not all packages could be looked up: c"),
        ([], 1, "no package at all"),
    ],
)
def test_a_report_is_clean_bad_or_none_at_all(dependencies: list[object], code: int, says: str) -> None:
    given = verdict(json.dumps({"dependencies": dependencies}), "")
    assert given.code == code
    assert says in given.message


@pytest.mark.parametrize("report", ["", "null", "{}", "[]", "no json"])
def test_without_a_report_only_a_network_that_is_not_there_is_no_failure(report: str) -> None:
    assert verdict(report, UNREACHABLE).code == 0
    assert "NOT AUDITED" in verdict(report, UNREACHABLE).message
    assert verdict(report, "Traceback: something else").code == 2


def test_a_package_that_the_index_does_not_have_is_a_failure() -> None:
    """A misspelt name, or a version that does not exist. Where the index cannot be reached pip says so, too."""
    for versions in ("none", "1.0, 2.10.1"):
        given = verdict("", PIP_SAYS.format(versions))
        assert given.code == 1
        assert "pip-audit==99" in given.message
        assert verdict("", PIP_UNREACHABLE + PIP_SAYS.format(versions)).code == 0
