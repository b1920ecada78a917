"""Wires to Azurite that can be cut: a TCP relay before it, so that connections break and answers get lost."""

from __future__ import annotations

import asyncio
import random
import threading
from contextlib import suppress
from typing import Self

from local.azurite import HOST, Azurite

_PIECE = 256 * 1024
_SECONDS = 10.0


class Cutter:
    """Relays ports on loopback. `loss`: the probability that an answer's next piece breaks its connection instead."""

    def __init__(self, *, seed: int) -> None:
        self.loss = 0.0
        self.cut_connections = 0
        self.lost_answers = 0
        self._rng = random.Random(seed)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="cutter", daemon=True)
        self._servers: list[asyncio.Server] = []
        self._relays: set[asyncio.Task[None]] = set()
        self._clients: set[asyncio.StreamWriter] = set()

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def relay(self, port: int) -> int:
        """A new port in front of `port`."""
        return asyncio.run_coroutine_threadsafe(self._listen(port), self._loop).result(_SECONDS)

    def cut(self, count: int) -> None:
        """Breaks up to `count` connections, whatever is under way on them."""
        self._loop.call_soon_threadsafe(self._cut, count)

    def stop(self) -> None:
        """Ends all relays and the thread, if it was started."""
        if not self._thread.is_alive():
            return
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(_SECONDS)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_SECONDS)
        self._loop.close()

    def _cut(self, count: int) -> None:
        live = sorted(self._clients, key=id)
        for writer in self._rng.sample(live, min(count, len(live))):
            self.cut_connections += 1
            writer.transport.abort()

    async def _listen(self, port: int) -> int:
        def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.get_running_loop().create_task(self._relay(reader, writer, port))
            self._relays.add(task)
            task.add_done_callback(self._relays.discard)

        server = await asyncio.start_server(accepted, HOST, 0, backlog=512, limit=_PIECE)
        self._servers.append(server)
        own: int = server.sockets[0].getsockname()[1]
        return own

    async def _close(self) -> None:
        for server in self._servers:
            server.close()
        for task in self._relays:
            task.cancel()
        await asyncio.gather(*self._relays, return_exceptions=True)

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int) -> None:
        self._clients.add(writer)
        inner: asyncio.StreamWriter | None = None
        try:
            inner_reader, inner = await asyncio.open_connection(HOST, port, limit=_PIECE)
            ways = (
                asyncio.create_task(self._pump(reader, inner, is_answer=False)),
                asyncio.create_task(self._pump(inner_reader, writer, is_answer=True)),
            )
            try:
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for way in ways:
                    way.cancel()
                await asyncio.gather(*ways, return_exceptions=True)
        except OSError:
            writer.transport.abort()
        finally:
            self._clients.discard(writer)
            for end in (writer, inner):
                if end is not None:
                    end.close()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, is_answer: bool) -> None:
        with suppress(OSError):
            while data := await reader.read(_PIECE):
                if is_answer and self.loss and self._rng.random() < self.loss:
                    self.lost_answers += 1
                    writer.transport.abort()
                    return
                writer.write(data)
                await writer.drain()


class CuttableAzurite(Azurite):
    """Azurite behind a `Cutter`: everybody who asks for its ports gets the relayed ones."""

    def __init__(self, *, seed: int) -> None:
        super().__init__()
        self.cutter = Cutter(seed=seed)

    def start(self) -> Self:
        """See `Azurite`."""
        super().start()
        self.cutter.start()
        self.blob_port = self.cutter.relay(self.blob_port)
        self.queue_port = self.cutter.relay(self.queue_port)
        return self

    def stop(self) -> None:
        """See `Azurite`."""
        self.cutter.stop()
        super().stop()
