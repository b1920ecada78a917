"""Starts the source and the sink as processes of their own, several to each, and stops them.

with Servers(tls=True) as servers:
    servers.source, servers.sink      # "https://127.0.0.1:…"
"""

from __future__ import annotations

import os
import shutil
import signal
import ssl
import tempfile
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path
from typing import TYPE_CHECKING, Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from bench.sink import Sink
from bench.source import Source
from bench.wire import listening, serve

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.wire import Connection, Request

ACCOUNT = "devstoreaccount1"


def make_certificate(folder: Path) -> Path:
    """A certificate for 127.0.0.1, its own authority, and its key, in one file; good for a day."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "bench")])
    now = datetime.now(UTC)
    names = [x509.IPAddress(IPv4Address("127.0.0.1")), x509.DNSName("localhost")]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.KeyUsage(
                digital_signature=True,
                key_cert_sign=True,
                crl_sign=True,
                content_commitment=False,
                key_encipherment=False,
                data_encipherment=False,
                key_agreement=False,
                encipher_only=False,
                decipher_only=False,
            ),
            critical=True,
        )
        .sign(key, hashes.SHA256())
    )
    path = folder / "certificate.pem"
    path.write_bytes(
        certificate.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return path


class Servers:
    """`source` and `sink` are origins once started; `certificate` is what clients must trust (None without TLS).

    `rate`, `busy`, `latency`: see `Source`. `processes`: to each of both servers.
    """

    def __init__(
        self, *, tls: bool = False, processes: int = 2, rate: int = 0, busy: int = 0, latency: float = 0.0
    ) -> None:
        self._tls = tls
        self._processes = processes
        self._source = Source(rate=rate, busy=busy, latency=latency)
        self._pids: list[int] = []
        self._folder: Path | None = None
        self.certificate: Path | None = None
        self.source = self.sink = ""

    def __enter__(self) -> Self:
        # In memory where the machine has such a file system: the sink's files must cost nothing.
        place = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108 - a private folder is made in it
        self._folder = Path(tempfile.mkdtemp(prefix="bench-", dir=place))
        context = None
        if self._tls:
            self.certificate = make_certificate(self._folder)
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(self.certificate)
        try:
            self.source = self._start(self._source.handle, context)
            self.sink = self._start(Sink(self._folder).handle, context)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for pid in self._pids:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        self._pids.clear()
        if self._folder:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _start(self, handle: Callable[[Connection, Request], None], tls: ssl.SSLContext | None) -> str:
        with listening() as sock:
            parent = os.getpid()
            for _ in range(self._processes):
                pid = os.fork()
                if not pid:
                    _child(lambda: serve(sock, handle, tls), parent)
                self._pids.append(pid)
            return f"{'https' if tls else 'http'}://127.0.0.1:{sock.getsockname()[1]}"

    @property
    def storage(self) -> str:
        """The sink's connection string."""
        key = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
        scheme = self.sink.partition(":")[0]
        return (
            f"DefaultEndpointsProtocol={scheme};AccountName={ACCOUNT};AccountKey={key};"
            f"BlobEndpoint={self.sink}/{ACCOUNT};QueueEndpoint={self.sink}/{ACCOUNT};"
        )

    def empty(self) -> None:
        """Forgets all that the sink received."""
        if self._folder:
            for path in [*self._folder.glob("*.json"), *self._folder.glob("*.blocks"), *self._folder.glob("*.lock")]:
                path.unlink(missing_ok=True)


def _child(run: Callable[[], None], parent: int) -> None:
    """The forked process: serves until it is killed, or until its starter is gone."""
    import ctypes

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    try:
        if os.getppid() == parent:
            run()
    finally:
        os._exit(1)
