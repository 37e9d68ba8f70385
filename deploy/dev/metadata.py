"""One question to one broker, without a client library: which brokers, which leaders, which copies are there?

Kafka's Metadata request, version 1. A client library would ask more, wait longer, and leave its sockets behind where
nothing listens yet.
"""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass

QUESTION = struct.pack(">hhih", 3, 1, 1, -1)
"""Request Metadata, version 1, number 1, from a client without a name."""


@dataclass(frozen=True)
class Partition:
    """One partition as the asked broker knows it."""

    topic: str
    number: int
    leader: int
    """Its broker, or -1."""
    replicas: frozenset[int]
    """Brokers that should hold it."""
    insync: frozenset[int]
    """Brokers that hold all of it."""


@dataclass(frozen=True)
class Metadata:
    """What a broker knows of its cluster."""

    brokers: frozenset[int]
    """Those that may serve."""
    controller: int
    """A broker to send administration to, or -1."""
    partitions: tuple[Partition, ...]


def ask(port: int, topics: bool = False, seconds: float = 5) -> Metadata | None:
    """What the broker at 127.0.0.1:`port` knows, of all topics if asked for; None when it does not answer."""
    question = QUESTION + struct.pack(">i", -1 if topics else 0)
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=seconds) as connection:
            connection.sendall(struct.pack(">i", len(question)) + question)
            with connection.makefile("rb") as answer:
                (size,) = struct.unpack(">i", answer.read(4))
                return _metadata(_Reader(answer.read(size)))
    except (OSError, struct.error):
        return None


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 4  # the number of the request

    def take(self, form: str) -> int:
        (value,) = struct.unpack_from(">" + form, self._data, self._at)
        self._at += struct.calcsize(">" + form)
        return int(value)

    def text(self) -> str:
        size = max(0, self.take("h"))
        self._at += size
        return self._data[self._at - size : self._at].decode("utf-8")

    def numbers(self) -> frozenset[int]:
        return frozenset(self.take("i") for _ in range(self.take("i")))


def _metadata(reader: _Reader) -> Metadata:
    brokers = frozenset(_broker(reader) for _ in range(reader.take("i")))
    controller = reader.take("i")
    partitions: list[Partition] = []
    for _ in range(reader.take("i")):
        _error, topic, _internal = reader.take("h"), reader.text(), reader.take("b")
        partitions += [_partition(reader, topic) for _ in range(reader.take("i"))]
    return Metadata(brokers, controller, tuple(partitions))


def _broker(reader: _Reader) -> int:
    number, _host, _port, _rack = reader.take("i"), reader.text(), reader.take("i"), reader.text()
    return number


def _partition(reader: _Reader, topic: str) -> Partition:
    _error, number, leader = reader.take("h"), reader.take("i"), reader.take("i")
    return Partition(topic, number, leader, reader.numbers(), reader.numbers())
