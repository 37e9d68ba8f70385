"""Columns of raw values to columns of what events carry; None stands for what an exporter does not know."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, TypeAlias

from almena.clock import SECOND
from collectors.parsers.network import PROTOCOLS

Column: TypeAlias = Sequence[Any]
Convert: TypeAlias = Callable[[Column], Column]

LONGEST = 1_024
"""Characters of a text that an event carries."""

_REMEMBERED = 256  # bytes of a text that is worth remembering
_NTP = 2_208_988_800  # seconds from 1900 to 1970
_ZEROS = bytes(16)
_FLAGS = ("FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR")
_END_REASONS = {1: "idle_timeout", 2: "active_timeout", 3: "end_of_flow", 4: "forced_end", 5: "lack_of_resources"}
_FORWARDING = ("unknown", "forwarded", "dropped", "consumed")
_DIRECTIONS = {0: "inbound", 1: "outbound"}


@lru_cache(maxsize=65_536)
def address(packed: bytes) -> str:
    """An address as text; one of IPv4 within IPv6 is one of IPv4."""
    if len(packed) == 4:
        return socket.inet_ntoa(packed)
    if packed[:12] == b"\0\0\0\0\0\0\0\0\0\0\xff\xff":
        return socket.inet_ntoa(packed[12:])
    return socket.inet_ntop(socket.AF_INET6, packed)


@lru_cache(maxsize=16_384)
def _mac(packed: bytes) -> str | None:
    return packed.hex("-").upper() if any(packed) else None


def text(raw: bytes) -> str | None:
    """A text without what fills its field up; bytes that are no UTF-8 stand as `\\xNN`."""
    return _text(raw) if len(raw) <= _REMEMBERED else _text.__wrapped__(raw[: 4 * LONGEST])


@lru_cache(maxsize=16_384)
def _text(raw: bytes) -> str | None:
    return raw.partition(b"\0")[0].decode("utf-8", "backslashreplace").strip()[:LONGEST] or None


def application_ids(column: Column) -> Column:
    """Of applications: engine and selector, such as `13:453`."""
    return [f"{raw[0]}:{int.from_bytes(raw[1:], 'big')}" if any(raw) and len(raw) <= 9 else None for raw in column]


def texts(column: Column) -> Column:
    """Of strings."""
    return list(map(text, column))


def numbers(column: Column) -> Column:
    """Of numbers that are as many bytes as `struct` has none for."""
    return [int.from_bytes(raw[:8], "big") for raw in column]


def addresses(column: Column) -> Column:
    """Of addresses."""
    return list(map(address, column))


def macs(column: Column) -> Column:
    """Of hardware addresses, written as ECS wants them."""
    return list(map(_mac, column))


def known_addresses(column: Column) -> Column:
    """Of addresses where zeros say that there is none."""
    return [None if raw in _ZEROS else address(raw) for raw in column]


def known_numbers(column: Column) -> Column:
    """Of numbers where zero says that there is none."""
    return [number or None for number in column]


def known_names(column: Column) -> Column:
    """Of numbers that are names, where zero says that there is none."""
    return [str(number) if number else None for number in column]


def names(column: Column) -> Column:
    """Of numbers that are names."""
    return list(map(str, column))


def lower(column: Column) -> Column:
    """Of texts that ECS wants in lower case."""
    return [value and value.lower() for value in texts(column)]


def access_lists(column: Column) -> Column:
    """Of the three numbers by which Cisco's firewalls name a line of an access list."""
    return ["-".join(raw[at : at + 4].hex() for at in (0, 4, 8)) if any(raw) else None for raw in column]


def statuses(column: Column) -> Column:
    """Of forwarding statuses, which say more in their lower bits."""
    return [_FORWARDING[(number & 0xFF) >> 6] for number in column]


def end_reasons(column: Column) -> Column:
    """Of why flows ended."""
    return list(map(_END_REASONS.get, column))


def directions(column: Column) -> Column:
    """Of directions."""
    return list(map(_DIRECTIONS.get, column))


def transports(column: Column) -> Column:
    """Of protocol numbers."""
    return [PROTOCOLS.get(number) or str(number) for number in column]


@lru_cache(maxsize=256)
def _flags(bits: int) -> list[str]:
    return [name for place, name in enumerate(_FLAGS) if bits >> place & 1]


def flags(column: Column) -> Column:
    """Of TCP flags, named; None where none was seen."""
    return [_flags(bits & 0xFF) or None for bits in column]


def seconds(column: Column) -> Column:
    """Of seconds since 1970 as microseconds."""
    return [value * SECOND for value in column]


def milliseconds(column: Column) -> Column:
    """Of milliseconds since 1970 as microseconds."""
    return [value * 1_000 for value in column]


def microseconds(column: Column) -> Column:
    """Of times as NTP has them as microseconds since 1970; what is no such time is taken for microseconds already."""
    return [_ntp(value) if value >> 32 >= _NTP else value for value in column]


def nanoseconds(column: Column) -> Column:
    """Of times as NTP has them as microseconds since 1970; what is no such time is taken for nanoseconds."""
    return [_ntp(value) if value >> 32 >= _NTP else value // 1_000 for value in column]


def _ntp(value: int) -> int:
    """Seconds since 1900 and their fraction."""
    return ((value >> 32) - _NTP) * SECOND + ((value & 0xFFFFFFFF) * SECOND >> 32)


def same(column: Column) -> Column:
    """What events carry as it came."""
    return column


BY_TYPE: dict[str, Convert] = {
    "string": texts,
    "ipv4Address": addresses,
    "ipv6Address": addresses,
    "macAddress": macs,
    "dateTimeSeconds": seconds,
    "dateTimeMilliseconds": milliseconds,
    "dateTimeMicroseconds": microseconds,
    "dateTimeNanoseconds": nanoseconds,
}
"""How the values of a type are read, where they are not as they came."""

BY_FIELD: dict[str, Convert] = {
    "almena.netflow.bgp_next_hop": known_addresses,
    "almena.netflow.egress_acl_id": access_lists,
    "almena.netflow.exporter_ip": known_addresses,
    "almena.netflow.flow_end_reason": end_reasons,
    "almena.netflow.flow_id": names,
    "almena.netflow.forwarding_status": statuses,
    "almena.netflow.ingress_acl_id": access_lists,
    "almena.netflow.initial_tcp_flags": flags,
    "almena.netflow.ip_next_hop": known_addresses,
    "almena.netflow.tenant_destination_ip": known_addresses,
    "almena.netflow.tenant_source_ip": known_addresses,
    "almena.netflow.union_tcp_flags": flags,
    "destination.as.number": known_numbers,
    "destination.nat.ip": known_addresses,
    "destination.nat.port": known_numbers,
    "dns.question.name": lower,
    "http.response.status_code": known_numbers,
    "network.application": lower,
    "network.inner.vlan.id": known_names,
    "network.vlan.id": known_names,
    "observer.egress.interface.id": names,
    "observer.egress.vlan.id": known_names,
    "observer.ingress.interface.id": names,
    "source.as.number": known_numbers,
    "source.nat.ip": known_addresses,
    "source.nat.port": known_numbers,
    "tls.client.server_name": lower,
    "url.domain": lower,
}
"""How the values of a field are written, where its type does not say."""

NEVER_ABSENT = (same, numbers, addresses, names, statuses)
"""What gives a value for every value."""
