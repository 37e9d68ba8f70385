"""Captured packets: flows counted by hand, and names from DNS, TLS and HTTP found by scapy in its own process."""

from __future__ import annotations

import asyncio
import glob
import hashlib
import ipaddress
import logging
import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
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
from collectors.dissector import BATCH, Dissector, Found
from collectors.flows import End, Flows, ends
from collectors.pcap import TCP, Packet, Segment, known_link, packets, segment

log = logging.getLogger("almena.packets")

_TOGETHER = 1_000  # events handed on at once
_REMEMBERED = 10_000  # captures known as read
_METHODS = (b"GET ", b"POST ", b"HEAD ", b"PUT ", b"DELETE ", b"OPTIONS ", b"PATCH ", b"CONNECT ", b"TRACE ")
_CODES = ("NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED", "YXDOMAIN", "YXRRSET", "NXRRSET")
_VERSIONS = {0x0300: ("ssl", "3.0"), 0x0301: ("tls", "1.0"), 0x0302: ("tls", "1.1"), 0x0303: ("tls", "1.2")}


@dataclass(kw_only=True)
class Packets(Common):
    """Capture files (pcap, pcapng), such as tcpdump or a firewall writes; each is read once, when it is whole."""

    paths: list[str]
    """Captures to read; `*`, `?`, `[...]` and `**` name many."""
    parser: str = "ecs"
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
        if not self.paths:
            raise ConfigError(f"collectors.{name}: paths: names no file")
        memory = Path(self.checkpoint or f"data/checkpoints/{name}.json")
        done = await asyncio.to_thread(checkpoint.load, memory, list[_Done]) or []
        while True:
            for entry in await asyncio.to_thread(self._whole, {item.key for item in done}):
                await self._read(self.source(name), sink, entry.path)
                done = [*done, entry][-_REMEMBERED:]
                await checkpoint.patiently(partial(checkpoint.save, memory, done))
            await asyncio.sleep(self.poll / SECOND)

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
            waiting: list[tuple[int, Packet, Segment, bytes]] = []
            damage: ParseError | None = None
            try:
                for number, packet in enumerate(packets(file)):
                    cut = self._segment(packet)
                    if cut is None:
                        continue
                    yield from self._numbered(self._flows.add(cut, packet.time))
                    kind = _kind(cut) if self._dissect else b""
                    if kind:
                        waiting.append((number, packet, cut, kind))
                    if len(waiting) >= BATCH:
                        yield from self._found(dissector, waiting)
            except ParseError as error:
                damage = error
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

    def _found(self, dissector: Dissector, waiting: list[tuple[int, Packet, Segment, bytes]]) -> Iterator[Numbered]:
        if not waiting:
            return
        found = dissector.find([(kind, _payload(cut)) for _, _, cut, kind in waiting])
        self.skipped = dissector.skipped
        for (number, packet, cut, kind), names in zip(waiting, found, strict=True):
            if names is not None:
                yield Numbered("p", number, _EVENTS[kind](cut, packet.time, names))
        waiting.clear()


def events_of(path: Path) -> Iterator[Event]:
    """Every event of a capture file, flows when they end; raises ParseError where it is damaged."""
    for found in Capture(path).events():
        yield found.event


def _fingerprint(path: str) -> str:
    """A name for the capture's content, whatever it is called."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=8)).hexdigest()


def _kind(cut: Segment) -> bytes:
    """What may be found in a packet: `D` DNS, `T` TLS, `H` HTTP, or nothing."""
    payload = cut.payload
    if len(payload) < 12:
        return b""
    if 53 in (cut.source_port, cut.destination_port):
        return b"D"
    if cut.protocol != TCP:
        return b""
    if payload[0] == 0x16 and payload[1] == 3 and payload[5] == 1:
        return b"T"
    return b"H" if payload.startswith(_METHODS) else b""


def _payload(cut: Segment) -> bytes:
    """DNS over TCP has its length in front."""
    over_tcp = cut.protocol == TCP and 53 in (cut.source_port, cut.destination_port)
    return cut.payload[2:] if over_tcp else cut.payload


def _ends(cut: Segment) -> tuple[End, End]:
    return (cut.source, cut.source_port), (cut.destination, cut.destination_port)


def _dns(cut: Segment, moment: int, found: Found) -> Event:
    """A question or an answer; the source is who asked, in both."""
    source, destination = reversed(_ends(cut)) if found.response else _ends(cut)
    event = ends(source, destination, cut.protocol, moment, "network.dns")
    event["event.type"] = ["protocol", "info"]
    event["network.protocol"] = "dns"
    event["dns.id"] = str(found.id)
    event["dns.type"] = "answer" if found.response else "query"
    event["dns.question.name"] = found.name.lower() or "."
    event["dns.question.type"] = found.type
    if found.response:
        event["dns.response_code"] = _CODES[found.code] if found.code < len(_CODES) else str(found.code)
        event["dns.answers.type"] = [kind for kind, _ in found.answers]
        event["dns.answers.data"] = [data for _, data in found.answers]
        event["dns.resolved_ip"] = [data for kind, data in found.answers if kind in ("A", "AAAA") and _is_address(data)]
    return event


def _tls(cut: Segment, moment: int, found: Found) -> Event:
    event = ends(*_ends(cut), cut.protocol, moment, "network.tls")
    event["event.type"] = ["protocol", "info"]
    event["network.protocol"] = "tls"
    event["tls.version_protocol"], event["tls.version"] = _VERSIONS.get(found.version, ("tls", "1.3"))
    if found.name:
        event["tls.client.server_name"] = found.name.lower()
    return event


def _http(cut: Segment, moment: int, found: Found) -> Event:
    event = ends(*_ends(cut), cut.protocol, moment, "network.http")
    event["event.category"] = ["network", "web"]
    event["event.type"] = ["protocol", "access"]
    event["network.protocol"] = "http"
    event["http.request.method"] = found.method
    path, mark, query = found.path.partition("?")
    event["url.path"] = path
    if mark:
        event["url.query"] = query
    if found.host:
        event["url.domain"] = found.host.lower()
    if found.agent:
        event["user_agent.original"] = found.agent
    return event


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


_EVENTS = {b"D": _dns, b"T": _tls, b"H": _http}
