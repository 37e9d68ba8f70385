"""Syslog over UDP, TCP and TLS: datagrams, octet-counted messages and lines (RFC 5426, 6587, 5425)."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import struct
import time
import zlib
from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Literal

from almena.clock import HOUR, SECOND, Span, now
from almena.errors import ConfigError
from collectors.base import Common, Raw, Sink, Source
from collectors.framing import Frame, Framer
from collectors.sockets import Lane, Lanes, bound, encrypted, peer

log = logging.getLogger("almena.syslog")

_READ = 256 << 10  # bytes taken from a connection at once
_HANDSHAKE = 10.0  # seconds a TLS handshake may take
_LAST_WORDS = 0.5  # seconds in which connections may still speak when the collector stops
_DATAGRAM = 65_535
_TURN = 500  # datagrams drained before other collectors get a turn
_BATCH = 2_000  # datagrams handed on at once
_BACKLOG_RECORDS, _BACKLOG_BYTES = 50_000, 32 << 20  # beyond these, datagrams wait in the kernel, which counts drops
_UDP_LANES = 8  # hosts are spread over so many lanes, and keep their order
_SO_MEMINFO, _MEMINFO = 55, struct.Struct("9I")  # Linux: counters of a socket, the last are datagrams thrown away
_COUNT_EVERY = 1.0


@dataclass(kw_only=True)
class Syslog(Common):
    """Syslog messages from the network; the sender cannot be told what arrived, so what is lost is counted."""

    listen: str = "127.0.0.1:5514"
    """Address and port to listen on."""
    transport: Literal["udp", "tcp", "tls"] = "udp"
    """How messages come: one per datagram, or in a stream."""
    certificate: str = ""
    """For tls: file with the certificate and its chain, PEM."""
    key: str = ""
    """For tls: file with the certificate's private key, PEM."""
    clients: str = ""
    """For tls: file with the authority whose certificates senders must show, PEM; empty lets everyone in."""
    max_line: int = 1 << 20
    """Longest message in bytes; a longer one is cut there and flagged."""
    max_connections: int = 512
    """Connections open at once; more are closed at once."""
    max_connections_per_host: int = 128
    """Connections of one address open at once, so that one sender cannot shut out the others."""
    idle_timeout: Span = field(default_factory=lambda: Span(HOUR))
    """A connection silent for so long is closed."""
    receive_buffer: int = 8 << 20
    """Bytes the kernel keeps for udp while we are busy; the system may allow less."""
    address: str = field(default="", init=False)
    """Where it really listens, once it runs."""

    def sources(self, name: str) -> Iterable[Source]:
        """One source, named as the collector."""
        return [self.source(name)]

    async def run(self, name: str, sink: Sink) -> None:
        """Listen until cancelled."""
        where = f"collectors.{name}"
        source = replace(self.source(name), resent=False)
        if self.transport == "udp":
            with bound(socket.SOCK_DGRAM, self.listen, where) as sock:
                self.address = peer(sock.getsockname())
                _grow(sock, self.receive_buffer, where)
                await _Datagrams(source, sink, sock, self.max_line).run()
            return
        context = encrypted(self.certificate, self.key, self.clients, where) if self.transport == "tls" else None
        with bound(socket.SOCK_STREAM, self.listen, where) as sock:
            self.address = peer(sock.getsockname())
            streams = _Streams(self, source, sink)
            handshake = _HANDSHAKE if context else None
            async with asyncio.TaskGroup() as group:
                server = await asyncio.start_server(
                    lambda reader, writer: streams.accept(group, reader, writer),
                    sock=sock,
                    limit=_READ,
                    backlog=1024,
                    ssl=context,
                    ssl_handshake_timeout=handshake,
                )
                try:
                    await asyncio.Event().wait()
                finally:
                    server.close()


class _Streams:
    """The connections of one listener."""

    def __init__(self, options: Syslog, source: Source, sink: Sink) -> None:
        self._options = options
        self._source = source
        self._sink = sink
        self._lanes = Lanes()
        self._hosts: Counter[str] = Counter()
        self._refused = 0
        self._told = 0.0

    def accept(self, group: asyncio.TaskGroup, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve a new connection, unless there are too many."""
        origin = peer(writer.get_extra_info("peername"))
        host = origin.rpartition(":")[0]
        options = self._options
        full = self._hosts.total() >= options.max_connections
        if full or self._hosts[host] >= options.max_connections_per_host:
            writer.transport.abort()
            self._refuse(host)
            return
        serving = self._serve(reader, writer, origin, host)
        try:
            group.create_task(serving)
        except RuntimeError:  # the group is closing, and so are we
            serving.close()
            writer.transport.abort()
            return
        self._hosts[host] += 1

    def _refuse(self, host: str) -> None:
        self._refused += 1
        if time.monotonic() - self._told >= 60:
            log.warning("%s: too many connections: %d refused, last %s", self._source.name, self._refused, host)
            self._told, self._refused = time.monotonic(), 0

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, origin: str, host: str) -> None:
        framer = Framer(self._options.max_line)
        with self._lanes.take() as lane:
            try:
                await self._receive(reader, framer, lane, origin)
            except asyncio.CancelledError:
                with contextlib.suppress(OSError, asyncio.TimeoutError):
                    async with asyncio.timeout(_LAST_WORDS):
                        await self._receive(reader, framer, lane, origin)
                await self._rest(reader, writer, framer, lane, origin)
                raise
            except OSError as error:  # reset, timed out, or no TLS any more
                log.info("%s: %s: %s", self._source.name, origin, error or "silent for too long")
            else:
                return
            finally:
                writer.transport.abort()
                self._hosts[host] -= 1
                if not self._hosts[host]:
                    del self._hosts[host]
            await self._hand_on(framer.end(), lane, origin)

    async def _receive(self, reader: asyncio.StreamReader, framer: Framer, lane: Lane, origin: str) -> None:
        """Hand on until the stream ends."""
        patience = self._options.idle_timeout / SECOND
        while True:
            async with asyncio.timeout(patience):
                data = await reader.read(_READ)
            frames = framer.feed(data) if data else framer.end()
            await self._hand_on(frames, lane, origin)
            if not data:
                return

    async def _rest(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, framer: Framer, lane: Lane, origin: str
    ) -> None:
        """Hand on what had arrived when the collector was stopped."""
        transport = writer.transport
        assert isinstance(transport, asyncio.Transport)
        with contextlib.suppress(OSError, RuntimeError):
            transport.pause_reading()
            reader.feed_eof()
            frames = framer.feed(await reader.read()) + framer.end()
            async with asyncio.timeout(_LAST_WORDS):
                await self._hand_on(frames, lane, origin)

    async def _hand_on(self, frames: list[Frame], lane: Lane, origin: str) -> None:
        if frames:
            await self._sink.append(self._source, lane.number(frames, now(), origin))


class _Datagrams:
    """One UDP socket: drained in the event loop's own thread, since nothing else keeps up with a flood."""

    def __init__(self, source: Source, sink: Sink, sock: socket.socket, limit: int) -> None:
        self._source = source
        self._sink = sink
        self._sock = sock
        self._limit = limit
        self._loop = asyncio.get_running_loop()
        lanes = Lanes()
        self._open = contextlib.ExitStack()
        self._lanes = [self._open.enter_context(lanes.take()) for _ in range(_UDP_LANES)]
        self._backlog: deque[tuple[bytes, tuple[str, int], int]] = deque()
        self._bytes = 0
        self._arrived = asyncio.Event()
        self._reading = False
        self._lost = _lost(sock)

    async def run(self) -> None:
        """Receive until cancelled, then hand on what had arrived."""
        self._read(True)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._hand_on())
                group.create_task(self._count())
        finally:
            self._read(False)
            deadline = time.monotonic() + _LAST_WORDS
            while self._drain() and time.monotonic() < deadline:
                pass
            self._count_lost()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LAST_WORDS):
                    await self._sink.append(self._source, self._take(len(self._backlog)))

    def _read(self, on: bool) -> None:
        if on and not self._reading:
            self._loop.add_reader(self._sock, self._drain)
        elif self._reading and not on:
            self._loop.remove_reader(self._sock)
        self._reading = on

    def _drain(self) -> bool:
        """Take what the kernel has, up to a turn; returns whether there may be more."""
        received = now()
        empty, more = 0, True
        for _ in range(_TURN):
            try:
                data, place = self._sock.recvfrom(_DATAGRAM)
            except BlockingIOError:
                more = False
                break
            if data:
                self._backlog.append((data, place, received))
                self._bytes += len(data)
            else:
                empty += 1
        if empty:
            self._sink.dropped(self._source, "empty", empty)
        if len(self._backlog) >= _BACKLOG_RECORDS or self._bytes >= _BACKLOG_BYTES:
            self._read(False)
        self._arrived.set()
        return more

    async def _hand_on(self) -> None:
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            while self._backlog:
                batch = self._take(_BATCH)
                self._read(True)
                await self._sink.append(self._source, batch)

    def _take(self, limit: int) -> list[Raw]:
        records: list[Raw] = []
        while self._backlog and len(records) < limit:
            data, place, received = self._backlog.popleft()
            self._bytes -= len(data)
            origin, number = _sender(place[0], place[1])
            frame = Frame(data[: self._limit].rstrip(b"\r\n\0"), len(data) > self._limit)
            records += self._lanes[number].number([frame], received, origin)
        return records

    async def _count(self) -> None:
        while True:
            await asyncio.sleep(_COUNT_EVERY)
            self._count_lost()

    def _count_lost(self) -> None:
        before, self._lost = self._lost, _lost(self._sock)
        if self._lost != before:
            self._sink.dropped(self._source, "kernel", (self._lost - before) % 2**32)


@lru_cache(maxsize=4096)
def _sender(host: str, port: int) -> tuple[str, int]:
    """A sender's name and lane."""
    return peer((host, port)), zlib.crc32(host.encode()) % _UDP_LANES


def _lost(sock: socket.socket) -> int:
    """How many datagrams the kernel has thrown away on this socket; 0 where it does not say."""
    try:
        return int(_MEMINFO.unpack(sock.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, _MEMINFO.size))[8])
    except (OSError, struct.error):
        return 0


def _grow(sock: socket.socket, size: int, where: str) -> None:
    """Ask for a receive buffer, and say when the system gives less."""
    if size < 1:
        raise ConfigError(f"{where}: receive_buffer: {size} is no number of bytes")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, min(size, 2**30))
    given = sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) // 2
    if given < size:
        log.warning("%s: the system gives %d of %d bytes; raise net.core.rmem_max", where, given, size)
