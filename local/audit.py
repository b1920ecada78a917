"""`make audit`: looks up known vulnerabilities of the deployed packages with pip-audit.

The exit code is 0 if there are none, and also if the index or the vulnerability service cannot be reached; the message
then says NOT AUDITED. A package or version that the index does not have is a failure.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import venv
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HOME = ROOT / ".local" / "audit"
PIP_AUDIT = "pip-audit==2.10.1"
_SECONDS = 600
_NETWORK = re.compile(
    r"ConnectionError|NewConnectionError|NameResolutionError|ConnectTimeout|ReadTimeout|ProxyError|Max retries exceeded"
    r"|Temporary failure|ServiceError"
)
# pip's message for a package that the index does not have. It is the same for an index that cannot be reached, but then
# pip warns of broken connections first.
_UNKNOWN = re.compile(r"No matching distribution found for (\S+)")


@dataclass(frozen=True)
class Verdict:
    """The exit code, and the message."""

    code: int
    message: str


def verdict(report: str, errors: str) -> Verdict:
    """The verdict on pip-audit's JSON report and its error output."""
    try:
        found = json.loads(report)["dependencies"]
    except (ValueError, KeyError, TypeError):
        return _without_report(errors)
    bad = [
        f"  {one['name']} {one['version']}: {', '.join(v['id'] for v in one['vulns'])}"
        for one in found
        if one.get("vulns")
    ]
    unknown = [one["name"] for one in found if "skip_reason" in one]
    if bad:
        return Verdict(1, "Known vulnerabilities:\n" + "\n".join(bad))
    if unknown and len(unknown) == len(found):
        # A service that responds 404 to everything, as a package mirror does.
        return Verdict(
            0,
            f"NOT AUDITED: the vulnerability service knows none of the {len(found)} packages, so it cannot be reached.",
        )
    if unknown or not found:
        return Verdict(1, f"Not all packages could be looked up: {', '.join(unknown) or 'no package at all'}")
    return Verdict(0, f"Clean: no known vulnerability in {len(found)} packages.")


def _without_report(errors: str) -> Verdict:
    if _NETWORK.search(errors):
        return Verdict(0, "NOT AUDITED: the vulnerability service or the package index cannot be reached from here.")
    if unknown := _UNKNOWN.search(errors):
        return Verdict(1, f"The package index does not have {unknown[1]}.")
    return Verdict(2, f"The audit failed:\n{errors[-2000:]}")


def _run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(part) for part in command], check=False, capture_output=True, text=True, timeout=_SECONDS
    )


def main() -> int:
    """Installs pip-audit in an environment of its own, and audits requirements.txt with all dependencies."""
    python = HOME / "bin" / "python"
    if not python.exists():
        venv.create(HOME, with_pip=True)
    installed = _run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", PIP_AUDIT)
    audited = installed
    if installed.returncode == 0:
        requirements = ROOT / "requirements.txt"
        audited = _run(python, "-m", "pip_audit", "-r", requirements, "--format", "json", "--progress-spinner", "off")
    ended = verdict(audited.stdout, audited.stderr)
    print(ended.message)
    return ended.code


if __name__ == "__main__":
    sys.exit(main())
