"""What the bus needs of a Kafka client, whichever it is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol

PATIENCE = 10.0
"""Seconds after which an operation that brokers do not answer is refused."""

TRANSACTION = 15.0
"""Seconds that a transaction may stay open; then brokers end it, whoever began it."""

SESSION = 10.0
"""Seconds after which a member that is not heard of loses its partitions."""

STEP = 300.0
"""Seconds that a member may work without a sign of life."""

LARGEST = 16 << 20
"""Bytes of one record, and of one request."""


class Raw(NamedTuple):
    """A record as it lies in a partition; `timestamp` is in milliseconds."""

    offset: int
    timestamp: int
    key: bytes
    value: bytes | None
    headers: Sequence[tuple[str, bytes]]


class Send(NamedTuple):
    """A record to append; no value deletes the key."""

    topic: str
    partition: int
    key: bytes
    value: bytes | None
    headers: Sequence[tuple[str, bytes]] = ()


class Producer(Protocol):
    """One transactional id at work. After an error it is closed, and another is made."""

    def begin(self, records: Iterable[Send]) -> None:
        """Begin a transaction and hand it the records."""

    def finish(self, offsets: Mapping[int, int], consumer: Consumer | None) -> None:
        """Commit it together with the consumer's offsets, by partition; raises BusError, Moved or Fenced."""

    def close(self) -> None:
        """Abort what is open, let go of connections."""


class Consumer(Protocol):
    """One member of a group on one topic, whose every new partition is paused until `start`."""

    def poll(self, limit: int, seconds: float) -> dict[int, list[Raw]]:
        """Up to `limit` records by partition; raises Moved, Fenced, BusError, or OutOfRange."""

    def changes(self) -> tuple[list[int], list[int]]:
        """Partitions gained and lost since the last call."""

    def start(self, partition: int, offset: int) -> None:
        """Read the partition from the offset on."""

    def position(self, partition: int) -> int:
        """The offset that is fetched next; behind it nothing is left."""

    def commit(self, offsets: Mapping[int, int]) -> None:
        """Commit offsets alone; raises Moved or Fenced."""

    def alive(self) -> None:
        """Say that this member lives, without reading anything."""

    def close(self) -> None:
        """End; the membership goes on until it is removed."""


class OutOfRange(Exception):
    """The offset of these partitions is no longer there."""

    def __init__(self, partitions: Sequence[int]) -> None:
        super().__init__(partitions)
        self.partitions = partitions


class TopicSpec(NamedTuple):
    """A topic to create."""

    partitions: int
    replicas: int
    options: Mapping[str, str]


class Client(Protocol):
    """A way to a cluster."""

    def producer(self, transaction: str) -> Producer:
        """The one producer of a transactional id: whoever had it before is fenced, what it left open is ended."""

    def consumer(self, topic: str, group: str, member: str) -> Consumer:
        """Join a group as a static member."""

    def remove(self, group: str, member: str) -> None:
        """Let a static member leave its group at once."""

    def read(self, topic: str, partition: int, offset: int, end: int | None, limit: int | None) -> list[Raw]:
        """Committed records from `offset` on: until `limit`, or until `end`, or until the last stable one."""

    def edges(self, topic: str, *, stable: bool = True) -> dict[int, tuple[int, int]]:
        """The first offset and the one behind the last, committed (`stable`) or not, by partition."""

    def committed(self, group: str, topic: str) -> dict[int, int]:
        """The group's committed offsets by partition."""

    def at(self, topic: str, moment: int) -> dict[int, int]:
        """By partition the first offset at or after a moment (milliseconds), or the end."""

    def trim(self, topic: str, offsets: Mapping[int, int]) -> None:
        """Forget what lies before the offsets."""

    def topics(self) -> dict[str, int]:
        """Partitions by topic, of all topics that may be seen."""

    def brokers(self) -> int:
        """How many brokers there are."""

    def create(self, topic: str, spec: TopicSpec) -> None:
        """Create a topic; nothing happens when it is there."""

    def close(self) -> None:
        """Let go of connections."""
