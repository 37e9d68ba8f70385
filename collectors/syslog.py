"""Syslog over UDP, TCP and TLS: datagrams, octet-counted messages and lines (RFC 5426, 6587, 5425)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

from almena.errors import ConfigError
from collectors.base import Sink, Source
from collectors.datagrams import Datagrams, listening
from collectors.framing import Frame, Framer
from collectors.sockets import peer
from collectors.streams import Connection, Listening, Streams

_LAST_WORDS = 0.5  # seconds in which connections may still speak when the collector stops


@dataclass(kw_only=True)
class Syslog(Listening):
    """Syslog messages from the network; the sender cannot be told what arrived, so what is lost is counted.

    Over udp, `certificate`, `key`, `clients`, `senders` and the limits of connections mean nothing.
    """

    transport: Literal["udp", "tcp", "tls"] = "udp"
    """How messages come: one per datagram, or in a stream."""
    receive_buffer: int = 8 << 20
    """Bytes the kernel keeps for udp while we are busy; the system may allow less."""
    backlog: int = 64 << 20
    """Bytes of udp messages that may wait in the process; when it is full, the address of which most waits loses its
    newest, counted as drops for `quota`. From nine tenths on a flood is announced."""

    def sources(self, name: str) -> Iterable[Source]:
        """One source, named as the collector."""
        return [self.source(name)]

    async def run(self, name: str, sink: Sink) -> None:
        """Listen until cancelled."""
        where = f"collectors.{name}"
        source = replace(self.source(name), resent=False)
        if self.transport != "udp":
            await Streams(
                self,
                source,
                lambda connection: _Lines(connection, source, sink, self.max_line),
                tls=self.transport == "tls",
                last_words=_LAST_WORDS,
            ).run(where)
            return
        self.check(where)
        if self.senders or self.clients:
            raise ConfigError(f"{where}: over udp nobody shows a certificate; 'clients' and 'senders' need tls")
        with listening(self.listen, self.receive_buffer, where) as sock:
            self.address = peer(sock.getsockname())
            await Datagrams(source, sink, sock, backlog=self.backlog, cut=self._cut).run()

    def _cut(self, data: bytes) -> Frame:
        return Frame(data[: self.max_line].rstrip(b"\r\n\0"), len(data) > self.max_line)


class _Lines:
    """What one connection says."""

    def __init__(self, connection: Connection, source: Source, sink: Sink, limit: int) -> None:
        self._connection = connection
        self._source = source
        self._sink = sink
        self._framer = Framer(limit)

    async def take(self, data: bytes) -> bool:
        """Hand on what is complete; a stream goes on for as long as it is held open."""
        await self._hand_on(self._framer.feed(data))
        return True

    async def end(self) -> None:
        """Hand on what is left."""
        await self._hand_on(self._framer.end())

    async def _hand_on(self, frames: list[Frame]) -> None:
        if frames:
            self._connection.completed += len(frames)
            await self._sink.append(self._source, self._connection.number(frames))
