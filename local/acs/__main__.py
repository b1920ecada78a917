"""`python -m local.acs`: the emulator on a port of its own. Every flag has an environment variable."""

from __future__ import annotations

import argparse
import dataclasses
import json
import logging
import os
import signal
import threading
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from local.acs.config import WELL_KNOWN_KEY, AcsConfig
from local.acs.emulator import AcsEmulator
from local.acs.event_form import DEFAULT_FORM, form_from_json
from local.clock import Clock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from local.acs.event_form import EventForm

_ENV = "ACS_EMULATOR_"
_YES = {"1", "true", "yes"}
_HANDSHAKE_SECONDS = 600.0


def parser(environ: Mapping[str, str]) -> argparse.ArgumentParser:
    """The command line; defaults come from `ACS_EMULATOR_…` variables named like the flags."""
    made = argparse.ArgumentParser(prog="python -m local.acs", description=__doc__)

    def flag(name: str, kind: Callable[[str], Any], default: Any, text: str) -> None:
        variable = _ENV + name.upper().replace("-", "_")
        value = environ.get(variable, default)
        made.add_argument(f"--{name}", type=kind, default=value, help=f"{text} (environment: {variable})")

    flag("host", str, "127.0.0.1", "address to listen on")
    flag("port", int, 9300, "port to listen on; 0: a free one")
    flag("seed", int, None, "the same seed gives the same ids and media; left out: a random one")
    flag("retention-hours", float, 24.0, "how long media are kept after a recording's end")
    flag("event-delay", float, 2.0, "seconds from a recording's end to its event")
    flag("clock-scale", float, 1.0, "clock seconds that pass in a real second; 0: by request only")
    flag("event-form", str, None, "full, sparse, or JSON: the form of the events; see the README")
    flag("access-key", str, WELL_KNOWN_KEY, "the resource's key, base64; left out: a published one")
    flag("storage-connection-string", str, None, "the account that exports are written to")
    flag("webhook", str, None, "where Event Grid delivers the events; left out: nowhere")
    silent = environ.get(_ENV + "NO_CALL_STARTED", "").lower() in _YES
    made.add_argument("--no-call-started", action="store_true", default=silent, help="no event when a call begins")
    return made


def config_from(options: argparse.Namespace) -> AcsConfig:
    """The emulator's settings from the command line."""
    config = AcsConfig(
        host=options.host,
        port=options.port,
        access_key=options.access_key,
        retention=timedelta(hours=options.retention_hours),
        event_delay=timedelta(seconds=options.event_delay),
        storage_connection_string=options.storage_connection_string or None,
        event=_event_form(options.event_form),
        call_started=not options.no_call_started,
    )
    return config if options.seed is None else dataclasses.replace(config, seed=options.seed)


def _event_form(text: str | None) -> EventForm:
    """The form of the events: a name, or the JSON of one; None or empty: the default."""
    if not text:
        return DEFAULT_FORM
    return form_from_json(json.loads(text) if text.lstrip().startswith("{") else text, base=DEFAULT_FORM)


@contextmanager
def event_grid(webhook: str | None, *, clock: Clock) -> Iterator[Callable[[dict[str, Any]], object] | None]:
    """Event Grid in front of a webhook, for as long as the context lasts; None without a webhook.

    The webhook may come up later: the handshake waits for it in the background, and the terminal shows its outcome.
    """
    if not webhook:
        yield None
        return
    from local.eventgrid import EventGrid, HandshakeError, Subscription  # noqa: PLC0415 - only with a webhook

    def subscribe() -> None:
        try:
            grid.subscribe(Subscription("recordings", webhook, handshake_wait=_HANDSHAKE_SECONDS))
        except HandshakeError as error:
            print(f"no events will be delivered: {error}", flush=True)
        else:
            print(f"events are delivered to {webhook}", flush=True)

    grid = EventGrid(clock=clock)
    grid.start()
    try:
        # A daemon: a webhook that never answers must not keep the program from ending.
        threading.Thread(target=subscribe, name="acs-subscribe", daemon=True).start()
        yield grid.publish
    finally:
        grid.stop()


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs until SIGINT or SIGTERM."""
    options = parser(os.environ).parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    logging.getLogger("azure").setLevel(logging.WARNING)
    over = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: over.set())
    clock = Clock(stepped=True) if options.clock_scale == 0 else Clock(scale=options.clock_scale)
    with (
        event_grid(options.webhook, clock=clock) as publish,
        AcsEmulator(config_from(options), clock=clock, publish=publish) as acs,
    ):
        print(f"ACS recording emulator on {acs.origin} (seed {acs.config.seed}); control: {acs.origin}/_control/health")
        if options.access_key == WELL_KNOWN_KEY:
            print(f"connection string: {acs.connection_string}")
        print("ready", flush=True)
        over.wait()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
