"""Capture files made byte by byte, for tests."""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
from collections.abc import Iterable
from pathlib import Path

Timed = tuple[int, bytes]
"""A packet and its time, microseconds since 1970."""

START = 1_795_000_000_000_000
SYN, ACK, FIN, PUSH = 2, 16, 1, 8


def pcap(packets: Iterable[Timed], *, order: str = "<", nano: bool = False, link: int = 1) -> bytes:
    magic = 0xA1B23C4D if nano else 0xA1B2C3D4
    out = struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, 262_144, link)
    for moment, data in packets:
        seconds, micros = divmod(moment, 1_000_000)
        out += struct.pack(order + "IIII", seconds, micros * (1000 if nano else 1), len(data), len(data)) + data
    return out


def pcapng(packets: Iterable[Timed], *, order: str = "<", resolution: int | None = None, link: int = 1) -> bytes:
    def block(kind: int, body: bytes) -> bytes:
        body += b"\0" * (-len(body) % 4)
        size = struct.pack(order + "I", len(body) + 12)
        return struct.pack(order + "I", kind) + size + body + size

    out = block(0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1))
    options = b"" if resolution is None else struct.pack(order + "HHB3xHH", 9, 1, resolution, 0, 0)
    out += block(1, struct.pack(order + "HHI", link, 0, 0) + options)
    out += block(5, b"statistics that nobody reads")
    ticks = 10 ** (6 if resolution is None else resolution)
    for moment, data in packets:
        stamp = moment * ticks // 1_000_000
        out += block(6, struct.pack(order + "IIIII", 0, stamp >> 32, stamp & 0xFFFFFFFF, len(data), len(data)) + data)
    return out


def ip(source: str, destination: str, protocol: int, payload: bytes, *, fragment: int = 0) -> bytes:
    if ":" in source:
        head = struct.pack("!IHBB", 6 << 28, len(payload), protocol, 64)
        return (
            head + socket.inet_pton(socket.AF_INET6, source) + socket.inet_pton(socket.AF_INET6, destination) + payload
        )
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(payload), 1, fragment, 64, protocol, 0)
    return head + socket.inet_aton(source) + socket.inet_aton(destination) + payload


def ethernet(packet: bytes, *, vlan: Iterable[int] = ()) -> bytes:
    tags = b"".join(struct.pack("!HH", 0x8100, number) for number in vlan)
    kind = b"\x86\xdd" if packet[0] >> 4 == 6 else b"\x08\x00"
    return b"\x02" * 6 + b"\x04" * 6 + tags + kind + packet


def udp(source: str, source_port: int, destination: str, destination_port: int, payload: bytes) -> bytes:
    head = struct.pack("!HHHH", source_port, destination_port, 8 + len(payload), 0)
    return ip(source, destination, 17, head + payload)


def tcp(
    source: str, source_port: int, destination: str, destination_port: int, flags: int, payload: bytes = b""
) -> bytes:
    head = struct.pack("!HHIIBBHHH", source_port, destination_port, 1, 1, 5 << 4, flags, 1000, 0, 0)
    return ip(source, destination, 6, head + payload)


def dns(name: str, *, kind: int = 1, number: int = 7, code: int = 0, addresses: Iterable[str] | None = None) -> bytes:
    """A query, or with `addresses` its answer."""
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split(".")) + b"\0"
    answers = [] if addresses is None else list(addresses)
    flags = 0x0100 if addresses is None else 0x8180 | code
    out = struct.pack("!HHHHHH", number, flags, 1, len(answers), 0, 0) + labels + struct.pack("!HH", kind, 1)
    for address in answers:
        out += b"\xc0\x0c" + struct.pack("!HHIH", kind, 1, 60, 4) + socket.inet_aton(address)
    return out


def client_hello(name: str | None) -> bytes:
    """What a real TLS library says first."""
    context = ssl.create_default_context()
    context.check_hostname = name is not None
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    with contextlib.suppress(ssl.SSLWantReadError):
        context.wrap_bio(incoming, outgoing, server_hostname=name).do_handshake()
    return outgoing.read()


def visit() -> list[Timed]:
    """Somebody looks up a name and visits it, by HTTP and by TLS."""
    me, resolver, site = "10.1.0.5", "10.1.0.1", "192.0.2.80"
    request = b"GET /tramites?folio=8 HTTP/1.1\r\nHost: Portal.Example\r\nUser-Agent: curl/8.0\r\n\r\n"
    packets = [
        udp(me, 40_000, resolver, 53, dns("Portal.Example")),
        udp(resolver, 53, me, 40_000, dns("portal.example", addresses=[site])),
        tcp(me, 40_001, site, 80, SYN),
        tcp(site, 80, me, 40_001, SYN | ACK),
        tcp(me, 40_001, site, 80, ACK | PUSH, request),
        tcp(site, 80, me, 40_001, ACK | PUSH, b"HTTP/1.1 200 OK\r\n\r\n"),
        tcp(me, 40_001, site, 80, FIN | ACK),
        tcp(me, 40_002, site, 443, SYN),
        tcp(me, 40_002, site, 443, ACK | PUSH, client_hello("portal.example")),
    ]
    return [(START + 100_000 * number, ethernet(packet)) for number, packet in enumerate(packets)]


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path
