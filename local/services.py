"""The services the app needs, on this machine: Azurite, the ACS emulator and Event Grid.

`python -m local.services` (`make services`) runs them on their usual ports, for a `func start` in another terminal:
it writes `local.settings.json` if there is none, and subscribes the host on port 7071 to the recording events once it
is up. `Services` is the same for tests and tools, on free ports.
"""

from __future__ import annotations

import argparse
import functools
import json
import signal
import socket
import sys
import threading
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Self

from azure.core.exceptions import ResourceExistsError
from azure.storage.blob import BlobServiceClient
from azure.storage.queue import QueueServiceClient

from local.acs import AcsConfig, AcsEmulator
from local.azurite import Azurite
from local.clock import Clock
from local.eventgrid import EventGrid, HandshakeError, Subscription

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

ROOT = Path(__file__).resolve().parent.parent
HOST_PORT = 7071
CONTAINER = "recordings"
QUEUES = ("recording-rescues", "recording-rescues-urgent", "recording-background")
EVENT_FUNCTION = "recording_file_status_updated"
SETTINGS, EXAMPLE = "local.settings.json", "local.settings.json.example"
_HANDSHAKE_SECONDS = 30.0


@dataclass(frozen=True, kw_only=True)
class Ports:
    """The services' ports on 127.0.0.1; 0: a free one."""

    blob: int = 0
    queue: int = 0
    acs: int = 0
    eventgrid: int = 0


# Azurite's usual ports, and two next to the host's 7071.
FIXED = Ports(blob=10000, queue=10001, acs=7072, eventgrid=7073)


class Services:
    """Azurite, the ACS emulator and Event Grid, on one clock; all stop when the block ends.

    `acs_config`: port and storage are overwritten. `containers`: created at start; the first is the destination.
    Attributes: `azurite`, `acs`, `eventgrid`, `clock`.
    """

    def __init__(
        self,
        *,
        ports: Ports | None = None,
        clock: Clock | None = None,
        acs_config: AcsConfig | None = None,
        containers: Sequence[str] = (CONTAINER,),
        seed: int = 0,
    ) -> None:
        self._ports = ports or Ports()
        self.clock = clock or Clock()
        self._acs_config = acs_config or AcsConfig(seed=seed)
        self._containers = list(containers)
        self.azurite = Azurite(blob_port=self._ports.blob, queue_port=self._ports.queue)
        self.eventgrid = EventGrid(clock=self.clock, seed=seed, port=self._ports.eventgrid)
        self._running = ExitStack()
        self.acs: AcsEmulator

    def __enter__(self) -> Self:
        with ExitStack() as started:
            started.enter_context(self.azurite)
            self._make_storage()
            started.enter_context(self.eventgrid)
            config = replace(
                self._acs_config, port=self._ports.acs, storage_connection_string=self.azurite.connection_string
            )
            self.acs = AcsEmulator(config, clock=self.clock, publish=self.eventgrid.publish)
            started.enter_context(self.acs)
            self._running = started.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._running.close()

    def _make_storage(self) -> None:
        """Creates what the infrastructure creates in Azure: the containers, and the queues that the host needs."""
        with BlobServiceClient.from_connection_string(self.azurite.connection_string) as blobs:
            for name in self._containers:
                # Its files can be read without a key, so that `curl` can fetch one to listen to.
                _unless_there(functools.partial(blobs.create_container, name, public_access="blob"))
        with QueueServiceClient.from_connection_string(self.azurite.connection_string) as queues:
            for name in QUEUES:
                _unless_there(functools.partial(queues.create_queue, name))

    @property
    def settings(self) -> dict[str, str]:
        """The app's settings for these services."""
        urls = [f"{self.azurite.blob_url}/{name}" for name in self._containers]
        return {
            "FUNCTIONS_WORKER_RUNTIME": "python",
            "AzureWebJobsStorage": self.azurite.connection_string,
            "ACS_CONNECTION_STRING": self.acs.connection_string,
            "RECORDING_CONTAINER_URL": urls[0] if urls else f"{self.azurite.blob_url}/{CONTAINER}",
            "RECORDING_CONTAINERS_ALLOWED": ",".join(urls[1:]),
            # The customer's account: the app needs its blobs only.
            "RECORDING_STORAGE_CONNECTION_STRING": self.azurite.connection_string.partition("QueueEndpoint=")[0],
            "LOCAL_ACS_ORIGIN": self.acs.origin,
        }

    def subscribe(self, host_url: str, *, wait: float = _HANDSHAKE_SECONDS) -> None:
        """Subscribes the app's event function. HandshakeError if the host is not up within `wait` seconds."""
        endpoint = f"{host_url}/runtime/webhooks/EventGrid?functionName={EVENT_FUNCTION}"
        types = ("Microsoft.Communication.RecordingFileStatusUpdated", "Microsoft.Communication.CallStarted")
        self.eventgrid.subscribe(Subscription("recordings", endpoint, event_types=types, handshake_wait=wait))


def _unless_there(make: Callable[[], object]) -> None:
    try:
        make()
    except ResourceExistsError:
        return


def usual_services() -> Services:
    """The services on their usual ports. Where one is taken, prints that and uses a free one."""
    ports = {name: port if is_free(port) else 0 for name, port in vars(FIXED).items()}
    for name, port in ports.items():
        if not port:
            print(f"Port {getattr(FIXED, name)} is taken ({name}): a free one is used.")
    return Services(ports=Ports(**ports))


def is_free(port: int) -> bool:
    """Whether a server can listen on this port of 127.0.0.1."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def write_settings(settings: dict[str, str], *, folder: Path = ROOT) -> str:
    """Creates `local.settings.json` from the example with `settings` filled in; an existing file is not changed.

    Returns what was done, as a sentence for the terminal.
    """
    file = folder / SETTINGS
    if file.exists():
        values = json.loads(file.read_text(encoding="utf-8-sig")).get("Values", {})
        other = [name for name, value in settings.items() if values.get(name) != value]
        if not other:
            return f"{SETTINGS} exists and fits."
        names = ", ".join(other)
        return f"{SETTINGS} exists and was not changed. It differs in: {names}. Delete it to use these services."
    tree = json.loads((folder / EXAMPLE).read_text(encoding="utf-8"))
    tree["Values"] = {**tree.get("Values", {}), **settings}
    file.write_text(json.dumps(tree, indent=2) + "\n", encoding="utf-8")
    return f"{SETTINGS} was written from {EXAMPLE}, with the settings of these services."


def guide(services: Services, *, host_url: str) -> str:
    """The services' addresses, and commands to paste once the host is up."""
    control = f"{services.acs.origin}/_control"
    group = "29228d3e-040e-4656-a70e-890ab4e173e5"
    send = "curl -s -X POST -H 'content-type: application/json'"
    return f"""
  Azurite       {services.azurite.blob_url}  (queues: {services.azurite.queue_url})
  ACS emulator  {services.acs.origin}  (control plane: {control}, e.g. {control}/health)
  Event Grid    {services.eventgrid.topic_url}
  The page      {host_url}/api/ui#key=local  (no key is checked on a laptop)

Record a call whose export fails, and watch the rescue:

  field() {{ python3 -c 'import json, sys; print(json.load(sys.stdin)[sys.argv[1]])' "$1"; }}
  CALL=$({send} {control}/calls -d '{{"groupCallId": "{group}"}}' | field callId)
  RECORDING=$({send} {host_url}/api/recordings -d '{{"groupCallId": "{group}"}}' | field recordingId)
  {send} -o /dev/null {control}/calls/$CALL/end -d '{{"export": "role-missing"}}'
  curl -s {host_url}/api/recordings | python3 -m json.tool
  until curl -s {host_url}/api/recordings/$RECORDING | grep -q '"state": *"complete"'; do sleep 1; done
  curl -s {host_url}/api/recordings/$RECORDING | python3 -m json.tool

Listen to it (the emulator's media are silence, in whole files), and see whether all is well:

  blob() {{ python3 -c 'import json, sys; print(json.load(sys.stdin)["chunks"][0]["blob"])'; }}
  curl -s -o call.mp3 "$(curl -s {host_url}/api/recordings/$RECORDING | blob)" && ls -l call.mp3
  curl -s {host_url}/api/doctor | python3 -m json.tool
"""


def subscribe_when_up(services: Services, *, host_url: str, stop: threading.Event) -> threading.Thread:
    """Subscribes in the background as soon as the host is up, and prints that."""

    def keep_trying() -> None:
        while not stop.is_set():
            try:
                services.subscribe(host_url, wait=5.0)
            except (HandshakeError, RuntimeError, TimeoutError):
                stop.wait(1.0)
            else:
                print(f"Event Grid delivers recording events to {host_url}.", flush=True)
                return

    thread = threading.Thread(target=keep_trying, name="subscribe", daemon=True)
    thread.start()
    return thread


def main(arguments: list[str]) -> int:
    """Runs the services until Ctrl-C."""
    parser = argparse.ArgumentParser(prog="python -m local.services", description="Run the local services.")
    parser.add_argument("--host-url", default=f"http://127.0.0.1:{HOST_PORT}", help="URL of the functions host")
    parser.add_argument("--app-dir", type=Path, default=ROOT, help=f"folder of {SETTINGS}")
    parser.add_argument("--free-ports", action="store_true", help="use free ports instead of the usual ones")
    given = parser.parse_args(arguments)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with Services() if given.free_ports else usual_services() as services:
        print(write_settings(services.settings, folder=given.app_dir))
        print(guide(services, host_url=given.host_url))
        print("Next, in another terminal: `. .venv/bin/activate && func start`, or `.venv/bin/python -m local.host`.")
        print("Everything is kept in memory, and lost with Ctrl-C.", flush=True)
        subscribe_when_up(services, host_url=given.host_url, stop=stop)
        stop.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
