"""The parts of docs/operations.md that are tables in the code. `python -m tests.support.runbook` writes them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from shared.domain.alerts import ALERTS
from shared.telemetry.instruments import INSTRUMENTS

if TYPE_CHECKING:
    from shared.domain.alerts import Alert

PAGE = Path(__file__).parents[2] / "docs" / "operations.md"


def alerts() -> str:
    """A section for each alert, by name."""
    return "\n".join(_section(ALERTS[name]) for name in sorted(ALERTS))


def _section(alert: Alert) -> str:
    query = f'traces | where tostring(parse_json(message).event) == "alert.{alert.name}" | project timestamp, message'
    return f"""\
### `alert.{alert.name}`

{alert.means} Severity {3 if alert.level == "error" else 2}.

- **Look at** {alert.look}
- **Mend** {alert.mend}
- **Find** `$APP/api/ui#/cause/{alert.name}`, or

  ```kusto
  {query}
  ```
"""


def metrics() -> str:
    """A table of all metrics."""
    rows = []
    for one in INSTRUMENTS:
        split = ", ".join(f"`{name}`" for name in one.attributes)
        rows.append(f"| `{one.name}` | {one.kind} | {one.unit} | {split} | {one.meaning} |")
    return "\n".join(["| metric | kind | unit | split by | what |", "|---|---|---|---|---|", *rows, ""])


PARTS = {"alerts": alerts, "metrics": metrics}


def rendered(text: str) -> str:
    """`text` with every part between its marks made anew."""
    for name, make in PARTS.items():
        parts = re.split(rf"(?s)(<!-- {name}: .*?-->\n).*?(<!-- end of {name} -->)", text)
        if len(parts) != 4:
            raise ValueError(f"docs/operations.md has {len(parts) // 3} parts named {name}")
        before, first, last, after = parts
        text = f"{before}{first}\n{make()}\n{last}{after}"
    return text


if __name__ == "__main__":
    PAGE.write_text(rendered(PAGE.read_text()))
