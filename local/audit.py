"""`make audit`: what the deployed app is made of, looked up for known vulnerabilities by pip-audit.

Ends with 0 where nothing is known, and where nobody could be asked: then it says so. Anything else is not 0.
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
    # An index that knows other versions of it was asked, and has said no.
    r"|\(from versions: none\)[\s\S]*No matching distribution found"
)


@dataclass(frozen=True)
class Verdict:
    """The exit code, and what to say."""

    code: int
    message: str


def verdict(report: str, errors: str) -> Verdict:
    """Reads pip-audit's JSON report and what it wrote beside it."""
    try:
        found = json.loads(report)["dependencies"]
    except (ValueError, KeyError, TypeError):
        if _NETWORK.search(errors):
            return Verdict(
                0, "NOT AUDITED: the vulnerability service or the package index cannot be reached from here."
            )
        return Verdict(2, f"The audit failed:\n{errors[-2000:]}")
    bad = [
        f"  {one['name']} {one['version']}: {', '.join(v['id'] for v in one['vulns'])}"
        for one in found
        if one.get("vulns")
    ]
    unknown = [one["name"] for one in found if "skip_reason" in one]
    if bad:
        return Verdict(1, "Known vulnerabilities:\n" + "\n".join(bad))
    if unknown and len(unknown) == len(found):
        # What pip-audit makes of a service that answers every question with 404, as a package mirror does.
        return Verdict(
            0,
            f"NOT AUDITED: the vulnerability service knows none of the {len(found)} packages, so it cannot be reached.",
        )
    if unknown or not found:
        return Verdict(1, f"Not all could be looked up: {', '.join(unknown) or 'no package at all'}")
    return Verdict(0, f"Clean: no known vulnerability in {len(found)} packages.")


def _run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(part) for part in command], check=False, capture_output=True, text=True, timeout=_SECONDS
    )


def main() -> int:
    """Installs pip-audit beside the app's own environment, and runs it over requirements.txt with all it pulls in."""
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
