"""Runs the demo: starts everything, records four calls, ends them, watches, repairs, compares.

Exit code 0: every byte of every chunk, its metadata and its manifest are where they belong; 1: something differs, and
is printed; 130: stopped by Ctrl-C (or SIGTERM), with nothing left running.
"""

from __future__ import annotations

import argparse
import os
import signal
import time
from datetime import UTC, datetime
from http.client import HTTPException
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from azure.core.exceptions import AzureError
from azure.storage.blob import BlobServiceClient

from local.acs.documents import chunk_metadata
from local.azurite import AzuriteError
from local.demo.proof import Proof, prove
from local.demo.scenes import ARCHIVE, LINE_BYTES, MAIN, REPAIR_SECONDS, SCENES, Narrator, Scene, countdown, moment
from local.demo.screen import Result, Row, Screen, is_live
from local.json_http import HttpError, ask
from local.stack import Stack, StackError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_CALL_SECONDS = 1.5
_LOOK_AGAIN = 0.25
# From the end of the calls: what is not finished by then is a failure.
_MOST_SECONDS = 70.0
_LOG_TAIL = 3000
_FALLBACK = "recording-fallback"
# Small blocks and short delays, to show in a minute what takes minutes and hours otherwise.
_SETTINGS = {
    "RESCUE_BLOCK_MIB": "1",
    "RESCUE_MEMORY_MIB": "8",
    "RESCUE_FIRST_DELAY_SECONDS": "2",
    "RESCUE_LONGEST_DELAY_SECONDS": "5",
    "FALLBACK_CONTAINER": _FALLBACK,
}


class Performance:
    """One scene in progress. `app` and `control`: URLs of the app and of the emulator."""

    def __init__(self, scene: Scene, *, app: str, control: str, say: Callable[[str], None]) -> None:
        self.scene = scene
        self.say = say
        self.story: dict[str, Any] = {"chunks": [], "attempts": 0, "state": "started", "chunkStates": {}}
        self.truth: dict[str, Any] = {"chunks": []}
        self.recording_id = ""
        self._app = app
        self._control = control
        self._narrator = Narrator(say)
        self._call = ""
        self._key = ""
        self._ended = 0.0
        self._refused: float | None = None

    def start(self, container_url: str) -> None:
        """Creates a call, and starts its recording with the app's API."""
        call = ask(self._control, "/_control/calls", body={})
        self._call = call["callId"]
        self.say(f"{self.scene.intro}.")
        body = {"serverCallId": call["serverCallId"], "containerUrl": container_url, **self.scene.start}
        started = ask(self._app, "/api/recordings", body=body)
        self.recording_id, self._key = started["recordingId"], started["key"]
        self.say(f"POST /api/recordings: 201, {started['recordingState']}, into {container_url}")
        for warning in started.get("warnings", []):
            self.say(f"warning of the app: {warning.replace(container_url, 'the container')}")

    def end(self) -> None:
        """Ends the call with the failures of the scene."""
        if self.scene.outage:
            fault = {"kind": "status", "status": 503, "recordingId": self.recording_id, "toSeconds": self.scene.outage}
            for operation in ("media", "metadata"):
                ask(self._control, "/_control/faults", body={**fault, "operation": operation})
        self._ended = time.monotonic()
        ask(self._control, f"/_control/calls/{self._call}/end", body={"eventDelaySeconds": 1, **self.scene.end})
        self.truth = self.read_truth(sha256=False)

    def read_truth(self, *, sha256: bool = True) -> dict[str, Any]:
        """What ACS recorded, from the control plane; without checksums it is faster."""
        path = f"/_control/recordings/{quote(self.recording_id, safe='')}?sha256={str(sha256).lower()}"
        truth: dict[str, Any] = ask(self._control, path)
        return truth

    def look(self) -> None:
        """Reads the recording's status from the app, and says what changed."""
        self.story = ask(self._app, f"/api/recordings/{quote(self._key, safe='')}")
        self._narrator.update(self.story)

    def is_to_be_repaired(self) -> bool:
        """True once: when the missing container is to be created."""
        if not self.scene.is_repaired or self._refused == 0.0:
            return False
        if self._refused is None:
            if self.story["chunkStates"].get("in_fallback"):
                self._refused = time.monotonic()
            return False
        if time.monotonic() < self._refused + REPAIR_SECONDS:
            return False
        self._refused = 0.0
        return True

    @property
    def is_over(self) -> bool:
        """Whether the app has finished this recording."""
        return bool(self.story.get("closedAt"))

    def seconds(self, chunk: dict[str, Any]) -> float:
        """From the call's end until the chunk was finished."""
        ago = (datetime.now(UTC) - moment(chunk["finishedAt"])).total_seconds() if chunk.get("finishedAt") else 0.0
        return max(0.0, time.monotonic() - self._ended - ago)

    def row(self, staged: dict[str, int]) -> Row:
        """Its progress. `staged`: bytes of uncommitted blocks, by documentId."""
        chunks = self.story["chunks"]
        sizes = {chunk["documentId"]: chunk["size"] for chunk in chunks if chunk.get("size")}
        done = sum(sizes.get(real["documentId"], staged.get(real["documentId"], 0)) for real in self.truth["chunks"])
        times = [chunk["nextAttemptAt"] for chunk in chunks if chunk.get("nextAttemptAt")]
        is_safe = all(chunk.get("where") != "acs" for chunk in chunks)
        return Row(
            name=self.scene.name,
            colour=self.scene.colour,
            state=", ".join(f"{n} {state}" if n > 1 else state for state, n in self.story["chunkStates"].items())
            or self.story["state"],
            done=done,
            total=sum(real["bytes"] for real in self.truth["chunks"]),
            tries=self.story["attempts"],
            next_try=_in_seconds(min(times, default=None)),
            left="" if is_safe and chunks else countdown(self.story.get("atRiskFrom")),
        )


class Demo:
    """The whole demo over a running stack."""

    def __init__(
        self, stack: Stack, service: BlobServiceClient, screen: Screen, *, scenes: Sequence[Scene] = SCENES
    ) -> None:
        self._stack = stack
        self._service = service
        self._screen = screen
        self._performances = [
            Performance(scene, app=stack.host_url, control=stack.acs.origin, say=self._sayer(scene)) for scene in scenes
        ]

    def _sayer(self, scene: Scene) -> Callable[[str], None]:
        return lambda text: self._screen.say(text, who=scene.name, colour=scene.colour)

    def run(self) -> bool:
        """Runs all scenes; True if every recording is whole."""
        self._service.delete_container(ARCHIVE)
        for performance in self._performances:
            performance.start(f"{self._stack.azurite.blob_url}/{performance.scene.container}")
        self._wait(_CALL_SECONDS)
        self._screen.say("The calls end; ACS exports what it recorded, and reports the result by Event Grid.")
        for performance in self._performances:
            performance.end()
        drip = {"kind": "drip", "rate": LINE_BYTES, "operation": "media"}
        ask(self._stack.acs.origin, "/_control/faults", body=drip)
        until = time.monotonic() + _MOST_SECONDS
        while not all(performance.is_over for performance in self._performances) and time.monotonic() < until:
            self._look()
            time.sleep(_LOOK_AGAIN)
        self._look()
        return self._verdict()

    def _look(self) -> None:
        for performance in self._performances:
            if not performance.is_over:
                performance.look()
            if performance.is_to_be_repaired():
                self._service.create_container(ARCHIVE)
                performance.say("the container is created again; the app detects that by itself")
        staged = self._staged() if self._screen.is_live else {}
        self._screen.show([performance.row(staged) for performance in self._performances])

    def _wait(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self._look()
            time.sleep(_LOOK_AGAIN)

    def _staged(self) -> dict[str, int]:
        """Bytes of uncommitted blocks by documentId: they survive a crash."""
        found: dict[str, int] = {}
        names = {container.name for container in self._service.list_containers()} & {MAIN, ARCHIVE, _FALLBACK}
        for name in names:
            client = self._service.get_container_client(name)
            for blob in client.list_blobs(include=["uncommittedblobs"]):
                if not blob.size and "-acsmetadata." not in blob.name:
                    _, blocks = client.get_blob_client(blob.name).get_block_list("uncommitted")
                    document = blob.name.rpartition("/")[2].partition(".")[2].rpartition(".")[0]
                    found[document] = sum(block.size for block in blocks)
        return found

    def _verdict(self) -> bool:
        self._screen.clear()
        self._screen.say("Every file is read back and compared with what ACS recorded.")
        results: list[Result] = []
        differences: list[str] = []
        for performance in self._performances:
            proof = self._prove(performance)
            results += _results(performance, proof)
            differences += [f"{performance.scene.name}: {text}" for text in proof.differences]
            if performance.story.get("route") != performance.scene.route:
                route = performance.story.get("route")
                differences.append(
                    f"{performance.scene.name}: came by the route {route}, not {performance.scene.route}"
                )
        fallback = self._service.get_container_client(_FALLBACK)
        left = fallback.list_blob_names() if fallback.exists() else ()
        differences += [f"left in the fallback: {name}" for name in left]
        self._screen.table(results)
        for text in differences:
            self._screen.say(f"DIFFERS  {text}")
        if not differences:
            self._screen.say(
                f"Whole: {len(results)} chunks of {len(self._performances)} recordings, with metadata and manifest, "
                "each exactly once and where it belongs."
            )
        return not differences

    def _prove(self, performance: Performance) -> Proof:
        recording = self._stack.acs.resource.find(performance.recording_id)
        return prove(
            performance.story,
            performance.read_truth(),
            metadata={chunk.index: chunk_metadata(recording, chunk) for chunk in recording.chunks},
            service=self._service,
        )


def _results(performance: Performance, proof: Proof) -> list[Result]:
    chunks = {chunk["index"]: chunk for chunk in performance.story["chunks"]}
    count = len(proof.chunks)
    return [
        Result(
            recording=performance.scene.name + (f" {one.index + 1}/{count}" if count > 1 else ""),
            route=str(chunks.get(one.index, {}).get("state", "-")),
            size=one.size,
            source=one.source_sha256,
            container=one.container_sha256 or "missing",
            tries=chunks.get(one.index, {}).get("attempts", 0),
            seconds=performance.seconds(chunks.get(one.index, {})),
            is_same=one.source_sha256 == one.container_sha256,
        )
        for one in proof.chunks
    ]


def _in_seconds(until: str | None) -> str:
    """`4 s`; empty if `until` is None."""
    return f"{max(0.0, (moment(until) - datetime.now(UTC)).total_seconds()):.0f} s" if until else ""


def _stop_once(*_: object) -> None:
    """The first Ctrl-C ends the demo; further ones are ignored while everything is stopped."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def main(arguments: list[str]) -> int:
    """Runs the demo; see the module's docstring for the exit codes."""
    argparse.ArgumentParser(
        prog="python -m local.demo", description="Four recordings, from start to safe, on this machine."
    ).parse_args(arguments)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stop_once)
    # No proxy: everything is on this machine.
    os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1,localhost"
    try:
        return _run()
    except KeyboardInterrupt:
        print("\nStopped; nothing is left running.")
        return 130
    except (AzuriteError, StackError, HttpError, HTTPException, AzureError, OSError) as error:
        print(f"\nThe demo failed: {error}")
        return 1


def _run() -> int:
    with Screen(live=is_live()) as screen:
        screen.say("Azurite, an ACS emulator, Event Grid and the app start on this machine.")
        with (
            Stack(settings=_SETTINGS, containers=(MAIN, ARCHIVE)) as stack,
            BlobServiceClient.from_connection_string(stack.azurite.connection_string) as service,
        ):
            screen.say(f"The app answers on {stack.host_url}, ACS on {stack.acs.origin}.")
            try:
                return 0 if Demo(stack, service, screen).run() else 1
            except HttpError:
                screen.say("The end of the app's log:\n" + stack.host.text()[-_LOG_TAIL:])
                raise
