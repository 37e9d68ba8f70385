"""How records leave for the collectors: datagrams, a stream, a file that is rotated, and HTTP that is answered."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import httpx

log = logging.getLogger("almena.demo")

_PATIENCE = 30.0  # seconds a receiver may take to answer, or to read what was sent before the end


class Sender(Protocol):
    """One way to a collector."""

    async def send(self, records: Sequence[bytes]) -> None:
        """Send the records in order; waits for as long as the receiver does not take them."""

    async def close(self) -> None:
        """Nothing more will come; returns when the receiver has what was sent, as far as the transport can tell."""


class Udp:
    """One datagram per record, no faster than `per_second`: nobody says when the kernel throws one away."""

    def __init__(self, host: str, port: int, per_second: float = 1000.0) -> None:
        """Sends to `host` and `port`."""
        self._place = (host, port)
        self._pause = 1.0 / per_second
        self._socket = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)

    async def send(self, records: Sequence[bytes]) -> None:
        """Send each record as one datagram."""
        for record in records:
            with contextlib.suppress(ConnectionRefusedError):
                self._socket.sendto(record, self._place)
            await asyncio.sleep(self._pause)

    async def close(self) -> None:
        """Close the socket."""
        self._socket.close()


class Tcp:
    """Octet-counted messages over one connection (RFC 6587), opened when needed and again when it breaks."""

    def __init__(self, host: str, port: int) -> None:
        """Sends to `host` and `port`."""
        self._place = (host, port)
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def send(self, records: Sequence[bytes]) -> None:
        """Write the records; what was written to a connection that then breaks may be lost, as with any syslog."""
        data = b"".join(b"%d %b" % (len(record), record) for record in records)
        for wait in _waits():
            try:
                if self._streams is None:
                    self._streams = await asyncio.open_connection(*self._place)
                self._streams[1].write(data)
                await self._streams[1].drain()
            except OSError as error:
                log.info("syslog over TCP: %s; trying again", error)
                self._streams = None
                await asyncio.sleep(wait)
            else:
                return

    async def close(self) -> None:
        """Say that this was all and wait until the receiver closes too."""
        if self._streams is None:
            return
        reader, writer = self._streams
        with contextlib.suppress(OSError, asyncio.TimeoutError):
            writer.write_eof()
            async with asyncio.timeout(_PATIENCE):
                while await reader.read(4096):
                    pass
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


class Log:
    """Lines appended to a file; after every `rotate` lines it is renamed to `*.1` and begun anew, as logrotate does."""

    def __init__(self, path: Path, rotate: int = 0, times: int | None = None) -> None:
        """Appends to `path`; 0 never rotates, `times` is how often it may at most."""
        self._path = path
        self._rotate = rotate
        self._times = times
        self._lines = 0
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("ab")

    async def send(self, records: Sequence[bytes]) -> None:
        """Append each record as a line."""
        for record in records:
            self._file.write(record + b"\n")
            self._lines += 1
            if self._rotate and self._lines % self._rotate == 0 and self._times != 0:
                self._turn()
        self._file.flush()

    def _turn(self) -> None:
        if self._times is not None:
            self._times -= 1
        # Whoever tails the file still holds the renamed one and reads it to its end.
        self._file.close()
        self._path.replace(self._path.with_name(self._path.name + ".1"))
        self._file = self._path.open("ab")

    async def close(self) -> None:
        """Close the file."""
        self._file.close()


class Http:
    """Batches of JSON lines, sent until they are answered; a batch keeps its key, so that a repeat is recognised."""

    def __init__(self, url: str, token: str, name: str) -> None:
        """Posts to `url` with a bearer `token`; `name` begins the batches' keys and is unique to this run."""
        self._url = url
        self._name = name
        self._numbers = itertools.count(1)
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/x-ndjson"}
        self._client = httpx.AsyncClient(headers=headers, timeout=_PATIENCE, trust_env=False)

    async def send(self, records: Sequence[bytes]) -> None:
        """Post one batch; raises httpx.HTTPStatusError when it is refused for good (a wrong token, a bad request)."""
        key = f"{self._name}-{next(self._numbers)}"
        for wait in _waits():
            try:
                answer = await self._client.post(
                    self._url, content=b"\n".join(records) + b"\n", headers={"Idempotency-Key": key}
                )
            except httpx.TransportError as error:
                log.info("%s: %s; trying again", self._url, error or type(error).__name__)
            else:
                if answer.status_code != 429 and answer.status_code < 500:
                    answer.raise_for_status()
                    return
                log.info("%s: answered %d; trying again", self._url, answer.status_code)
            await asyncio.sleep(wait)

    async def close(self) -> None:
        """Close the connection."""
        await self._client.aclose()


def _waits() -> itertools.chain[float]:
    """Seconds between attempts, without end."""
    return itertools.chain((0.1, 0.2, 0.5, 1.0), itertools.repeat(2.0))
