"""Packets of an interface as they pass: counted into flows at once, looked into as far as there is time."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import struct
import time
from collections import deque
from collections.abc import Iterable

from almena import metrics
from almena.clock import format_time, now
from almena.errors import ConfigError
from almena.event import Event, encode
from collectors.base import Sink, Source
from collectors.dissector import BATCH, LONGEST, Dissector, Found
from collectors.flows import Flows
from collectors.framing import Frame
from collectors.pcap import Packet, segment
from collectors.protocols import Question, Questions
from collectors.sockets import Lanes

log = logging.getLogger("almena.packets")

_IP = 101  # link type: what a packet socket gives without the link's own header
_EVERYTHING = 3  # ETH_P_ALL
_KEPT = LONGEST + 128  # bytes of a packet that are read
_TURN = 1_000  # packets taken before other collectors get a turn
_BATCH = 2_000  # events handed on at once
_READY = 50_000  # events that wait; beyond that packets wait in the kernel, which counts what it throws away
_ASKED = 2_000  # packets that wait to be looked into; beyond that they are counted and not looked into
_COUNT_EVERY = 1.0
_LAST_WORDS = 0.5  # seconds in which what has arrived is still read when the collector stops
_SOL_PACKET, _ADD_MEMBERSHIP, _STATISTICS, _PROMISCUOUS = 263, 1, 6, 1
_SO_RCVBUFFORCE = 33
_OUTGOING, _LOOPBACK = 4, 772
_COUNTERS, _MEMBERSHIP = struct.Struct("II"), struct.Struct("IHH8s")


def interface(name: str, receive_buffer: int, where: str, *, promiscuous: bool = True) -> socket.socket:
    """A socket that gets every packet of an interface; raises ConfigError saying why there is none."""
    if receive_buffer < 1:
        raise ConfigError(f"{where}: receive_buffer: {receive_buffer} is no number of bytes")
    family = getattr(socket, "AF_PACKET", None)
    if family is None:
        raise ConfigError(f"{where}: interface: this system has no packet sockets; read files by 'paths'")
    try:
        index = socket.if_nametoindex(name)
    except OSError:
        known = ", ".join(found for _, found in socket.if_nameindex())
        raise ConfigError(f"{where}: interface: there is no {name!r} here, but {known}") from None
    try:
        sock = socket.socket(family, socket.SOCK_DGRAM, socket.htons(_EVERYTHING))
    except PermissionError:
        told = "needs the right CAP_NET_RAW (AmbientCapabilities=CAP_NET_RAW in a unit of systemd)"
        raise ConfigError(f"{where}: interface: {told}, or read files by 'paths'") from None
    try:
        sock.setblocking(False)
        size = min(receive_buffer, 2**30)
        try:
            sock.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, size)
        except OSError:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, size)
        sock.bind((name, _EVERYTHING))
        if promiscuous:
            sock.setsockopt(_SOL_PACKET, _ADD_MEMBERSHIP, _MEMBERSHIP.pack(index, _PROMISCUOUS, 0, b""))
    except OSError as error:
        sock.close()
        raise ConfigError(f"{where}: interface: cannot read {name}: {error.strerror or error}") from None
    return sock


class Live:
    """Reads one interface. Flows are told when they are over, with that as their `@timestamp`."""

    def __init__(self, source: Source, sink: Sink, sock: socket.socket, *, max_flows: int, dissect: bool) -> None:
        self._source = source
        self._sink = sink
        self._sock = sock
        self._name = sock.getsockname()[0]
        self._flows = Flows(max_flows)
        self._questions = Questions() if dissect else None
        self._asked: deque[Question] = deque()
        self._ready: deque[Event] = deque()
        self._arrived, self._wanted = asyncio.Event(), asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._reading = False
        self._packets = 0
        self._unasked = 0
        self._open = contextlib.ExitStack()
        self._lane = self._open.enter_context(Lanes().take())

    async def run(self) -> None:
        """Read until cancelled, then tell of all flows there are."""
        self._read(True)
        try:
            with Dissector() as dissector:
                async with asyncio.TaskGroup() as group:
                    group.create_task(self._hand_on())
                    group.create_task(self._look_on())
                    group.create_task(self._ask(dissector))
        finally:
            self._read(False)
            deadline = time.monotonic() + _LAST_WORDS
            while self._drain() and time.monotonic() < deadline:
                pass
            self._tell(self._flows.flush())
            self._unasked += len(self._asked)
            self._count()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LAST_WORDS):
                    await self._append(len(self._ready))

    def _read(self, on: bool) -> None:
        if on and not self._reading:
            self._loop.add_reader(self._sock, self._drain)
        elif self._reading and not on:
            self._loop.remove_reader(self._sock)
        self._reading = on

    def _drain(self) -> bool:
        """Take what the kernel has, up to a turn; returns whether there may be more."""
        receive, add = self._sock.recvfrom, self._flows.add
        for _ in range(_TURN):
            try:
                data, place = receive(_KEPT)
            except BlockingIOError:
                return False
            except OSError as error:  # the interface went down; it may come back
                log.warning("%s: %s: %s", self._source.name, self._name, error)
                return False
            if place[2] == _OUTGOING and place[3] == _LOOPBACK:
                continue  # comes back as incoming
            moment = now()
            self._packets += 1
            cut = segment(Packet(moment, _IP, data))
            if cut is not None:
                for event in add(cut, moment):
                    self._tell((event,))
                if self._questions is not None and cut.payload:
                    self._ask_about(self._questions.of(cut, moment, self._packets))
        if len(self._ready) >= _READY:
            self._read(False)
        return True

    def _tell(self, flows: Iterable[Event]) -> None:
        """Let flows wait to be handed on: told now, for their end may lie back further than events may be late."""
        moment = format_time(now())
        for event in flows:
            event["@timestamp"] = moment
            self._put(event)

    def _put(self, event: Event) -> None:
        event["observer.ingress.interface.name"] = self._name
        self._ready.append(event)
        self._arrived.set()

    def _ask_about(self, question: Question | None) -> None:
        if question is None:
            return
        if len(self._asked) >= _ASKED:
            self._unasked += 1
            return
        self._asked.append(question)
        self._wanted.set()

    async def _ask(self, dissector: Dissector) -> None:
        """Look into packets, in a thread: the process that does it may take its time, or hang."""
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            while self._asked:
                batch = [self._asked.popleft() for _ in range(min(BATCH, len(self._asked)))]
                before = dissector.skipped
                for question, found in zip(batch, await _find(dissector, batch), strict=True):
                    if found is not None:
                        self._put(question.event(found))
                self._unasked += dissector.skipped - before

    async def _hand_on(self) -> None:
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            while self._ready:
                await self._append(_BATCH)
                self._read(True)

    async def _append(self, limit: int) -> None:
        frames = [Frame(encode(self._ready.popleft()), False) for _ in range(min(limit, len(self._ready)))]
        if frames:
            await self._sink.append(self._source, self._lane.number(frames, now(), ""))

    async def _look_on(self) -> None:
        """Every second: flows that are over, and what was lost."""
        while True:
            await asyncio.sleep(_COUNT_EVERY)
            self._tell(self._flows.expire(now()))
            self._count()

    def _count(self) -> None:
        """Tell what came and what the kernel threw away since it was asked before."""
        seen, lost = _COUNTERS.unpack(self._sock.getsockopt(_SOL_PACKET, _STATISTICS, _COUNTERS.size))
        name = self._source.name
        metrics.CAPTURE_PACKETS.labels(name).inc(seen - lost)
        metrics.CAPTURE_LOSS.labels(name).set(lost / seen if seen else 0.0)
        if lost:
            self._sink.dropped(self._source, "kernel", lost)
            self._sink.filled(self._source, 1.0, lost=lost, sender=self._name)
        self._sink.dropped(self._source, "dissector", self._unasked)
        self._unasked = 0


async def _find(dissector: Dissector, batch: list[Question]) -> list[Found | None]:
    """What is in each; whoever is cancelled meanwhile waits for the thread, which would start the process again."""
    questions = [(question.kind, question.payload) for question in batch]
    future = asyncio.ensure_future(asyncio.to_thread(dissector.find, questions))
    try:
        return await asyncio.shield(future)
    except asyncio.CancelledError:
        await asyncio.wait([future])
        raise
