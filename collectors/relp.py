"""RELP, the protocol by which rsyslog hands messages over and is told, one by one, that they are safe.

Every `syslog` command is answered `200 OK` once its message is durable. The protocol is at-least-once: a client whose
connection broke before it was answered sends the message again, under another number, and it may then stand twice.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from almena import __version__
from collectors.base import Sink, Source
from collectors.framing import Frame
from collectors.relpframes import Command, Frames, response
from collectors.streams import Connection, Listening, Refusals, Streams

_GOODBYE = b"0 serverclose 0\n"
_PATIENCE = 30.0  # seconds a client may take to read what it is answered


@dataclass(kw_only=True)
class Relp(Listening):
    """Syslog messages by RELP, as rsyslog's `omrelp` sends them: each is acknowledged once it is stored.

    With a certificate only TLS is spoken. A message whose acknowledgement was lost with its connection comes again.
    """

    listen: str = "127.0.0.1:2514"
    """Address and port to listen on."""

    def sources(self, name: str) -> Iterable[Source]:
        """One source, named as the collector."""
        return [self.source(name)]

    async def run(self, name: str, sink: Sink) -> None:
        """Listen until cancelled."""
        source = self.source(name)
        refusals = Refusals(name)
        tls = bool(self.certificate or self.key or self.clients)
        await Streams(
            self, source, lambda connection: _Session(connection, source, sink, self.max_line, refusals), tls=tls
        ).run(f"collectors.{name}")


class _Session:
    """One client's session: `open`, any number of `syslog`, `close`."""

    def __init__(self, connection: Connection, source: Source, sink: Sink, limit: int, refusals: Refusals) -> None:
        self._connection = connection
        self._source = source
        self._sink = sink
        self._refusals = refusals
        self._frames = Frames(limit)
        self._is_open = False
        self._is_over = False

    async def take(self, data: bytes) -> bool:
        """Store what has come, then answer; returns whether the session goes on."""
        commands = self._frames.feed(data)
        self._connection.completed += len(commands)
        messages: list[Command] = []
        for command in commands:
            if command.name == b"syslog" and self._is_open:
                messages.append(command)
                continue
            await self._store(messages)
            messages = []
            await self._answer(command)
            if self._is_over:
                return False
        await self._store(messages)
        if self._frames.broken:
            self._refusals.add("no RELP", self._connection.origin, self._frames.broken)
        return not self._frames.broken

    async def end(self) -> None:
        """Tell a client that still listens that the server goes."""
        writer = self._connection.writer
        if self._is_open and not self._is_over and writer is not None and not writer.transport.is_closing():
            with contextlib.suppress(OSError):
                await self._send(_GOODBYE)

    async def _store(self, messages: Sequence[Command]) -> None:
        """Append messages, and answer each once all of them are durable."""
        if not messages:
            return
        frames = [Frame(each.data.rstrip(b"\r\n\0"), each.truncated) for each in messages]
        records = self._connection.number(frame for frame in frames if frame.data)
        if empty := len(frames) - len(records):
            self._sink.dropped(self._source, "empty", empty)
        if records:
            await self._sink.append(self._source, records)
        await self._send(b"".join(response(each.number) for each in messages))

    async def _answer(self, command: Command) -> None:
        if command.name == b"open" and not self._is_open and _offers_syslog(command.data):
            self._is_open = True
            offers = f"200 OK\nrelp_version=0\nrelp_software=almena,{__version__}\ncommands=syslog"
            await self._send(response(command.number, offers.encode()))
        elif command.name == b"close" and self._is_open:
            self._is_over = True
            await self._send(response(command.number, b"") + _GOODBYE)
        elif self._is_open and command.name != b"open":
            await self._send(response(command.number, b"500 unknown command"))
        else:  # nothing that follows would be understood
            self._is_over = True
            self._refusals.add("no session", self._connection.origin)
            await self._send(response(command.number, b"500 a session begins with one open that offers syslog"))

    async def _send(self, data: bytes) -> None:
        writer = self._connection.writer
        assert writer is not None
        writer.write(data)
        async with asyncio.timeout(_PATIENCE):
            await writer.drain()


def _offers_syslog(offers: bytes) -> bool:
    """Whether a client's offers name the one command that matters."""
    for line in offers.splitlines():
        name, _, value = line.partition(b"=")
        if name.strip() == b"commands":
            return b"syslog" in [command.strip() for command in value.split(b",")]
    return False
