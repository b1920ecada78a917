"""`python -m local.eventgrid`: Event Grid on a port, until Ctrl-C.

For example, with the app's host on its usual port: `python -m local.eventgrid --webhook
'http://127.0.0.1:7071/runtime/webhooks/EventGrid?functionName=recording_file_status_updated'`.
"""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from datetime import timedelta

from local.clock import Clock
from local.eventgrid.grid import EventGrid
from local.eventgrid.schema import CLOUD_EVENTS, EVENT_GRID
from local.eventgrid.subscription import DeadLetter, Subscription
from local.eventgrid.webhook import HandshakeError


def _arguments(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m local.eventgrid", description="Event Grid on a laptop.")
    parser.add_argument("--port", type=int, default=7080, help="topic endpoint and control plane (default: 7080)")
    parser.add_argument("--webhook", metavar="URL", help="subscribe this endpoint once it is up")
    parser.add_argument("--name", default="recordings", help="the subscription's name (default: recordings)")
    parser.add_argument("--event-type", action="append", metavar="TYPE", help="deliver this type only; repeatable")
    parser.add_argument("--schema", choices=[EVENT_GRID, CLOUD_EVENTS], default=EVENT_GRID)
    parser.add_argument("--ttl-minutes", type=int, default=1440, help="1 to 1440 (default)")
    parser.add_argument("--max-attempts", type=int, default=30, help="1 to 30 (default)")
    parser.add_argument("--dead-letter", metavar="CONNECTION_STRING", help="storage account of the dead letters")
    parser.add_argument("--dead-letter-container", metavar="NAME", default="dead-letters")
    parser.add_argument("--topic-key", metavar="KEY", help="publishers must prove that they know it (default: open)")
    parser.add_argument("--handshake-wait", type=float, default=600, metavar="SECONDS", help="default: 600")
    parser.add_argument("--scale", type=float, default=1.0, help="clock seconds a real second; 0: stepped")
    parser.add_argument("--seed", type=int, default=0, help="decides everything random (default: 0)")
    return parser.parse_args(arguments)


def _subscription(options: argparse.Namespace) -> Subscription | None:
    if not options.webhook:
        return None
    dead_letter = None
    if options.dead_letter:
        dead_letter = DeadLetter(options.dead_letter, options.dead_letter_container)
    return Subscription(
        options.name,
        options.webhook,
        event_types=tuple(options.event_type) if options.event_type else None,
        schema=options.schema,
        ttl=timedelta(minutes=options.ttl_minutes),
        max_attempts=options.max_attempts,
        dead_letter=dead_letter,
        handshake_wait=options.handshake_wait,
    )


def main(arguments: list[str]) -> int:
    """Runs until SIGINT or SIGTERM. Returns 1 if the endpoint does not agree to receive events, 2 for bad arguments."""
    options = _arguments(arguments)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    try:
        subscription = _subscription(options)
        clock = Clock(stepped=True) if options.scale == 0 else Clock(scale=options.scale)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    with EventGrid(clock=clock, seed=options.seed, port=options.port, topic_key=options.topic_key) as grid:
        print(f"topic endpoint: {grid.topic_url}\ncontrol plane:  {grid.origin}/_control/", flush=True)
        failed = threading.Event()
        if subscription is not None:
            threading.Thread(target=_subscribe, args=(grid, subscription, stop, failed), daemon=True).start()
        stop.wait()
    return 1 if failed.is_set() else 0


def _subscribe(grid: EventGrid, subscription: Subscription, stop: threading.Event, failed: threading.Event) -> None:
    """Runs on a thread of its own, so that a signal ends the wait for an endpoint that is not up yet."""
    try:
        grid.subscribe(subscription)
    except HandshakeError as error:
        if not stop.is_set():
            print(error, file=sys.stderr)
            failed.set()
            stop.set()
    else:
        print(f"delivering to:  {subscription.endpoint}", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
