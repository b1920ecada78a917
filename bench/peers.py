"""Programs that are not ours: rclone as a user would call it, and the relay in C."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

from bench.measure import ROOT, AbsentError, Command, Steps, ensure_rclone, startup_seconds

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from bench.clients import Task

_FIXED = ("--config", "", "--retries", "1", "--low-level-retries", "1")


def rclone(source: str, container_sas: str, *, certificate: Path | None) -> Command:
    """`rclone copyurl` for one file, `rclone copy` from an HTTP listing for many."""
    ensure_rclone()
    trust = _trust(certificate)
    target = f':azureblob,sas_url="{container_sas}":recordings'

    def argv(task: Task) -> Sequence[str]:
        if task.count == 1:
            path, name = next(task.names())
            return ("rclone", "copyurl", f"{source}{path}", f"{target}/{name}", *_FIXED, *trust)
        listing = f':http,url="{source}/files/{task.count}/{task.size}/":'
        at_once = ("--transfers", str(task.at_once))
        return ("rclone", "copy", listing, f"{target}/{task.tag}", *at_once, *_FIXED, *trust)

    return Command(argv, startup=startup_seconds(["rclone", "version"]))


def rclone_then_hash(source: str, container_sas: str, *, certificate: Path | None) -> Steps:
    """`rclone copyurl`, then `rclone hashsum sha256`: what it takes to know the SHA-256 of the whole, too.

    It should hash what was stored, but the sink keeps no bytes: as many are downloaded from the source once more. By a
    listing of one file, for rclone's http remote takes no path for a file; `rclone cat | sha256sum` is slower.
    """
    copy = rclone(source, container_sas, certificate=certificate)
    trust = _trust(certificate)

    def argv(task: Task) -> Sequence[str]:
        listing = f':http,url="{source}/files/1/{task.size}/":'
        return ("rclone", "hashsum", "sha256", "--download", listing, *_FIXED, *trust)

    return Steps(copy, Command(argv, startup=startup_seconds(["rclone", "version"])))


def _trust(certificate: Path | None) -> Sequence[str]:
    return ("--ca-cert", str(certificate)) if certificate else ()


def relay(source: str, sink: str, folder: Path) -> Command:
    """The C relay, plain HTTP only; one stream: the least that moves the bytes."""
    compiler = shutil.which("cc")
    if compiler is None:
        raise AbsentError("no C compiler (cc)")
    program = folder / "relay"
    code = ROOT / "bench" / "relay.c"
    subprocess.run([compiler, "-O2", "-D_GNU_SOURCE", "-o", program, code], check=True, timeout=60)

    def argv(task: Task) -> Sequence[str]:
        path, name = next(task.names())
        ports = [origin.rsplit(":", 1)[1] for origin in (source, sink)]
        target = f"/devstoreaccount1/recordings/{name}"
        return (str(program), ports[0], path, ports[1], target, str(task.size), str(4 << 20), "1")

    return Command(argv)
