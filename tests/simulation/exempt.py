"""What the worlds cannot reach, and why: a part of the line, and the reason."""

from __future__ import annotations

EXEMPT: dict[str, dict[str, str]] = {"branches": {}, "outcomes": {}, "alerts": {}, "deaths": {}}
