"""What lies between a person and a honeypot: networks, and clients, that move keys in time.

On loopback a key arrives when it is pressed. Elsewhere it does not, and a judge of rhythms must
stand that:

- ``stalls``: now and then nothing passes for 0.3 to 2 s (a lost packet, a wireless network, a
  laptop's lid); what was typed meanwhile arrives at once.
- ``jitter``: each piece is held for up to a tenth of a second.
- ``ticks``: keys leave every 20 ms, as OpenSSH 9.5 and later send them (its option
  ObscureKeystrokeTiming, on by default), also to servers that know nothing of it.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Callable

HOST = "127.0.0.1"
TICK = 0.02
"""Seconds: OpenSSH's own default."""

LINKS = ("stalls", "jitter", "ticks")


def _holds(kind: str, chance: random.Random) -> Callable[[], float]:
    """Return a draw of the seconds for which the link holds what it has."""
    if kind == "ticks":
        return lambda: TICK - asyncio.get_running_loop().time() % TICK
    if kind == "jitter":
        return lambda: chance.uniform(0.0, 0.1)
    return lambda: chance.uniform(0.3, 2.0) if chance.random() < 0.06 else 0.0


@contextlib.asynccontextmanager
async def link(kind: str, port: int, chance: random.Random) -> AsyncIterator[int]:
    """Open a link to the port of a server; gives the port at which a client enters it."""
    hold = _holds(kind, chance)
    running: set[asyncio.Task[None]] = set()

    async def carry(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, slowly: bool
    ) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65_536):
                if slowly:
                    await asyncio.sleep(hold())
                writer.write(data)
                await writer.drain()
        writer.close()

    async def entered(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there, back = await asyncio.open_connection(HOST, port)
        except OSError:
            writer.close()
            return
        for task in (
            asyncio.create_task(carry(reader, back, slowly=True)),
            asyncio.create_task(carry(there, writer, slowly=False)),
        ):
            running.add(task)
            task.add_done_callback(running.discard)

    server = await asyncio.start_server(entered, HOST, 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in tuple(running):
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
