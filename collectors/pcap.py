"""Capture files without libpcap: pcap and pcapng into packets, packets into addresses, ports and payload."""

from __future__ import annotations

import logging
import struct
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from almena.errors import ParseError

log = logging.getLogger("almena.pcap")

TCP, UDP, ICMP, ICMP6 = 6, 17, 1, 58

_LONGEST = 1 << 18  # bytes of one packet; more is damage
_LONGEST_BLOCK = 1 << 20
_ETHERNET, _RAW, _LOOPBACK, _SLL, _SLL2 = 1, (12, 14, 101), (0, 108), 113, 276
_VLAN = (0x8100, 0x88A8, 0x9100)
_EXTENSIONS = (0, 43, 60)
_FRAGMENT = 44


class Packet(NamedTuple):
    """One packet as it was captured; `time` in microseconds since 1970 UTC."""

    time: int
    link: int
    data: bytes


class Segment(NamedTuple):
    """What the headers of a packet say; addresses are packed, `size` is the length of the IP packet in bytes."""

    source: bytes
    destination: bytes
    protocol: int
    source_port: int
    destination_port: int
    flags: int
    size: int
    payload: bytes


def packets(file: BinaryIO) -> Iterator[Packet]:
    """Every packet of a capture; a last one that is cut off is left out. Raises ParseError with the byte of damage."""
    magic = file.read(4)
    if magic == b"\x0a\x0d\x0d\x0a":
        yield from _pcapng(file)
        return
    for order in "<>":
        unit = {0xA1B2C3D4: 1, 0xA1B23C4D: 1000}.get(struct.unpack(order + "I", magic.ljust(4, b"\0"))[0])
        if unit is not None:
            yield from _pcap(file, order, unit)
            return
    raise ParseError("no capture file: neither pcap nor pcapng", 0)


def _pcap(file: BinaryIO, order: str, unit: int) -> Iterator[Packet]:
    """Classic pcap: `unit` is 1 for microseconds and 1000 for nanoseconds."""
    header = file.read(20)
    if len(header) < 20:
        raise ParseError("the file ends in its header", 4)
    link = struct.unpack(order + "HHiIII", header)[5] & 0x0FFFFFFF
    entry = struct.Struct(order + "IIII")
    place = 24
    while len(head := file.read(16)) == 16:
        seconds, fraction, kept, _ = entry.unpack(head)
        if kept > _LONGEST:
            raise ParseError(f"a packet of {kept} bytes", place)
        data = file.read(kept)
        if len(data) < kept:
            break
        yield Packet(seconds * 1_000_000 + fraction // unit, link, data)
        place += 16 + kept


def _pcapng(file: BinaryIO) -> Iterator[Packet]:
    """Blocks of a section header, interfaces and packets; other blocks are passed over."""
    file.seek(0)
    order, place = "<", 0
    interfaces: list[tuple[int, int]] = []  # link type and ticks per second
    while len(head := file.read(8)) == 8:
        if head[:4] == b"\x0a\x0d\x0d\x0a":
            mark = file.read(4)
            order = ">" if mark == b"\x1a\x2b\x3c\x4d" else "<"
            interfaces = []
            file.seek(place + 8)
        kind, length = struct.unpack(order + "II", head)
        if length < 12 or length % 4 or length > _LONGEST_BLOCK:
            raise ParseError(f"a block of {length} bytes", place)
        body = file.read(length - 8)
        if len(body) < length - 8:
            break
        if kind == 1 and len(body) >= 12 and len(interfaces) < 1000:
            interfaces.append((struct.unpack(order + "H", body[:2])[0], _ticks(body[8:-4], order)))
        elif kind == 6 and len(body) >= 24:
            number, high, low, kept, _ = struct.unpack(order + "IIIII", body[:20])
            if number >= len(interfaces) or kept > len(body) - 24:
                raise ParseError("a packet of an interface or a length that is not there", place)
            link, ticks = interfaces[number]
            yield Packet(((high << 32) | low) * 1_000_000 // ticks, link, body[20 : 20 + kept])
        place += length


def _ticks(options: bytes, order: str) -> int:
    """Ticks per second of an interface: its option `if_tsresol`, or microseconds."""
    while len(options) >= 4:
        code, length = struct.unpack(order + "HH", options[:4])
        if code == 9 and length == 1 and len(options) > 4:
            value = options[4]
            return int(2 ** min(value & 0x7F, 63) if value & 0x80 else 10 ** min(value, 18))
        if code == 0:
            break
        options = options[4 + (length + 3) // 4 * 4 :]
    return 1_000_000


def known_link(link: int) -> bool:
    """Whether packets of this link type can be taken apart."""
    return link in (_ETHERNET, _SLL, _SLL2, *_RAW, *_LOOPBACK)


def segment(packet: Packet) -> Segment | None:
    """The headers of an IP packet, or None for anything else and for what is too short."""
    data = packet.data
    try:
        start = _network(packet.link, data)
        if start < 0 or start >= len(data):
            return None
        return _ipv4(data, start) if data[start] >> 4 == 4 else _ipv6(data, start) if data[start] >> 4 == 6 else None
    except (struct.error, IndexError):
        return None


def _network(link: int, data: bytes) -> int:
    """Where the IP header begins, or -1."""
    if link == _ETHERNET:
        place = 12
        kind = (data[place] << 8) | data[place + 1]
        while kind in _VLAN and place < 12 + 3 * 4:
            place += 4
            kind = (data[place] << 8) | data[place + 1]
        return place + 2 if kind in (0x0800, 0x86DD) else -1
    if link in _RAW:
        return 0
    if link in _LOOPBACK:
        return 4
    if link == _SLL:
        return 16 if data[14:16] in (b"\x08\x00", b"\x86\xdd") else -1
    return 20 if link == _SLL2 and data[:2] in (b"\x08\x00", b"\x86\xdd") else -1


def _ipv4(data: bytes, start: int) -> Segment | None:
    size = (data[start + 2] << 8) | data[start + 3]
    header = (data[start] & 15) * 4
    if header < 20:
        return None
    end = start + size if size else len(data)
    fragment = ((data[start + 6] & 0x1F) << 8) | data[start + 7]
    addresses = data[start + 12 : start + 16], data[start + 16 : start + 20]
    return _transport(data, start + header, end, data[start + 9], bool(fragment), addresses, size or end - start)


def _ipv6(data: bytes, start: int) -> Segment | None:
    size = (data[start + 4] << 8) | data[start + 5]
    end = start + 40 + size if size else len(data)
    protocol, place, fragment = data[start + 6], start + 40, False
    for _ in range(8):
        if protocol in _EXTENSIONS:
            protocol, place = data[place], place + 8 + 8 * data[place + 1]
        elif protocol == _FRAGMENT:
            fragment = fragment or bool((data[place + 2] << 8 | data[place + 3]) >> 3)
            protocol, place = data[place], place + 8
        else:
            break
    addresses = data[start + 8 : start + 24], data[start + 24 : start + 40]
    return _transport(data, place, end, protocol, fragment, addresses, end - start)


def _transport(
    data: bytes, place: int, end: int, protocol: int, fragment: bool, addresses: tuple[bytes, bytes], size: int
) -> Segment | None:
    source, destination = addresses
    if len(destination) not in (4, 16):
        return None
    if fragment or protocol not in (TCP, UDP):
        return Segment(source, destination, protocol, 0, 0, 0, size, b"")
    source_port, destination_port = struct.unpack_from("!HH", data, place)
    if protocol == UDP:
        return Segment(source, destination, UDP, source_port, destination_port, 0, size, data[place + 8 : end])
    offset, flags = (data[place + 12] >> 4) * 4, data[place + 13]
    payload = data[place + max(20, offset) : end]
    return Segment(source, destination, TCP, source_port, destination_port, flags, size, payload)
