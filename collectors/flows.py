"""Packets that belong together, counted: one event for each conversation between two ends."""

from __future__ import annotations

import base64
import hashlib
import socket
import struct
from collections import OrderedDict
from collections.abc import Iterator
from typing import TypeAlias

from almena.clock import MINUTE, format_time
from almena.event import Event
from collectors.pcap import ICMP, ICMP6, TCP, UDP, Segment

IDLE = MINUTE
"""A flow that was silent for so long is over."""

ACTIVE = 30 * MINUTE
"""A flow that goes on for longer is told in parts."""

_NAMES = {TCP: "tcp", UDP: "udp", ICMP: "icmp", ICMP6: "ipv6-icmp"}
_FIN, _SYN, _RST, _ACK = 1, 2, 4, 16

End: TypeAlias = tuple[bytes, int]
Key: TypeAlias = tuple[int, End, End]


class _Flow:
    """One conversation: who began it, when, and how much went either way."""

    __slots__ = ("bytes", "closed", "destination", "end", "packets", "protocol", "source", "start")

    def __init__(self, source: End, destination: End, protocol: int, moment: int) -> None:
        self.source = source
        self.destination = destination
        self.protocol = protocol
        self.start = self.end = moment
        self.bytes = [0, 0]
        self.packets = [0, 0]
        self.closed = False

    def event(self) -> Event:
        """The flow as ECS has it."""
        event = ends(self.source, self.destination, self.protocol, self.end, "network.flow")
        event.update(
            {
                "event.type": ["connection"],
                "event.start": format_time(self.start),
                "event.end": format_time(self.end),
                "event.duration": (self.end - self.start) * 1000,
                "source.bytes": self.bytes[0],
                "source.packets": self.packets[0],
                "destination.bytes": self.bytes[1],
                "destination.packets": self.packets[1],
                "network.bytes": sum(self.bytes),
                "network.packets": sum(self.packets),
            }
        )
        return event


class Flows:
    """The flows under way, `limit` at most: beyond that the one silent longest is told early."""

    def __init__(self, limit: int = 65_536) -> None:
        self._limit = limit
        self._flows: OrderedDict[Key, _Flow] = OrderedDict()
        self._clock = 0

    def add(self, segment: Segment, moment: int) -> Iterator[Event]:
        """Count a packet; flows that are over because of it, or by now, come out."""
        source = (segment.source, segment.source_port)
        destination = (segment.destination, segment.destination_port)
        swapped = destination < source
        key = (segment.protocol, destination, source) if swapped else (segment.protocol, source, destination)
        self._clock = max(self._clock, moment)
        flow = self._flows.get(key)
        if flow is not None and self._is_over(flow, segment, moment):
            yield self._flows.pop(key).event()
            flow = None
        if flow is None:
            if segment.flags & (_SYN | _ACK) == _SYN | _ACK:  # the answer to a packet that was not captured
                source, destination = destination, source
            flow = self._flows[key] = _Flow(source, destination, segment.protocol, moment)
        way = 0 if (segment.source, segment.source_port) == flow.source else 1
        flow.bytes[way] += segment.size
        flow.packets[way] += 1
        flow.start, flow.end = min(flow.start, moment), max(flow.end, moment)
        flow.closed = flow.closed or bool(segment.flags & (_FIN | _RST))
        self._flows.move_to_end(key)
        yield from self._expired()

    def expire(self, moment: int) -> Iterator[Event]:
        """Flows that are over by now."""
        self._clock = max(self._clock, moment)
        yield from self._expired()

    def flush(self) -> Iterator[Event]:
        """The end: every flow comes out."""
        while self._flows:
            yield self._flows.popitem(last=False)[1].event()

    def _is_over(self, flow: _Flow, segment: Segment, moment: int) -> bool:
        anew = flow.closed and segment.flags & (_SYN | _ACK) == _SYN
        return anew or moment - flow.end > IDLE or moment - flow.start > ACTIVE

    def _expired(self) -> Iterator[Event]:
        """The oldest come first, since every packet moves its flow to the end."""
        while self._flows:
            flow = next(iter(self._flows.values()))
            if self._clock - flow.end <= IDLE and len(self._flows) <= self._limit:
                return
            yield self._flows.popitem(last=False)[1].event()


def ends(source: End, destination: End, protocol: int, moment: int, dataset: str) -> Event:
    """The fields that everything between two ends has."""
    six = len(source[0]) == 16
    event: Event = {
        "@timestamp": format_time(moment),
        "event.dataset": dataset,
        "event.kind": "event",
        "event.category": ["network"],
        "network.type": "ipv6" if six else "ipv4",
        "network.transport": _NAMES.get(protocol, str(protocol)),
        "network.iana_number": str(protocol),
        "source.ip": _address(source[0]),
        "destination.ip": _address(destination[0]),
    }
    if protocol in (TCP, UDP):
        event["source.port"] = source[1]
        event["destination.port"] = destination[1]
        event["network.community_id"] = community_id(source, destination, protocol)
    return event


def community_id(source: End, destination: End, protocol: int) -> str:
    """The flow's name that Zeek, Suricata and others give it too (Community ID 1, seed 0)."""
    first, second = sorted((source, destination))
    data = struct.pack("!H", 0) + first[0] + second[0] + struct.pack("!BBHH", protocol, 0, first[1], second[1])
    return "1:" + base64.b64encode(hashlib.sha1(data, usedforsecurity=False).digest()).decode("ascii")


def _address(packed: bytes) -> str:
    return socket.inet_ntop(socket.AF_INET6 if len(packed) == 16 else socket.AF_INET, packed)
