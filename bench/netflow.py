"""Flows per second on one core: datagrams to ECS events and on to the parser, beside bare unpacking as the floor."""

from __future__ import annotations

import gc
import struct
from collections.abc import Sequence
from functools import partial

from exports import PLAIN, a_set, plain, template, v9

from almena.event import encode
from bench.measure import rate, show
from collectors.base import Context
from collectors.flows import Flows
from collectors.netflow import wire
from collectors.netflow.decoder import Datagram, Decoder
from collectors.netflow.layout import Layout
from collectors.parsers import PARSERS
from collectors.pcap import Packet, segment

FLOWS = 25
"""In a datagram: as many as fit into one frame."""

_DATAGRAMS = 800
_START = 1_795_376_040


def data(number: int) -> bytes:
    """A datagram with flows of what routers export most, all different."""
    return v9(a_set(256, b"".join(plain(number * FLOWS + index) for index in range(FLOWS))), sequence=number + 1)


def decoded(decoder: Decoder, datagrams: Sequence[bytes]) -> int:
    """How many events came out."""
    count = 0
    for each in datagrams:
        for events in decoder.decode(Datagram(each, "192.0.2.1", 2055, _START * 1_000_000, 1.0)):
            count += len(events)
    return count


def bare(layout: Layout, datagrams: Sequence[bytes]) -> None:
    """Tuples and nothing else."""
    for each in datagrams:
        for found in wire.sets(each, wire.V9):
            for _ in layout.rows(found.data):
                pass


def handed_on(decoder: Decoder, datagrams: Sequence[bytes], context: Context) -> None:
    """Events, their JSON, and what the parser makes of it: all that comes before masking."""
    parse = PARSERS["flow"]
    for each in datagrams:
        for events in decoder.decode(Datagram(each, "192.0.2.1", 2055, _START * 1_000_000, 1.0)):
            for event in events:
                parse(encode(event), context)


def counted(packets: Sequence[Packet]) -> None:
    """Flows of packets."""
    flows = Flows()
    for packet in packets:
        if (cut := segment(packet)) is not None:
            for _ in flows.add(cut, packet.time):
                pass


def main() -> None:
    """NetFlow 9 as routers send it, and packets."""
    datagrams = [data(number) for number in range(_DATAGRAMS)]
    count = _DATAGRAMS * FLOWS
    decoder = Decoder()
    decoded(decoder, [v9(template(256, PLAIN))])
    assert decoded(decoder, datagrams) == count
    gc.collect()
    gc.freeze()
    show("NetFlow 9: datagrams to ECS events", rate(count, partial(decoded, decoder, datagrams)))
    codes = ["4s"] * 3 + [{1: "B", 2: "H", 4: "I"}[size] for _, size, *_ in PLAIN[3:]]
    layout = Layout([wire.Field(0, number, size) for number, size, *_ in PLAIN], codes)
    show("  beside the bare unpacking to tuples", rate(count, partial(bare, layout, datagrams)))
    context = Context(received=_START * 1_000_000)
    show("  and on through JSON and the parser", rate(count, partial(handed_on, decoder, datagrams, context)))
    packets = [_packet(number) for number in range(20_000)]
    show("packets to flows", rate(len(packets), partial(counted, packets)))
    gc.unfreeze()


def _packet(number: int) -> Packet:
    """A packet of one of a thousand conversations."""
    talk = number % 1_000
    ends = bytes([10, 0, talk // 250, talk % 250 + 1, 192, 0, 2, talk % 200 + 1])
    head = struct.pack("!BBHHHBBH", 0x45, 0, 52 + 500, 1, 0, 64, 6, 0) + ends
    body = struct.pack("!HHIIBBHHH", 40_000 + talk, 443, number, 1, 8 << 4, 0x18, 1_000, 0, 0) + bytes(12 + 500)
    return Packet(_START * 1_000_000 + number * 10, 1, b"\2" * 6 + b"\4" * 6 + b"\x08\0" + head + body)
