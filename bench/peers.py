"""Programs that are not ours: rclone and azcopy as a user would call them, and the limit in C."""

from __future__ import annotations

import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

from bench.measure import ROOT, AbsentError, Command, Steps, rclone_program, startup_seconds

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from bench.clients import Task

_FIXED = ("--config", "", "--retries", "1", "--low-level-retries", "1")


def rclone(source: str, container_sas: str, *, certificate: Path | None, of: str) -> Command:
    """`rclone copyurl` for one file, `rclone copy` from an HTTP listing for many. `of`: see `rclone_program`."""
    program = rclone_program(of)
    trust = _trust(certificate)
    target = f':azureblob,sas_url="{container_sas}":recordings'

    def argv(task: Task) -> Sequence[str]:
        if task.count == 1:
            path, name = next(task.names())
            return (program, "copyurl", f"{source}{path}", f"{target}/{name}", *_FIXED, *trust)
        listing = f':http,url="{source}/files/{task.count}/{task.size}/":'
        at_once = ("--transfers", str(task.at_once))
        return (program, "copy", listing, f"{target}/{task.tag}", *at_once, *_FIXED, *trust)

    return Command(argv, startup=startup_seconds([program, "version"]))


def rclone_then_hash(source: str, container_sas: str, *, certificate: Path | None, of: str) -> Steps:
    """`rclone copyurl`, then `rclone hashsum sha256`: what it takes to know the SHA-256 of the whole, too.

    It should hash what was stored, but the sink keeps no bytes: as many are downloaded from the source once more. By a
    listing of one file, for rclone's http remote takes no path for a file; `rclone cat | sha256sum` is slower.
    """
    program, copy = rclone_program(of), rclone(source, container_sas, certificate=certificate, of=of)
    trust = _trust(certificate)

    def argv(task: Task) -> Sequence[str]:
        listing = f':http,url="{source}/files/1/{task.size}/":'
        return (program, "hashsum", "sha256", "--download", listing, *_FIXED, *trust)

    return Steps(copy, Command(argv, startup=startup_seconds([program, "version"])))


def _trust(certificate: Path | None) -> Sequence[str]:
    return ("--ca-cert", str(certificate)) if certificate else ()


def limit(source: str, sink: str, folder: Path, *, certificate: Path | None, digest: str) -> Command:
    """The C program of `limit.c`, as many blocks under way as the engine has; `digest` is `sha256` or `none`."""
    compiler = shutil.which("cc")
    if compiler is None:
        raise AbsentError("no C compiler (cc)")
    program, code = folder / "limit", ROOT / "bench" / "limit.c"
    built = subprocess.run(
        [compiler, "-O2", "-pthread", "-D_GNU_SOURCE", "-o", program, code, "-lssl", "-lcrypto"],
        check=False,
        capture_output=True,
        timeout=60,
    )
    if built.returncode:
        raise AbsentError("limit.c needs OpenSSL's headers (apt-get install libssl-dev)")
    authority = (str(certificate),) if certificate else ()

    def argv(task: Task) -> Sequence[str]:
        path, name = next(task.names())
        ports = [origin.rsplit(":", 1)[1] for origin in (source, sink)]
        target = f"/devstoreaccount1/recordings/{name}"
        sizes = (str(task.size), str(8 << 20), "5")
        return (str(program), ports[0], path, ports[1], target, *sizes, digest, *authority)

    return Command(argv)


def azcopy(source: str, container_sas: str, *, certificate: Path | None) -> Command:
    """`curl | azcopy copy --from-to PipeBlob`: azcopy itself reads no HTTP source that is not a storage service."""
    if shutil.which("curl") is None:
        raise AbsentError("curl is not installed")
    program = _azcopy()
    trust = f"--cacert {certificate}" if certificate else ""
    environment = f"SSL_CERT_FILE={certificate}" if certificate else ""

    def argv(task: Task) -> Sequence[str]:
        path, name = next(task.names())
        base, _, query = container_sas.partition("?")
        copy = f"{environment} {program} copy '{base}/{name}?{query}' --from-to PipeBlob --block-size-mb 8"
        return ("sh", "-c", f"curl -sSf {trust} '{source}{path}' | {copy} --log-level NONE >&2")

    return Command(argv, startup=startup_seconds([str(program), "--version"]))


def _azcopy() -> Path:
    """The azcopy that npm has, kept under `.local/`."""
    folder = ROOT / ".local" / "azcopy"
    program = folder / "node_modules" / "@azure-tools" / "azcopy-linux" / "dist" / "bin" / "azcopy_linux_amd64"
    if not program.exists():
        install = ("npm", "install", "--no-audit", "--no-fund", "--silent", "--prefix", str(folder))
        command = [sys.executable, "-m", "local.node", *install, "@azure-tools/azcopy-linux@10.32.2"]
        subprocess.run(command, cwd=ROOT, check=False, capture_output=True, timeout=300)
    if not program.exists():
        raise AbsentError("azcopy could not be installed from npm")
    program.chmod(0o755)
    return program
