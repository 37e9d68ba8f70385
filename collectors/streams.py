"""Listening for connections: how many, from whom, encrypted or not, for how long, and a stop that loses nothing."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol, SupportsIndex

from almena import metrics
from almena.clock import HOUR, SECOND, Span, now
from almena.errors import ConfigError
from collectors.base import Common, Raw, Source
from collectors.framing import Frame
from collectors.sockets import Lane, Lanes, bound, encrypted, peer, refusal, sender_of

log = logging.getLogger("almena.collect")

_READ = 256 << 10  # bytes taken from a connection at once
_HANDSHAKE = 10.0  # seconds a TLS handshake may take
_LAST_WORDS = 0.5  # seconds in which what is left may be handed over when the collector stops
_FINISH = 2.0  # seconds in which what was taken may still be appended when the collector stops
_CLOSING = 1.0  # seconds in which the last answer may leave
_TELL_EVERY = 60.0
_NO_DESCRIPTOR = 1.0  # seconds to wait when the system has no descriptor for one more connection


@dataclass(kw_only=True)
class Listening(Common):
    """Options of collectors that connections come to."""

    listen: str = "127.0.0.1:5514"
    """Address and port to listen on."""
    certificate: str = ""
    """File with the certificate and its chain, PEM; read again when it changes."""
    key: str = ""
    """File with the certificate's private key, PEM; read again when it changes."""
    clients: str = ""
    """File with the authority whose certificates senders must show, PEM, read again when it changes; empty lets
    everyone in."""
    senders: list[str] = field(default_factory=list)
    """Names of which a sender's certificate must bear one, such as `fw1.finanzas.example` or
    `*.finanzas.example`; empty takes every certificate of the authority."""
    max_line: int = 1 << 20
    """Longest message in bytes; a longer one is cut there and flagged."""
    max_connections: int = 512
    """Connections open at once; beyond, the address with the most of them gives up the one silent for longest."""
    max_connections_per_host: int = 128
    """Connections of one address open at once; more are closed at once."""
    idle_timeout: Span = field(default_factory=lambda: Span(HOUR))
    """A connection that completes no message for so long is closed."""
    address: str = field(default="", init=False)
    """Where it really listens, once it runs."""

    def check(self, where: str) -> None:
        """Raises ConfigError for limits under which nobody could speak."""
        for name in ("max_line", "max_connections", "max_connections_per_host"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{where}: {name}: {getattr(self, name)} lets nothing in; it must be 1 or more")


class Talk(Protocol):
    """What is said on one connection."""

    async def take(self, data: bytes) -> bool:
        """Take what came; returns whether the connection goes on. Raises OSError when it cannot."""

    async def end(self) -> None:
        """The stream has ended, or was ended."""


@dataclass(slots=True, eq=False)
class Connection:
    """One connection: who speaks, and the lane its records go to."""

    origin: str
    host: str
    lane: Lane
    task: asyncio.Task[None]
    reader: _Reader
    writer: asyncio.StreamWriter | None = None
    """Nothing until the handshake is done."""
    sender: str = ""
    """The name on its certificate."""
    completed: int = 0
    """Messages it has completed; whatever takes its bytes counts them."""
    heard: float = field(default_factory=time.monotonic)
    """When it last completed one, as `time.monotonic` counts."""

    def number(self, frames: Iterable[Frame]) -> list[Raw]:
        """The frames as records of this sender."""
        return self.lane.number(frames, now(), self.origin, self.sender)

    def abort(self) -> None:
        """Close at once; what had come is handed on all the same."""
        if self.writer is None:
            self.task.cancel()
        else:
            self.writer.transport.abort()

    def end(self) -> None:
        """Take what had come to its end, and nothing more."""
        transport = self.writer.transport if self.writer else None
        if transport is None:
            self.task.cancel()
        elif isinstance(transport, asyncio.Transport) and not transport.is_closing():
            with contextlib.suppress(OSError, RuntimeError):
                transport.pause_reading()
            self.reader.end()


class Streams:
    """The connections of one listener."""

    def __init__(
        self,
        options: Listening,
        source: Source,
        talk: Callable[[Connection], Talk],
        *,
        tls: bool,
        last_words: float = 0.0,
    ) -> None:
        """`talk` makes what takes the bytes of a connection; `last_words` are the seconds in which senders may still
        speak when the collector stops."""
        self._options = options
        self._source = source
        self._talk = talk
        self._tls = tls
        self._last_words = last_words
        self._lanes = Lanes()
        self._hosts: dict[str, dict[Connection, None]] = {}  # of a host, the one silent for longest comes first
        self._refusals = Refusals(source.name)

    async def run(self, where: str) -> None:
        """Listen until cancelled; raises ConfigError when that cannot be."""
        options = self._options
        options.check(where)
        context = None
        if self._tls:
            context = encrypted(options.certificate, options.key, options.clients, where, senders=options.senders)
        elif options.senders:
            raise ConfigError(f"{where}: 'senders' are names on certificates, and this listener is not encrypted")
        self._secure: dict[str, Any] = {"ssl": context, "ssl_handshake_timeout": _HANDSHAKE} if context else {}
        with bound(socket.SOCK_STREAM, options.listen, where) as sock:
            sock.listen(1024)
            options.address = peer(sock.getsockname())
            async with asyncio.TaskGroup() as group:
                try:
                    await self._accept(group, sock)
                finally:
                    sock.close()
                    await self._end()

    async def _accept(self, group: asyncio.TaskGroup, sock: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                arrived, place = await loop.sock_accept(sock)
            except OSError as error:  # no descriptors left; who is connected goes on
                self._refusals.add("no descriptor", error.strerror or "")
                await asyncio.sleep(_NO_DESCRIPTOR)
                continue
            origin = peer(place)
            host = origin.rpartition(":")[0]
            if self._has_room(host):
                group.create_task(self._serve(arrived, origin, host))
                await asyncio.sleep(0)  # it takes its place before the next comes
            else:
                arrived.close()

    def _has_room(self, host: str) -> bool:
        """Whether one more of that host may come; one of a host that has more than its share may have to go."""
        mine, count = len(self._hosts.get(host, ())), sum(map(len, self._hosts.values()))
        if mine >= self._options.max_connections_per_host:
            self._refusals.add("too many of one address", host)
            return False
        if count < self._options.max_connections:
            return True
        largest = max(self._hosts.values(), key=len)
        if len(largest) <= mine + 1:
            self._refusals.add("too many", host)
            return False
        silent = next(iter(largest))
        self._refusals.add("too many", silent.host)
        self._leave(silent)
        silent.abort()
        return True

    async def _serve(self, sock: socket.socket, origin: str, host: str) -> None:
        task = asyncio.current_task()
        assert task is not None
        with self._lanes.take() as lane:
            connection = Connection(origin, host, lane, task, _Reader(limit=_READ))
            self._hosts.setdefault(host, {})[connection] = None
            try:
                if await self._open(connection, sock):
                    await self._converse(connection)
                    await _close(connection)
            finally:
                self._leave(connection)
                if connection.writer is not None:
                    connection.writer.transport.abort()

    async def _open(self, connection: Connection, sock: socket.socket) -> bool:
        """Begin, with a handshake where there is to be one; returns whether that came about."""
        loop = asyncio.get_running_loop()
        protocol = _Protocol(connection.reader)
        try:
            transport, _ = await loop.connect_accepted_socket(lambda: protocol, sock, **self._secure)
        except OSError as error:
            self._refusals.add(refusal(error), connection.origin, error)
            return False
        except BaseException:
            sock.close()
            raise
        connection.writer = asyncio.StreamWriter(transport, protocol, connection.reader, loop)
        connection.sender = sender_of(transport.get_extra_info("peercert"))
        return protocol.made  # also where the sender is gone by now: what it said is here

    async def _converse(self, connection: Connection) -> None:
        """Let it speak until it ends, fails, or completes nothing for too long."""
        talk = self._talk(connection)
        patience = self._options.idle_timeout / SECOND
        completed = 0
        try:
            going = True
            while going:
                async with asyncio.timeout_at(connection.heard + patience):
                    data = await connection.reader.read(_READ)
                if not data:
                    break
                going = await talk.take(data)
                if connection.completed != completed:
                    completed = connection.completed
                    self._heard(connection)
        except OSError as error:  # reset, timed out, or no TLS any more
            log.info("%s: %s: %s", self._source.name, connection.origin, error or "silent for too long")
        except asyncio.CancelledError:
            await self._rest(connection, talk)
            raise
        await talk.end()

    async def _rest(self, connection: Connection, talk: Talk) -> None:
        """Hand over what is here and nobody could take until now, of senders that will not send it again."""
        if self._source.resent or not connection.reader.ended:
            return
        rest = await connection.reader.read()
        for step in (lambda: talk.take(rest), talk.end):
            with contextlib.suppress(OSError):
                async with asyncio.timeout(_LAST_WORDS):
                    await step()

    def _heard(self, connection: Connection) -> None:
        connection.heard = time.monotonic()
        host = self._hosts.get(connection.host, {})
        if connection in host:
            del host[connection]
            host[connection] = None

    def _leave(self, connection: Connection) -> None:
        host = self._hosts.get(connection.host, {})
        host.pop(connection, None)
        if not host:
            self._hosts.pop(connection.host, None)

    async def _end(self) -> None:
        """Let connections speak for a moment, then take what has come and close them."""
        connections = [connection for host in self._hosts.values() for connection in host]
        tasks = [connection.task for connection in connections]
        if not tasks:
            return
        await asyncio.wait(tasks, timeout=self._last_words)
        for connection in connections:
            connection.end()
        await asyncio.wait(tasks, timeout=_FINISH)


async def _close(connection: Connection) -> None:
    """Let the last answer leave, and the sender know that it was the last."""
    assert connection.writer is not None
    with contextlib.suppress(OSError):
        connection.writer.close()
        async with asyncio.timeout(_CLOSING):
            await connection.writer.wait_closed()


class _Protocol(asyncio.StreamReaderProtocol):
    """Knows whether the connection ever came about."""

    made = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by the transport."""
        self.made = True
        super().connection_made(transport)


class _Reader(asyncio.StreamReader):
    """A stream that can be ended from this side."""

    ended = False

    def end(self) -> None:
        """What comes from now on is not taken."""
        self.ended = True
        self.feed_eof()

    def feed_data(self, data: Iterable[SupportsIndex]) -> None:
        """Called by the transport."""
        if not self.ended:
            super().feed_data(data)


class Refusals:
    """Connections that were refused: all are counted, and each reason is told once a minute."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._untold: Counter[str] = Counter()
        self._told: dict[str, float] = {}

    def add(self, reason: str, who: str, why: object = "") -> None:
        """Count one; `reason` is one of a fixed set, `why` says more."""
        metrics.CONNECTIONS_REFUSED.labels(self._source, reason).inc()
        self._untold[reason] += 1
        moment = time.monotonic()
        if moment - self._told.get(reason, -_TELL_EVERY) >= _TELL_EVERY:
            self._told[reason] = moment
            count = self._untold.pop(reason)
            log.warning("%s: %d connections refused, last %s: %s %s", self._source, count, who, reason, why or "")
