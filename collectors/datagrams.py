"""Datagrams of a socket as records: taken as fast as they come, shared fairly among senders, counted when lost."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import struct
import time
import zlib
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import TypeAlias

from almena.clock import now
from almena.errors import ConfigError
from collectors.base import Raw, Sink, Source
from collectors.framing import Frame
from collectors.quota import Backlog
from collectors.sockets import Lanes, bound, peer

log = logging.getLogger("almena.collect")

_LAST_WORDS = 0.5  # seconds in which the kernel is emptied when the collector stops, and what waits is handed on
_DATAGRAM = 65_535
_TURN = 1_000  # datagrams drained before other collectors get a turn
_BATCH = 2_000  # datagrams handed on at once
_OVERHEAD = 400  # bytes a datagram needs beside its own, roughly
_LEAST_BACKLOG = 1 << 20
_WORTH_TELLING = 0.5  # of the backlog: below, nobody needs to watch it
_LANES = 8  # hosts are spread over so many lanes, and keep their order
_SO_RCVBUFFORCE = 33  # Linux: beyond net.core.rmem_max, for who may
_SO_MEMINFO, _MEMINFO = 55, struct.Struct("9I")  # Linux: counters of a socket, the last are datagrams thrown away
_COUNT_EVERY = 1.0

Waiting: TypeAlias = tuple[bytes, tuple[str, int], int]
"""A datagram, where it came from, and when."""


def listening(listen: str, receive_buffer: int, where: str) -> socket.socket:
    """A bound socket with so many bytes of buffer, or as many as the system gives; raises ConfigError."""
    if receive_buffer < 1:
        raise ConfigError(f"{where}: receive_buffer: {receive_buffer} is no number of bytes")
    sock = bound(socket.SOCK_DGRAM, listen, where)
    size = min(receive_buffer, 2**30)
    try:
        sock.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, size)
    except OSError:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, size)
    given = sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) // 2
    if given < size:
        log.warning("%s: the system gives %d of %d bytes; raise net.core.rmem_max", where, given, size)
    return sock


class Datagrams:
    """One UDP socket: drained in the event loop's own thread, since nothing else keeps up with a flood.

    The kernel is emptied whatever happens behind; what cannot be handed on at once waits, by sender, and when there
    is no room the largest sender loses its newest (`quota`), counted and reported as a flood. Who makes more of a
    datagram than one record overrides `take`, and `count` where there is more to count.
    """

    def __init__(
        self, source: Source, sink: Sink, sock: socket.socket, *, backlog: int, cut: Callable[[bytes], Frame]
    ) -> None:
        """`backlog` bytes may wait; `cut` makes a message of a datagram, of nothing where it holds none."""
        self.source = source
        self.sink = sink
        self.backlog: Backlog[Waiting] = Backlog(max(backlog, _LEAST_BACKLOG))
        self._sock = sock
        self._cut = cut
        self._loop = asyncio.get_running_loop()
        lanes = Lanes()
        self._open = contextlib.ExitStack()
        self._lanes = [self._open.enter_context(lanes.take()) for _ in range(_LANES)]
        self._arrived = asyncio.Event()
        self._lost = _lost(sock)

    async def run(self) -> None:
        """Receive until cancelled, then hand on what had arrived."""
        self._loop.add_reader(self._sock, self._drain)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._hand_on())
                group.create_task(self._count_on())
        finally:
            self._loop.remove_reader(self._sock)
            deadline = time.monotonic() + _LAST_WORDS
            while self._drain() and time.monotonic() < deadline:
                pass
            self.count()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LAST_WORDS):
                    if rest := self.rest():
                        await self.sink.append(self.source, rest)

    def _drain(self) -> bool:
        """Take what the kernel has, up to a turn; returns whether there may be more."""
        received = now()
        receive, put = self._sock.recvfrom, self.backlog.put
        gone, more = 0, True
        for _ in range(_TURN):
            try:
                data, place = receive(_DATAGRAM)
            except BlockingIOError:
                more = False
                break
            gone += put(place[0], (data, place, received), len(data) + _OVERHEAD)
        share = self.backlog.size / self.backlog.bound
        if gone or share >= _WORTH_TELLING:
            self.sink.dropped(self.source, "quota", gone)
            self.sink.filled(self.source, 1.0 if gone else share, lost=gone, sender=self.backlog.largest())
        self._arrived.set()
        return more

    async def _hand_on(self) -> None:
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            while self.backlog:
                if batch := self.take(_BATCH):
                    await self.sink.append(self.source, batch)

    def take(self, limit: int) -> list[Raw]:
        """Records of at most so many datagrams that wait."""
        records: list[Raw] = []
        empty = 0
        for data, place, received in self.backlog.take(limit):
            text, truncated = self._cut(data)
            if text:
                origin, number = _sender(place[0], place[1])
                records.append(self._lanes[number].record(text, received, origin, truncated))
            else:
                empty += 1
        if empty:
            self.sink.dropped(self.source, "empty", empty)
        return records

    def rest(self) -> list[Raw]:
        """Records of all that waits, at the end."""
        return self.take(self.backlog.size)

    def number(self, frames: Iterable[Frame], place: tuple[str, int], received: int) -> list[Raw]:
        """Records from that place, numbered on."""
        origin, number = _sender(place[0], place[1])
        return self._lanes[number].number(frames, received, origin)

    async def _count_on(self) -> None:
        while True:
            await asyncio.sleep(_COUNT_EVERY)
            self.count()

    def count(self) -> None:
        """Tell of what is lost; asked every second, and at the end."""
        before, self._lost = self._lost, _lost(self._sock)
        if self._lost != before:
            self.sink.dropped(self.source, "kernel", (self._lost - before) % 2**32)


@lru_cache(maxsize=4096)
def _sender(host: str, port: int) -> tuple[str, int]:
    """A sender's name and lane."""
    return peer((host, port)), zlib.crc32(host.encode()) % _LANES


def _lost(sock: socket.socket) -> int:
    """How many datagrams the kernel has thrown away on this socket; 0 where it does not say."""
    try:
        return int(_MEMINFO.unpack(sock.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, _MEMINFO.size))[8])
    except (OSError, struct.error):
        return 0
