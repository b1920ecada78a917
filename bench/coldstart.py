"""What a cold start costs: indexing the functions, then the first event and the first start. `make bench-coldstart`.

Each number is of a fresh interpreter, medians over alternating rounds. The services are Azurite and the ACS emulator.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from typing import Any

from bench.clients import failed_export
from bench.measure import ROOT, machine
from bench.report import Goal, write
from local.services import Services

# In the fresh interpreter: CPU and wall from its first line; what is asked for is run, and its cost printed.
_IMPORT = """
import time; w, c = time.perf_counter(), time.process_time()
{what}
print(time.perf_counter() - w, time.process_time() - c)
"""
_FIRST = """
import json, logging, sys, time
sys.modules["aiohttp"] = sys.modules["yarl"] = None  # not deployed: the laptop's only
import azure.functions, function_app
from shared import app, handlers
marks = [("", time.perf_counter())]
def mark(name): marks.append((name, time.perf_counter()))
given = json.loads(sys.stdin.read())
from shared.settings import load_settings
import os
settings = load_settings(os.environ); mark("settings")
if given["kind"] == "start":
    import shared.adapters.acs; mark("import: ACS SDK")
import shared.adapters.blob, shared.adapters.ledger; mark("import: blob SDK")
import shared.adapters.queue; mark("import: queue SDK")
app.the_app(); mark("clients and wiring")
for name in ("first", "second"):
    if given["kind"] == "event":
        handlers.recording_file_status_updated(given[name])
    else:
        answer = handlers.start_recording(given[name].encode(), {"content-type": "application/json"})
        assert answer.status == 201, answer.body
    mark(name + " call")
unneeded = {"event": ["azure.communication.callautomation", "awscrt"], "start": ["awscrt"]}[given["kind"]]
heavy = [m for m in ("azure.identity", "azure.eventgrid", *unneeded) if m in sys.modules]
print(json.dumps({"parts": [[n, b - a] for (_, a), (n, b) in zip(marks, marks[1:])], "heavy": heavy}))
"""
# The same without taking the steps apart: what a caller waits.
_WHOLE = """
import json, sys, time
sys.modules["aiohttp"] = sys.modules["yarl"] = None  # not deployed: the laptop's only
import function_app
from shared import handlers
given = json.loads(sys.stdin.read())
begun, used = time.perf_counter(), time.process_time()
if given["kind"] == "event":
    handlers.recording_file_status_updated(given["first"])
else:
    handlers.start_recording(given["first"].encode(), {"content-type": "application/json"})
print(json.dumps([time.perf_counter() - begun, time.process_time() - used]))
"""


def _python(code: str, *, given: str = "", environment: dict[str, str] | None = None) -> str:
    ran = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        input=given,
        env={**os.environ, **(environment or {})},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return ran.stdout.splitlines()[-1]


def imports(*, rounds: int) -> dict[str, dict[str, float]]:
    """Milliseconds of wall and CPU of importing azure.functions alone, and of function_app on top."""
    ways = {"azure.functions": "import azure.functions", "function_app": "import function_app"}
    costs: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, what in ways.items():
            wall, cpu = _python(_IMPORT.format(what=what)).split()
            costs[name].append((float(wall), float(cpu)))
    found = {
        name: {"wall": statistics.median(w for w, _ in all_) * 1e3, "cpu": statistics.median(c for _, c in all_) * 1e3}
        for name, all_ in costs.items()
    }
    base = found["azure.functions"]
    found["added"] = {kind: found["function_app"][kind] - base[kind] for kind in base}
    return found


def firsts(kind: str, services: Services, *, rounds: int) -> dict[str, Any]:
    """Medians in ms of the parts of a first call, of a second one, and of a first call in one piece."""
    parts: dict[str, list[float]] = {}
    whole: list[tuple[float, float]] = []
    heavy: set[str] = set()
    for number in range(rounds):
        for code in (_FIRST, _WHOLE):
            given = json.dumps(
                {"kind": kind, **{n: _given(kind, services, f"{number}{n}") for n in ("first", "second")}}
            )
            answer = json.loads(_python(code, given=given, environment=services.settings))
            if code == _WHOLE:
                whole.append((answer[0] * 1e3, answer[1] * 1e3))
                continue
            heavy.update(answer["heavy"])
            for name, seconds in answer["parts"]:
                parts.setdefault(name, []).append(seconds * 1e3)
    medians = {name: round(statistics.median(values), 1) for name, values in parts.items()}
    wall, cpu = (round(statistics.median(one), 1) for one in zip(*whole, strict=True))
    return {"parts": medians, "whole": wall, "whole_cpu": cpu, "heavy": sorted(heavy)}


def _given(kind: str, services: Services, tag: str) -> str:
    if kind == "event":
        return json.dumps(
            [
                failed_export(
                    "https://eu-api.asm.skype.com/v1/objects/x/content/video", f"{os.urandom(6).hex()}{tag}.wav"
                )
            ]
        )
    return json.dumps({"serverCallId": services.acs.create_call().server_call_id})


def main() -> None:
    """The program."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one round of imports, nothing published")
    parser.add_argument("--rounds", type=int, default=9)
    chosen = parser.parse_args()
    if chosen.quick:
        print(imports(rounds=1))
        return
    about = machine()
    loaded = imports(rounds=chosen.rounds)
    with Services() as services:
        first = {kind: firsts(kind, services, rounds=5) for kind in ("event", "start")}
    goals = [
        Goal("first event after a start, in the process, ms", first["event"]["whole"], 110, is_most=True),
        Goal("CPU that function_app adds to azure.functions, ms", loaded["added"]["cpu"], 30, is_most=True),
        Goal(
            "heavy SDKs loaded that were not needed",
            len(first["event"]["heavy"] + first["start"]["heavy"]),
            0,
            is_most=True,
        ),
    ]
    lines = ["| import | wall ms | CPU ms |", "|---|---|---|"]
    lines += [f"| {name} | {cost['wall']:.0f} | {cost['cpu']:.0f} |" for name, cost in loaded.items()]
    lines += ["", "| first call after a start, ms | first event | first start |", "|---|---|---|"]
    for name in first["start"]["parts"]:
        lines.append(f"| {name} | {first['event']['parts'].get(name, '')} | {first['start']['parts'][name]} |")
    lines.append(f"| a first call in one piece | {first['event']['whole']} | {first['start']['whole']} |")
    lines.append(f"| its CPU | {first['event']['whole_cpu']} | {first['start']['whole_cpu']} |")
    write("coldstart", about=about, results={"imports": loaded, "first": first}, text="\n".join(lines), goals=goals)


if __name__ == "__main__":
    main()
