"""The four recordings of the demo: what is recorded, what goes wrong, and how it should end."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

MAIN, ARCHIVE = "recordings", "customer-archive"
OUTAGE_SECONDS = 13.0
# From the first time that the app says "the container is missing" to its repair by hand.
REPAIR_SECONDS = 4.0
# Each connection to the media host gives so many bytes a second, so that there is something to see.
LINE_BYTES = 1_200_000


@dataclass(frozen=True)
class Scene:
    """One recording. `start`: its part of the body of the start; `end`: the plan its call ends by.

    `route`: how the app should say at the end that it came. `outage`: seconds from the call's end for which the
    media host fails for it. `container`: where its files belong; `is_repaired`: that one is missing at first.
    """

    name: str
    colour: str
    intro: str
    route: str
    start: dict[str, Any]
    end: dict[str, Any]
    outage: float = 0.0
    container: str = MAIN
    is_repaired: bool = field(default=False)


SCENES = (
    Scene(
        name="exported",
        colour="green",
        intro="an audio call; ACS writes it into the customer's container as it should",
        route="exported",
        start={"recordingContent": "audio", "recordingFormat": "mp3"},
        end={"chunks": [{"bytes": 6_000_000}]},
    ),
    Scene(
        name="outage",
        colour="magenta",
        intro=f"a video call; the export fails, and ACS's media store is down for {OUTAGE_SECONDS:.0f} s on top",
        route="rescued",
        start={"recordingContent": "audioVideo", "recordingFormat": "mp4"},
        end={"chunks": [{"bytes": 38_000_000}], "export": "service-outage"},
        outage=OUTAGE_SECONDS,
    ),
    Scene(
        name="one-of-three",
        colour="cyan",
        intro="a long call in three chunks; the export of the second one fails",
        route="mixed",
        start={"recordingContent": "audio", "recordingFormat": "wav"},
        end={"chunks": [{"bytes": 5_000_000}, {"bytes": 16_000_000}, {"bytes": 3_000_000}], "exportFailedChunks": [1]},
    ),
    Scene(
        name="no-container",
        colour="yellow",
        intro="an audio call into a container that somebody has deleted",
        route="delivered",
        start={"recordingContent": "audio", "recordingFormat": "mp3"},
        end={"chunks": [{"bytes": 12_000_000}]},
        container=ARCHIVE,
        is_repaired=True,
    ),
)
