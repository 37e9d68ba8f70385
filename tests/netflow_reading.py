"""Reading datagrams in tests: one exporter, two ends."""

from __future__ import annotations

from exports import START, Fields

from almena.event import Event
from collectors.netflow.decoder import TOGETHER, Datagram, Decoder

ENDS: Fields = ((8, 4), (12, 4))
A, B = "10.0.0.1", "192.0.2.2"
HOST = "192.0.2.1"


def decode(decoder: Decoder, data: bytes, *, moment: float = 1.0, host: str = HOST, port: int = 2055) -> list[Event]:
    chunks = list(decoder.decode(Datagram(data, host, port, START, moment)))
    assert all(len(chunk) <= TOGETHER for chunk in chunks)
    return [event for chunk in chunks for event in chunk]
