"""Datagrams of NetFlow 5, NetFlow 9 (RFC 3954) and IPFIX (RFC 7011) taken apart: header, sets, templates; no state."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from almena.clock import SECOND
from almena.errors import ParseError
from collectors.netflow.elements import NPROBE, NPROBE_BASE

V5, V9, IPFIX = 5, 9, 10

VARIABLE = 65_535
"""The length of a field that has its length in front."""

MAX_FIELDS = 1_024
"""Most fields of a template."""

FIRST_DATA = 256
"""Sets from this number on hold data; their number is the template's."""

DEFINING = {V9: (0, 1), IPFIX: (2, 3)}
"""The numbers of sets that hold templates, of flows and of options; others below `FIRST_DATA` mean nothing."""

_V5, _V9, _IPFIX = struct.Struct("!HHIIIIHH"), struct.Struct("!HHIIII"), struct.Struct("!HHIII")
_PAIR, _ENTERPRISE = struct.Struct("!HH"), struct.Struct("!I")
_V5_RECORD = 48
_INTERFACE_SCOPE, _INGRESS, _PADDING = 2, 10, 210


class Header(NamedTuple):
    """What a datagram says of itself."""

    version: int
    domain: int
    """The observation domain, the source id, or the engine."""
    sequence: int
    """Flows (5), datagrams (9) or data records (IPFIX) sent before; 32 bits."""
    moment: int
    """When it was exported, microseconds since 1970 UTC; 0 where its clock is not set."""
    uptime: int | None
    """Milliseconds since the exporter started, 32 bits; None where it does not say."""
    flows: int
    """How many flows a datagram of NetFlow 5 holds."""
    sampling: int
    """One packet in so many was looked at (5); 0 where it does not say."""


class Set(NamedTuple):
    """A stretch of a datagram: templates below `FIRST_DATA`, or records of one template."""

    number: int
    data: bytes
    place: int
    """Where it begins in the datagram."""


class Field(NamedTuple):
    """One field of a template."""

    enterprise: int
    number: int
    length: int
    """In bytes, or `VARIABLE`."""


class Definition(NamedTuple):
    """A template as it was sent; without fields it is withdrawn."""

    number: int
    fields: tuple[Field, ...]
    scopes: int
    """How many of the first fields say what the others are about; 0 for flows."""


def header(data: bytes) -> Header:
    """The header of a datagram; raises ParseError when there is none."""
    version = int.from_bytes(data[:2], "big")
    try:
        if version == V5:
            _, count, uptime, seconds, nanoseconds, sequence, engine, sampling = _V5.unpack_from(data)
            moment = seconds * SECOND + min(nanoseconds, 999_999_999) // 1000
            return Header(V5, engine, sequence, moment, uptime, count, sampling & 0x3FFF)
        if version == V9:
            _, _, uptime, seconds, sequence, domain = _V9.unpack_from(data)
            return Header(V9, domain, sequence, seconds * SECOND, uptime, 0, 0)
        if version == IPFIX:
            _, _, seconds, sequence, domain = _IPFIX.unpack_from(data)
            return Header(IPFIX, domain, sequence, seconds * SECOND, None, 0, 0)
    except struct.error:
        raise ParseError("a datagram that ends in its header", len(data)) from None
    raise ParseError("a datagram that is neither NetFlow 5, NetFlow 9 nor IPFIX", 0)


def messages(data: bytes) -> Iterator[bytes]:
    """The messages of a datagram: one, but for IPFIX, where more may stand behind it."""
    while data[:2] == b"\0\x0a" and _IPFIX.size <= (length := int.from_bytes(data[2:4], "big")) < len(data):
        yield data[:length]
        data = data[length:]
        if data[:2] != b"\0\x0a":
            return
    yield data


def sets(data: bytes, version: int) -> Iterator[Set]:
    """The sets of a datagram of version 9 or 10; raises ParseError where it is damaged, after those before.

    Zeros behind the last set are passed over: some exporters send them.
    """
    place, end = (_V9.size, len(data)) if version == V9 else (_IPFIX.size, int.from_bytes(data[2:4], "big"))
    if not _IPFIX.size <= end <= len(data):
        raise ParseError("a message whose length is not that of its datagram", 2)
    while end - place >= _PAIR.size:
        number, length = _PAIR.unpack_from(data, place)
        if length < _PAIR.size or place + length > end:
            if not any(data[place:end]):
                return
            raise ParseError("a set whose length cannot be", place)
        yield Set(number, data[place + _PAIR.size : place + length], place)
        place += length


def flows(data: bytes, count: int) -> bytes:
    """The records of a datagram of NetFlow 5; raises ParseError when they are not as many as it says."""
    if count < 1 or len(data) < _V5.size + count * _V5_RECORD:
        raise ParseError("a datagram with another number of flows than it says", 2)
    return data[_V5.size : _V5.size + count * _V5_RECORD]


def definitions(found: Set, version: int) -> Iterator[Definition]:
    """The templates in a set of templates; raises ParseError where it is damaged, after those before."""
    data, place = found.data, 0
    options = found.number in (1, 3)
    while len(data) - place >= 4 and any(data[place : place + 4]):
        number, size = _PAIR.unpack_from(data, place)
        try:
            if not options or (version == IPFIX and size == 0):
                scopes, count, place = 0, size, place + 4
            elif version == IPFIX:
                scopes, count, place = int.from_bytes(data[place + 4 : place + 6], "big"), size, place + 6
            else:
                lengths = int.from_bytes(data[place + 4 : place + 6], "big")
                scopes, count, place = size // 4, (size + lengths) // 4, place + 6
            if count > MAX_FIELDS or scopes > count:
                raise ParseError("a template with too many fields", found.place)
            fields, place = _fields(data, place, count, version, scopes)
        except struct.error:
            raise ParseError("a template that ends in its fields", found.place) from None
        yield Definition(number, fields, scopes)


def _fields(data: bytes, place: int, count: int, version: int, scopes: int) -> tuple[tuple[Field, ...], int]:
    """So many fields from `place` on, and where they end; raises struct.error when there are fewer."""
    fields: list[Field] = []
    for index in range(count):
        number, length = _PAIR.unpack_from(data, place)
        place += 4
        enterprise = 0
        if version == IPFIX and number & 0x8000:
            (enterprise,) = _ENTERPRISE.unpack_from(data, place)
            number, place = number & 0x7FFF, place + 4
        elif version == V9 and index < scopes:  # numbers of their own: only the interface is an element too
            number = _INGRESS if number == _INTERFACE_SCOPE else _PADDING
        elif version == V9 and number >= NPROBE_BASE:
            enterprise, number = NPROBE, number - NPROBE_BASE
        fields.append(Field(enterprise, number, length))
    return tuple(fields), place


V5_FIELDS = tuple(
    Field(0, number, length)
    for number, length in (
        *((8, 4), (12, 4), (15, 4), (10, 2), (14, 2), (2, 4), (1, 4), (22, 4), (21, 4), (7, 2), (11, 2)),
        *((_PADDING, 1), (6, 1), (4, 1), (5, 1), (16, 2), (17, 2), (9, 1), (13, 1), (_PADDING, 2)),
    )
)
"""A record of NetFlow 5, as if a template had said so."""
