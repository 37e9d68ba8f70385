"""Packets of files or of an interface: flows counted by hand, and names from DNS, TLS and HTTP found by scapy."""

from __future__ import annotations

import asyncio
import glob
import hashlib
import logging
import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import msgspec

from almena.clock import SECOND, Span, now
from almena.errors import ConfigError, ParseError
from almena.event import Event, encode
from collectors import checkpoint
from collectors.base import Common, Raw, Sink, Source
from collectors.dissector import BATCH, Dissector
from collectors.flows import Flows
from collectors.live import Live, interface
from collectors.pcap import Packet, Segment, known_link, packets, segment
from collectors.protocols import Question, Questions

log = logging.getLogger("almena.packets")

_TOGETHER = 1_000  # events handed on at once
_REMEMBERED = 10_000  # captures known as read


@dataclass(kw_only=True)
class Packets(Common):
    """Packets of capture files (pcap, pcapng), such as tcpdump or a firewall writes, or of an interface.

    A file is read once, when it is whole. An interface is read while it lasts, which needs the right CAP_NET_RAW; what
    the kernel throws away because we are busy is counted as drops for `kernel`.
    """

    paths: list[str] = field(default_factory=list)
    """Captures to read; `*`, `?`, `[...]` and `**` name many."""
    interface: str = ""
    """Interface to read, such as `eth1`, instead of files; at the mirror port of a switch it sees what passes there."""
    promiscuous: bool = True
    """Whether an interface also takes what is not addressed to it."""
    receive_buffer: int = 32 << 20
    """Bytes of packets the kernel keeps while we are busy, for an interface; the system may allow less."""
    parser: str = "flow"
    """The parser its records go through; they are events already."""
    settle: Span = field(default_factory=lambda: Span(10 * SECOND))
    """A capture unchanged for so long is whole."""
    poll: Span = field(default_factory=lambda: Span(SECOND))
    """How often to look for more captures."""
    max_flows: int = 65_536
    """Flows counted at once; beyond that the one silent longest is told early."""
    dissect: bool = True
    """Whether to look for names in DNS, TLS and HTTP, beside counting flows."""
    checkpoint: str = ""
    """File that remembers the captures read; `<data>/checkpoints/<name>.json` when empty."""

    def sources(self, name: str) -> Iterable[Source]:
        """One source, named as the collector."""
        return [self.source(name)]

    async def run(self, name: str, sink: Sink) -> None:
        """Read captures as they are whole, until cancelled."""
        if self.interface and self.paths:
            raise ConfigError(f"collectors.{name}: both 'paths' and 'interface'; make two collectors of them")
        if self.interface:
            await self._listen(name, sink)
            return
        if not self.paths:
            raise ConfigError(f"collectors.{name}: paths: names no file, and no 'interface' is given")
        memory = Path(self.checkpoint or f"data/checkpoints/{name}.json")
        done = await asyncio.to_thread(checkpoint.load, memory, list[_Done]) or []
        while True:
            for entry in await asyncio.to_thread(self._whole, {item.key for item in done}):
                await self._read(self.source(name), sink, entry.path)
                done = [*done, entry][-_REMEMBERED:]
                await checkpoint.patiently(partial(checkpoint.save, memory, done))
            await asyncio.sleep(self.poll / SECOND)

    async def _listen(self, name: str, sink: Sink) -> None:
        where = f"collectors.{name}"
        source = replace(self.source(name), resent=False)
        with interface(self.interface, self.receive_buffer, where, promiscuous=self.promiscuous) as sock:
            await Live(source, sink, sock, max_flows=self.max_flows, dissect=self.dissect).run()

    def _whole(self, done: set[tuple[str, int, int]]) -> list[_Done]:
        """Captures that are whole and not read yet, the oldest first."""
        found = []
        for path in {os.path.abspath(path) for pattern in self.paths for path in glob.iglob(pattern, recursive=True)}:  # noqa: PTH100, PTH207
            try:
                status = Path(path).stat()
            except OSError:
                continue
            entry = _Done(path, status.st_size, status.st_mtime_ns)
            settled = now() - status.st_mtime_ns // 1000 >= self.settle
            if stat.S_ISREG(status.st_mode) and settled and entry.key not in done:
                found.append(entry)
        return sorted(found, key=lambda entry: (entry.changed, entry.path))

    async def _read(self, source: Source, sink: Sink, path: str) -> None:
        """Hand on one capture; every record has the same identity when it is read again."""
        capture = Capture(Path(path), max_flows=self.max_flows, dissect=self.dissect)
        found = capture.events()
        damage: Exception | None = None
        try:
            lane = await asyncio.to_thread(_fingerprint, path)
        except OSError as error:
            lane, damage = "", error
        while damage is None:
            batch, damage = await asyncio.to_thread(_next, found)
            if not batch:
                break
            await sink.append(source, _records(batch, lane, path))
        if damage is not None:
            log.error("%s: cannot be read on: %s", path, damage)
            sink.dropped(source, "damaged", 1)
        sink.dropped(source, "dissector", capture.skipped)


def _next(found: Iterator[Numbered]) -> tuple[list[Numbered], Exception | None]:
    """Some events, and what kept more from coming."""
    batch: list[Numbered] = []
    try:
        batch.extend(islice(found, _TOGETHER))
    except (ParseError, OSError) as error:
        return batch, error
    return batch, None


def _records(batch: Iterable[Numbered], lane: str, path: str) -> list[Raw]:
    received, origin = now(), path.encode("utf-8", "backslashreplace").decode()
    return [
        Raw(data=encode(event), lane=f"{lane}.{kind}", seq=number, received=received, origin=origin, place=number)
        for kind, number, event in batch
    ]


class _Done(msgspec.Struct, frozen=True):
    """A capture that was read."""

    path: str
    size: int
    changed: int

    @property
    def key(self) -> tuple[str, int, int]:
        return self.path, self.size, self.changed


class Numbered(NamedTuple):
    """An event with its number among those of its kind: flows are counted, the others have their packet's number."""

    kind: str
    number: int
    event: Event


class Capture:
    """The events of one capture file."""

    def __init__(self, path: Path, *, max_flows: int = 65_536, dissect: bool = True) -> None:
        self.skipped = 0
        """Packets that the dissector hung or died on."""
        self._path = path
        self._flows = Flows(max_flows)
        self._dissect = dissect
        self._told = 0

    def events(self) -> Iterator[Numbered]:
        """Every event; raises ParseError where the file is damaged, after everything before has come."""
        with self._path.open("rb") as file, Dissector() as dissector:
            questions, waiting = Questions(), list[Question]()
            number, damage = 0, None
            try:
                for number, packet in enumerate(packets(file)):
                    cut = self._segment(packet)
                    if cut is None:
                        continue
                    yield from self._numbered(self._flows.add(cut, packet.time))
                    if self._dissect and (question := questions.of(cut, packet.time, number)) is not None:
                        waiting.append(question)
                    if len(waiting) >= BATCH:
                        yield from self._found(dissector, waiting)
            except ParseError as error:
                damage = error
            for question in questions.rest(number + 1):
                waiting.append(question)
                if len(waiting) >= BATCH:
                    yield from self._found(dissector, waiting)
            yield from self._found(dissector, waiting)
            yield from self._numbered(self._flows.flush())
            if damage is not None:
                raise damage

    def _segment(self, packet: Packet) -> Segment | None:
        if not known_link(packet.link):
            raise ParseError(f"link type {packet.link} is not known; capture on an Ethernet or 'any' interface")
        return segment(packet)

    def _numbered(self, flows: Iterable[Event]) -> Iterator[Numbered]:
        for event in flows:
            yield Numbered("f", self._told, event)
            self._told += 1

    def _found(self, dissector: Dissector, waiting: list[Question]) -> Iterator[Numbered]:
        if not waiting:
            return
        found = dissector.find([(question.kind, question.payload) for question in waiting])
        self.skipped = dissector.skipped
        for question, names in zip(waiting, found, strict=True):
            if names is not None:
                yield Numbered("p", question.number, question.event(names))
        waiting.clear()


def events_of(path: Path) -> Iterator[Event]:
    """Every event of a capture file, flows when they end; raises ParseError where it is damaged."""
    for found in Capture(path).events():
        yield found.event


def _fingerprint(path: str) -> str:
    """A name for the capture's content, whatever it is called."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=8)).hexdigest()
