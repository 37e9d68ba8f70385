"""Datagrams of many exporters to events: templates as they come and go, numbers that are missing, rates of sampling."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Generator, Iterator
from itertools import islice
from typing import NamedTuple, TypeAlias

from almena.clock import SECOND, format_time
from almena.errors import ParseError
from almena.event import Event
from collectors.netflow import wire
from collectors.netflow.layout import Row
from collectors.netflow.meanings import Frame
from collectors.netflow.memory import Exporter, Key, Limits, Memory, Template, Waiting
from collectors.netflow.options import Options
from collectors.netflow.shape import Shape
from collectors.netflow.wire import DEFINING, FIRST_DATA, IPFIX, V5, V9, Header, Set

TOGETHER = 1_000
"""Most events that come at once."""

_MOST_SEQUENCES = 8_192
_FURTHEST = 1 << 20  # a sequence that leaps further has begun anew
_NEAREST = 1_000  # one that falls back by less is a datagram that was overtaken
_OVERTAKEN = 60_000  # milliseconds that an exporter's uptime may fall back by
_MASK = 0xFFFFFFFF
_SET = 946_684_800 * SECOND  # an exporter's clock that shows a time before 2000 was never set
_NOBODY = Exporter()
_Counted: TypeAlias = Generator[list[Event], None, int | None]

UNITS = {V5: "flows", V9: "datagrams", IPFIX: "records"}
"""What each version numbers."""


class Datagram(NamedTuple):
    """One datagram as it came."""

    data: bytes
    host: str
    """The exporter's address."""
    port: int
    received: int
    """Microseconds since 1970 UTC."""
    moment: float
    """The same on a clock that only grows, in seconds."""


class Missing(NamedTuple):
    """What exporters numbered and nobody received, so far."""

    host: str
    domain: int
    unit: str
    """`flows`, `records` or `datagrams`: what this version numbers."""
    missing: int


class _Sequence:
    """Where the numbers of one exporter's domain are."""

    __slots__ = ("expected", "missing", "uptime")

    def __init__(self) -> None:
        self.expected: int | None = None
        self.uptime = 0
        self.missing = 0


class Decoder:
    """Turns datagrams into events; pure but for what it remembers of exporters."""

    def __init__(self, limits: Limits | None = None, *, scale: bool = True, rate: int = 1) -> None:
        """`scale` multiplies counts of sampled flows, by `rate` where an exporter does not say how it samples."""
        self.memory = Memory(limits or Limits())
        self.missing = dict.fromkeys(UNITS.values(), 0)
        """How much of what exporters numbered never came, by what they number."""
        self._scale = scale
        self._rate = max(1, rate)
        self._v5 = Shape(wire.V5_FIELDS)
        self._sequences: OrderedDict[tuple[str, int, int, int], _Sequence] = OrderedDict()

    def decode(self, datagram: Datagram) -> Iterator[list[Event]]:
        """The events of a datagram, and of earlier ones that waited for its templates, `TOGETHER` at most at once.

        Raises ParseError where it is damaged, after the events of what comes before.
        """
        for message in wire.messages(datagram.data):
            head = wire.header(message)
            if head.version == V5:
                yield from self._flows(datagram, head)
            else:
                yield from self._message(datagram, head, message)

    def _message(self, datagram: Datagram, head: Header, data: bytes) -> Iterator[list[Event]]:
        exporter = self.memory.exporter(datagram.host, datagram.moment)
        if exporter is None:
            self.memory.lost["exporters"] += 1
            return
        sequence = self._sequence(datagram, head)
        if head.version == V9:
            if _restarted(sequence, head):
                self.memory.withdraw(exporter, V9, head.domain)
                sequence.expected = None
            self._number(sequence, head, 1)
        records: int | None = 0
        try:
            for found in wire.sets(data, head.version):
                if found.number in DEFINING[head.version]:
                    yield from self._define(datagram, head, exporter, found)
                elif found.number >= FIRST_DATA:
                    count = yield from self._data(datagram, head, exporter, found)
                    records = None if records is None or count is None else records + count
        except ParseError:
            records = None
            raise
        finally:
            if head.version == IPFIX:
                self._number(sequence, head, records)

    def gaps(self) -> list[Missing]:
        """What is missing of each exporter's domain, where something is."""
        return [
            Missing(host, domain, UNITS[version], sequence.missing)
            for (host, _, version, domain), sequence in self._sequences.items()
            if sequence.missing
        ]

    def _flows(self, datagram: Datagram, head: Header) -> Iterator[list[Event]]:
        records = wire.flows(datagram.data, head.flows)
        self._number(self._sequence(datagram, head), head, head.flows)
        yield self._v5.events(self._v5.layout.rows(records), self._frame(datagram, head, _NOBODY))

    def _define(self, datagram: Datagram, head: Header, exporter: Exporter, found: Set) -> Iterator[list[Event]]:
        """Remember templates; what waited for them comes out."""
        for definition in wire.definitions(found, head.version):
            if definition.number < FIRST_DATA:
                if not definition.fields:  # IPFIX: all templates of a kind are withdrawn
                    self.memory.withdraw(exporter, head.version, head.domain, options=definition.number == 3)
                continue
            key = Key(head.version, head.domain, definition.number)
            for waiting in self.memory.define(exporter, key, definition, datagram.moment):
                earlier = datagram._replace(received=waiting.received)
                try:
                    yield from self._read(earlier, waiting.header, exporter, exporter.templates[key], waiting.data)
                except ParseError:
                    self.memory.lost["template"] += 1  # it waited for another template of this number

    def _data(self, datagram: Datagram, head: Header, exporter: Exporter, found: Set) -> _Counted:
        """Read records whose template is known, and keep others; returns how many there are, None where unknown."""
        key = Key(head.version, head.domain, found.number)
        template = exporter.templates.get(key)
        if template is None:
            self.memory.wait(exporter, key, Waiting(head, found.data, datagram.moment, datagram.received))
            return None
        template.used = datagram.moment
        exporter.templates.move_to_end(key)
        return (yield from self._read(datagram, head, exporter, template, found.data))

    def _read(self, datagram: Datagram, head: Header, exporter: Exporter, template: Template, data: bytes) -> _Counted:
        """Read records, and return how many there were."""
        reader = template.reader()
        rows = reader.layout.rows(data)
        count = 0
        frame: Frame | None = None
        while True:
            chunk, damage = _take(rows)
            count += len(chunk)
            if isinstance(reader, Options):
                for note in reader.notes(chunk):
                    self.memory.note(exporter, head.domain, *note)
            elif not reader.is_flow:
                self.memory.lost["no flow"] += len(chunk)
            elif chunk:
                frame = frame or self._frame(datagram, head, exporter)
                yield reader.events(chunk, frame)
            if damage is not None:
                raise damage
            if len(chunk) < TOGETHER:
                break
        if count:
            self.memory.trust(datagram.host)
        return count

    def _frame(self, datagram: Datagram, head: Header, exporter: Exporter) -> Frame:
        moment = head.moment if head.moment >= _SET else datagram.received
        frame = Frame(
            common={
                "@timestamp": format_time(moment),
                "event.kind": "event",
                "event.dataset": "network.flow",
                "event.category": ["network"],
                "event.type": ["connection"],
                "event.action": "netflow_flow",
                "observer.ip": [datagram.host],
                "almena.netflow.version": head.version,
                "almena.netflow.observation_domain_id": head.domain,
            },
            moment=moment,
            uptime=head.uptime,
            rate=head.sampling or self._rate,
            scale=self._scale,
        )
        if exporter.notes:
            frame.rates = self.memory.view(exporter, head.domain, "rate")
            frame.applications = self.memory.view(exporter, head.domain, "application")
            frame.interfaces = self.memory.view(exporter, head.domain, "interface")
            frame.boot = self.memory.view(exporter, head.domain, "boot").get(None, 0)
            frame.rate = frame.rates.get(None, self._rate)
        return frame

    def _sequence(self, datagram: Datagram, head: Header) -> _Sequence:
        """The numbers of an exporter's domain; a sender's port tells apart what runs on one host."""
        key = (datagram.host, datagram.port, head.version, head.domain)
        found = self._sequences.get(key)
        if found is None:
            found = self._sequences[key] = _Sequence()
            if len(self._sequences) > _MOST_SEQUENCES:
                self._sequences.popitem(last=False)
        else:
            self._sequences.move_to_end(key)
        return found

    def _number(self, sequence: _Sequence, head: Header, count: int | None) -> None:
        """Count what is missing before this datagram, which holds `count` of what is numbered; None where unknown."""
        if sequence.expected is not None:
            gap = (head.sequence - sequence.expected) & _MASK
            if gap > _MASK - _NEAREST:
                return
            if gap < _FURTHEST:
                sequence.missing += gap
                self.missing[UNITS[head.version]] += gap
        sequence.expected = None if count is None else (head.sequence + count) & _MASK
        sequence.uptime = head.uptime or 0


def _restarted(sequence: _Sequence, head: Header) -> bool:
    """Whether an exporter has begun anew: then its templates mean nothing any more (RFC 3954)."""
    fell = head.uptime is not None and head.uptime + _OVERTAKEN < sequence.uptime
    return fell and sequence.expected is not None and head.sequence < sequence.expected


def _take(rows: Iterator[Row]) -> tuple[list[Row], ParseError | None]:
    """Some rows, and what kept more from coming."""
    chunk: list[Row] = []
    try:
        chunk.extend(islice(rows, TOGETHER))
    except ParseError as error:
        return chunk, error
    return chunk, None
