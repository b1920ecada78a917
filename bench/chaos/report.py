"""What a run has shown, for people and as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Mapping

    from bench.chaos.scenario import Options

_MOST_FINDINGS = 40


@dataclass(frozen=True)
class Result:
    """A finished run. `findings` empty: proved."""

    options: Options
    seconds: float
    stories: Counter[str]
    troubles: Counter[str]
    faults: Counter[str]
    deliveries: Counter[str]
    findings: list[str]
    proof: dict[str, Any]

    @property
    def is_proved(self) -> bool:
        """Whether everything is whole and nothing is left over."""
        return not self.findings


def as_text(result: Result) -> str:
    """The report for the terminal."""
    parts = [
        _table("recordings by fate", result.stories),
        _table("troubles", result.troubles),
        _table("faults that struck requests to ACS", result.faults),
        _table("events", result.deliveries),
        _table("at the end", {name: value for name, value in result.proof.items() if not isinstance(value, dict)}),
        _table("recordings by route", result.proof.get("routes", {})),
        _table("tries that failed, a recording", result.proof.get("tries", {})),
    ]
    shown = result.findings[:_MOST_FINDINGS]
    if len(result.findings) > len(shown):
        shown.append(f"… and {len(result.findings) - len(shown)} more")
    parts += [f"NOT SO: {finding}" for finding in shown]
    struck = sum(result.faults.values()) + sum(result.troubles.values())
    verdict = "proved" if result.is_proved else f"NOT proved: {len(result.findings)} findings"
    options = result.options
    parts.append(
        f"{verdict}: {options.recordings} recordings, {struck} troubles and faults, {options.workers} workers, "
        f"{result.seconds:.0f} s, --seed {options.seed}"
    )
    return "\n".join(parts)


def as_json(result: Result) -> str:
    """The same as JSON."""
    return json.dumps(asdict(result), indent=1, default=str) + "\n"


def _table(title: str, rows: Mapping[str, Any]) -> str:
    return "\n".join([f"{title}:", *(f"  {value:>12,}  {name}" for name, value in rows.items())])
