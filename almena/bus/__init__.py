"""The bus: an append-only log of named topics, each cut into partitions, read by groups in atomic steps."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Protocol, TypeAlias

import msgspec

from almena.errors import ConfigError

if TYPE_CHECKING:
    from almena.bus.settings import KafkaSettings

EVENTS, HITS, ALERTS, DEAD, LEDGER = "events", "hits", "alerts", "dead", "ledger"
"""The topics: parsed events, hits and watermarks, alerts, sealed dead letters, and counts that must survive."""

TOPICS = (EVENTS, HITS, ALERTS, DEAD, LEDGER)
"""All of them."""


class Record(msgspec.Struct, frozen=True, array_like=True):
    """What is appended: `key` decides the partition (equal keys keep their order), `headers` are small texts."""

    key: str
    value: bytes
    headers: dict[str, str] = {}
    partition: int | None = None
    """Set only where a record must reach a certain partition, such as a watermark."""


class Stored(msgspec.Struct, frozen=True):
    """A record as it lies on the bus; `time` is the time of the append, microseconds, never falling in a partition."""

    topic: str
    partition: int
    offset: int
    time: int
    key: str
    value: bytes
    headers: dict[str, str]


class Position(msgspec.Struct, frozen=True):
    """A place in a topic."""

    topic: str
    partition: int
    offset: int


class Gap(msgspec.Struct, frozen=True):
    """Records this group will never read, offsets `start` to `end - 1`: they were trimmed before, or are damaged."""

    topic: str
    partition: int
    start: int
    end: int
    reason: str = "trimmed"
    """`trimmed` or `damaged`."""


class Batch(msgspec.Struct, frozen=True):
    """What one poll gives: records by partition in offset order, partitions gained and lost since the last, gaps."""

    records: dict[int, list[Stored]] = {}
    gained: list[int] = []
    lost: list[int] = []
    gaps: list[Gap] = []


class Snapshot(msgspec.Struct, frozen=True):
    """A partition's state and the offset of the next record to read: each is true for the other."""

    state: dict[str, bytes]
    position: int


Outputs: TypeAlias = Mapping[str, Sequence[Record]]
"""Records to append, by topic."""


class Step(msgspec.Struct, frozen=True):
    """What one partition has come to: all of it becomes visible together, or nothing does."""

    position: int
    """The offset of the next record to read."""
    outputs: Outputs = {}
    state: Mapping[str, bytes | None] = {}
    """State to write, by key; None deletes."""


class Session(Protocol):
    """One member of a group: its share of the topic's partitions, and the one way to move on."""

    def poll(self, limit: int, timeout: float) -> Batch:
        """Up to `limit` records of the partitions owned, waiting up to `timeout` seconds for the first."""

    def restore(self, partition: int) -> Snapshot:
        """The committed state and position of a partition just gained; the poll that gained it reads on from there."""

    def commit(self, steps: Mapping[int, Step]) -> None:
        """Each partition's step: all of it or nothing, as later sessions see it.

        What was refused may be tried again: whatever of it took place is not done twice. Raises Moved when a partition
        is no longer this member's; the next poll tells which it has then, and all of them are restored anew. Raises
        Fenced when another process has this member's name.
        """

    def alive(self) -> None:
        """Say that a long step goes on, so that nobody takes over; at least every ten seconds. Raises Moved, Fenced."""

    def close(self) -> None:
        """Leave the group, so that others take over at once."""


class Bus(Protocol):
    """An append-only log of named topics, each cut into partitions."""

    def append(self, topic: str, records: Sequence[Record]) -> None:
        """Durable when it returns; all of the records or none."""

    def append_all(self, outputs: Outputs) -> None:
        """Append to several topics; all of it or nothing."""

    def read(self, position: Position, limit: int = 1) -> Sequence[Stored]:
        """Up to `limit` records of one partition from `position` on; fewer when they are trimmed or not there."""

    def session(self, topic: str, *, group: str, member: str) -> Session:
        """Join `group` as `member`; a member that comes back under its name takes its partitions at once."""

    def snapshot(
        self, topic: str, group: str, partition: int, prefix: str = "", *, limit: int | None = None
    ) -> Snapshot:
        """What `group` has committed of a partition: its state under keys that begin with `prefix`, and its position.

        Both are of one moment. Nobody joins, owns or waits for anything; whoever owns the partition works on. It costs
        what it gives: `limit` entries at most, the first by key, where one is set. A group that nobody ever joined has
        no state and the position 0.
        """

    def partitions(self, topic: str) -> int:
        """How many partitions the topic has."""

    def ends(self, topic: str) -> Mapping[int, int]:
        """The offset behind the last record, by partition."""

    def positions(self, topic: str, group: str) -> Mapping[int, int]:
        """The offset of the next record the group reads, as committed, by partition."""

    def lag(self, topic: str, group: str) -> Mapping[int, int]:
        """How many records the group has not read, by partition."""

    def trim(self, topic: str, before: int) -> int:
        """Forget batches appended before `before` (microseconds); returns how many records went."""

    def close(self) -> None:
        """Let go of files and connections."""


def partition_of(key: str, partitions: int) -> int:
    """The partition of a key: stable across processes and versions."""
    return zlib.crc32(key.encode("utf-8", "surrogatepass")) % partitions


def open_bus(
    url: str, *, partitions: int = 4, name: str = "", kafka: KafkaSettings | None = None, keep: int = 0
) -> Bus:
    """The bus at `url`: `memory:`, `sqlite:PATH`, `kafka://HOST:PORT,...` or `kafka+confluent://HOST:PORT,...`.

    `partitions` and `keep` (microseconds that records stay, 0 for ever) count for topics that do not exist yet. On
    Kafka `name` is who appends: a process that comes back under its name ends at once what it had left open.
    """
    scheme, _, rest = url.partition(":")
    match scheme:
        case "memory":
            from almena.bus.sqlite import SqliteBus

            return SqliteBus(":memory:", partitions=partitions)
        case "sqlite":
            from almena.bus.sqlite import SqliteBus

            return SqliteBus(rest, partitions=partitions)
        case "kafka" | "kafka+confluent":
            from almena.bus.kafka import open_kafka
            from almena.bus.settings import KafkaSettings

            return open_kafka(url, kafka or KafkaSettings(), partitions=partitions, name=name, keep=keep)
        case _:
            raise ConfigError(
                f"bus: {url!r} is not known; write 'memory:', 'sqlite:data/bus.sqlite' or 'kafka://HOST:9092'"
            )
