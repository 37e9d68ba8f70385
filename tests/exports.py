"""Datagrams of NetFlow and IPFIX made field by field, for tests and measurements."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterable, Sequence
from typing import Any

SECOND = 1_000_000
START = 1_795_376_040 * SECOND
"""A moment in November 2026."""

UPTIME = 1_000_000_000
"""Milliseconds an exporter has been running at `START`."""

Fields = Sequence[tuple[int, int] | tuple[int, int, int]]
"""Number and length of each field of a template, and its enterprise where it has one."""


def v5_flow(
    source: str = "10.1.0.5",
    destination: str = "192.0.2.80",
    *,
    source_port: int = 40_000,
    destination_port: int = 443,
    protocol: int = 6,
    flags: int = 0x1B,
    packets: int = 10,
    octets: int = 1_000,
    first: int = UPTIME - 30_000,
    last: int = UPTIME - 10_000,
    systems: tuple[int, int] = (64_500, 0),
) -> bytes:
    """One flow of NetFlow 5."""
    ends = socket.inet_aton(source) + socket.inet_aton(destination) + socket.inet_aton("10.0.0.254")
    numbers = struct.pack("!HHIIIIHH", 3, 4, packets, octets, first, last, source_port, destination_port)
    return ends + numbers + struct.pack("!BBBBHHBBH", 0, flags, protocol, 8, *systems, 24, 16, 0)


def v5(
    flows: Sequence[bytes],
    moment: int = START,
    *,
    sequence: int = 0,
    uptime: int = UPTIME,
    engine: int = 0,
    rate: int = 0,
) -> bytes:
    """A datagram of NetFlow 5; `moment` in microseconds since 1970."""
    seconds, micros = divmod(moment, SECOND)
    head = (5, len(flows), uptime, seconds, micros * 1_000, sequence, engine, rate and 0x4000 | rate)
    return struct.pack("!HHIIIIHH", *head) + b"".join(flows)


def v9(
    *sets: bytes, moment: int = START, sequence: int = 0, domain: int = 0, uptime: int = UPTIME, count: int = 1
) -> bytes:
    """A datagram of NetFlow 9."""
    return struct.pack("!HHIIII", 9, count, uptime, moment // SECOND, sequence, domain) + b"".join(sets)


def ipfix(*sets: bytes, moment: int = START, sequence: int = 0, domain: int = 0) -> bytes:
    """A message of IPFIX."""
    body = b"".join(sets)
    return struct.pack("!HHIII", 10, 16 + len(body), moment // SECOND, sequence, domain) + body


def a_set(number: int, body: bytes, *, padding: int = 0) -> bytes:
    """A set with its header."""
    return struct.pack("!HH", number, 4 + len(body) + padding) + body + bytes(padding)


def fields(wanted: Fields) -> bytes:
    """The fields of a template."""
    out = b""
    for number, length, *enterprise in wanted:
        if enterprise and enterprise[0]:
            out += struct.pack("!HHI", number | 0x8000, length, enterprise[0])
        else:
            out += struct.pack("!HH", number, length)
    return out


def template(number: int, wanted: Fields, *, version: int = 9) -> bytes:
    """A set with one template."""
    return a_set(0 if version == 9 else 2, struct.pack("!HH", number, len(wanted)) + fields(wanted))


def options(number: int, scope: Fields, wanted: Fields, *, version: int = 9) -> bytes:
    """A set with one template of options."""
    sizes = (4 * len(scope), 4 * len(wanted)) if version == 9 else (len(scope) + len(wanted), len(scope))
    body = struct.pack("!HHH", number, *sizes) + fields(scope) + fields(wanted)
    return a_set(1 if version == 9 else 3, body)


def record(wanted: Fields, values: Iterable[Any]) -> bytes:
    """A record of a template: numbers, texts of addresses, or bytes as they are."""
    return b"".join(field(length, value) for (_, length, *_), value in zip(wanted, values, strict=True))


def field(length: int, value: Any) -> bytes:
    """One value in so many bytes; 65535 has its length in front."""
    if isinstance(value, str):
        value = socket.inet_pton(socket.AF_INET6 if ":" in value else socket.AF_INET, value)
    raw: bytes = value if isinstance(value, bytes) else value.to_bytes(8 if length == 65_535 else length, "big")
    if length != 65_535:
        return raw.ljust(length, b"\0")[:length]
    return (bytes([len(raw)]) if len(raw) < 255 else b"\xff" + len(raw).to_bytes(2, "big")) + raw


PLAIN: Fields = (
    *((8, 4), (12, 4), (15, 4), (10, 4), (14, 4), (2, 4), (1, 4), (22, 4), (21, 4), (7, 2), (11, 2)),
    *((6, 1), (4, 1), (5, 1), (16, 4), (17, 4), (9, 1), (13, 1), (61, 1), (89, 1), (48, 1)),
)
"""What routers export most."""


def plain(number: int = 0) -> bytes:
    """A record of `PLAIN`, a little different for each number."""
    ends = (f"10.{number % 4}.{number // 256 % 256}.{number % 256}", f"192.0.2.{number % 250}", "10.0.0.254")
    counts = (3, 4, 1 + number % 90, 64 + number * 37 % 90_000)
    times = (UPTIME - 20_000 - number * 13 % 30_000, UPTIME - number * 7 % 20_000)
    return record(PLAIN, (*ends, *counts, *times, 1_024 + number % 60_000, 443, 27, 6, 0, 0, 64_500, 24, 24, 0, 64, 0))
